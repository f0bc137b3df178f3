"""Gazetteers: listed names, and the user's own lists of staff, wards and streets, searched by one automaton (Aho and Corasick
1975)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from galenic.errors import ConfigurationError, MissingExtraError
from galenic.privacy.text.surrogate_names import listed_names
from galenic.schema import TextSpan

try:
    from ahocorasick_rs import AhoCorasick, MatchKind
except ImportError:
    AhoCorasick = None  # type: ignore[assignment,misc]

MIN_LETTERS = 3  # letters of an entry


@dataclass
class Gazetteer:
    """Finds entries of lists as whole words.

    entries: by kind. common: words of ordinary text, which count only when capitalized. names: also find two listed names in a row,
    both capitalized; a single one may be an ordinary word.
    """

    entries: Mapping[str, Iterable[str]] = field(default_factory=dict)
    common: frozenset[str] = frozenset()
    names: bool = False

    def __post_init__(self) -> None:
        if AhoCorasick is None:
            raise MissingExtraError("the search for names needs the package ahocorasick-rs, which is not installed", "text")
        kinds: dict[str, str] = {}
        if self.names:
            kinds |= dict.fromkeys((n for n in listed_names() if len(n) >= MIN_LETTERS), "")
        for kind, values in self.entries.items():
            kinds |= {v.casefold(): kind for v in values if len(v) >= MIN_LETTERS}
        self._patterns = list(kinds)
        self._kinds = [kinds[p] for p in self._patterns]
        self._automaton = AhoCorasick(self._patterns, matchkind=MatchKind.LeftmostLongest)

    def find(self, text: str) -> Iterator[TextSpan]:
        """Spans of layer "list", in order."""
        lower = text.lower()
        if len(lower) != len(text):
            return  # a letter with two letters in lower case: positions would not agree
        last = (-1, False)  # end of the last capitalized listed name, and whether it is a common word
        for number, a, b in self._automaton.find_matches_as_indexes(lower):
            if (a and text[a - 1].isalnum()) or text[b : b + 1].isalnum():
                continue
            kind, is_common = self._kinds[number], lower[a:b] in self.common
            if kind:
                if not is_common or text[a].isupper():
                    yield TextSpan(a, b, kind, "list")
                continue
            if not text[a].isupper():
                continue
            if last[0] >= 0 and text[last[0] : a] == " " and not (is_common and last[1]):
                start = text.rfind(" ", max(last[0] - 60, 0), last[0]) + 1
                yield TextSpan(max(start, 0), b, "name", "list", 0.7)
            last = (b, is_common)


def read_gazetteer(lists: Mapping[str, str | bool], kinds: Iterable[str], common: frozenset[str]) -> Gazetteer:
    """The gazetteer of a policy's [lists] section: by kind, a UTF-8 file with one entry per line; library = true adds listed names."""
    entries: dict[str, list[str]] = {}
    for kind, place in lists.items():
        if kind == "library":
            continue
        if kind not in set(kinds):
            raise ConfigurationError(
                f"[lists] contains {kind!r}, which is not a kind of identifier. Expected some of {', '.join(kinds)}."
            )
        try:
            lines = Path(str(place)).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the list of {kind} cannot be read: {Path(str(place)).name} ({error.__class__.__name__}). Expected UTF-8, one entry per line."
            ) from None
        entries[kind] = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return Gazetteer(entries, common, bool(lists.get("library", False)))
