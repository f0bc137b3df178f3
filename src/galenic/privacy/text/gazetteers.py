"""Gazetteers: names that a library lists, and a site's own lists of staff, wards, streets, by one automaton (Aho and Corasick 1975)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from galenic.errors import DescriptionError, MissingExtraError
from galenic.privacy.text.surrogate_names import listed_names
from galenic.schema import TextSpan

try:
    from ahocorasick_rs import AhoCorasick, MatchKind
except ImportError:
    AhoCorasick = None  # type: ignore[assignment,misc]

LEAST = 3  # letters of an entry


@dataclass
class Gazetteer:
    """Finds whole words of lists. entries: by kind; what is a word of every text (common) counts only with a capital letter.

    names: also given names followed by family names of the library's lists, both with capitals: each alone may be anything.
    """

    entries: Mapping[str, Iterable[str]] = field(default_factory=dict)
    common: frozenset[str] = frozenset()
    names: bool = False

    def __post_init__(self) -> None:
        if AhoCorasick is None:
            raise MissingExtraError(
                "lists of names are searched by ahocorasick-rs, which is not installed: pip install 'galenic[text]'."
            )
        kinds: dict[str, str] = {}
        if self.names:
            kinds |= dict.fromkeys((n for n in listed_names() if len(n) >= LEAST), "")
        for kind, values in self.entries.items():
            kinds |= {v.casefold(): kind for v in values if len(v) >= LEAST}
        self._patterns = list(kinds)
        self._kinds = [kinds[p] for p in self._patterns]
        self._automaton = AhoCorasick(self._patterns, matchkind=MatchKind.LeftmostLongest)

    def find(self, text: str) -> Iterator[TextSpan]:
        """Spans of layer "list", in their order."""
        small = text.lower()
        if len(small) != len(text):
            return  # a letter whose small form is two: places would not agree
        last = (-1, False)  # where a listed name with a capital ended, and whether it is a word of every text, too
        for number, a, b in self._automaton.find_matches_as_indexes(small):
            if (a and text[a - 1].isalnum()) or text[b : b + 1].isalnum():
                continue
            kind, usual = self._kinds[number], small[a:b] in self.common
            if kind:
                if not usual or text[a].isupper():
                    yield TextSpan(a, b, kind, "list")
                continue
            if not text[a].isupper():
                continue
            if last[0] >= 0 and text[last[0] : a] == " " and not (usual and last[1]):
                start = text.rfind(" ", 0, last[0]) + 1
                yield TextSpan(max(start, 0), b, "name", "list", 0.7)
            last = (b, usual)


def read_gazetteer(said: Mapping[str, str | bool], kinds: Iterable[str], common: frozenset[str]) -> Gazetteer:
    """A policy's [lists]: by kind, a UTF-8 file with an entry a line; library = true for the library's names, too."""
    found: dict[str, list[str]] = {}
    for kind, place in said.items():
        if kind == "library":
            continue
        if kind not in set(kinds):
            raise DescriptionError(f"[lists] names {kind!r}, which is no kind. Kinds: {', '.join(kinds)}.")
        try:
            lines = Path(str(place)).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DescriptionError(
                f"the list of {kind} can not be read: {Path(str(place)).name} ({error.__class__.__name__}). Expected UTF-8, an entry a line."
            ) from None
        found[kind] = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return Gazetteer(found, common, bool(said.get("library", False)))
