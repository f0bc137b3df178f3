"""Glossary of the terms that pages and reports use, and links from a page's text to its entries."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Term:
    """One entry. symbol: short form such as ε; names: further spellings; anchor: id of the entry on a page; linked: whether pages
    link the word to the entry (not where it is a common word, too)."""

    term: str
    symbol: str
    text: str
    names: tuple[str, ...]
    anchor: str
    linked: bool = True


@cache
def glossary() -> tuple[Term, ...]:
    """Every entry, in the order of the alphabet."""
    data = tomllib.loads((resources.files("galenic.release") / "glossary.toml").read_text(encoding="utf-8"))
    terms = [
        Term(
            entry["term"],
            entry.get("symbol", ""),
            entry["text"],
            tuple(entry.get("names", ())),
            f"term-{key}",
            linked=entry.get("linked", True),
        )
        for key, entry in data.items()
    ]
    return tuple(sorted(terms, key=lambda t: t.term.casefold()))


def glossary_markdown() -> str:
    """The glossary as a page of the documentation."""
    lines = [
        "# Glossary",
        "",
        "Terms on the pages of Galenic, in its reports and on its cards. This page is generated from",
        "`src/galenic/release/glossary.toml`.",
        "",
    ]
    for term in glossary():
        symbol = f" ({term.symbol})" if term.symbol else ""
        lines += [f'<a id="{term.anchor}"></a>', f"**{term.term}{symbol}**  ", term.text, ""]
    return "\n".join(lines)


@cache
def _spellings() -> tuple[re.Pattern[str], dict[str, Term]]:
    found: dict[str, Term] = {}
    for term in (t for t in glossary() if t.linked):
        for name in (term.term, *term.names):
            found[name.casefold()] = term
    longest_first = sorted(found, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(re.escape(n) for n in longest_first)})(?![\w-])", re.I), found


class TermLinks:
    """Links the first use of each term on one page to its entry, and remembers the terms that were used."""

    def __init__(self) -> None:
        self._used: dict[str, Term] = {}

    def __call__(self, text: str) -> Markup:
        """The text as markup; everything but the links is escaped."""
        pattern, terms = _spellings()
        parts, end = [], 0
        for match in pattern.finditer(text):
            term = terms[match[0].casefold()]
            if term.anchor not in self._used:
                self._used[term.anchor] = term
                link = Markup('<a class="term" href="#{}">{}</a>').format(term.anchor, match[0])
                parts += [escape(text[end : match.start()]), link]
                end = match.end()
        return Markup("").join([*parts, escape(text[end:])])

    @property
    def used(self) -> tuple[Term, ...]:
        """The terms that were linked so far, in the order of the alphabet."""
        return tuple(t for t in glossary() if t.anchor in self._used)
