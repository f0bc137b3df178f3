"""Identifiers that a patient's own record states, matched with variants and typing errors."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from galenic.schema import TextSpan

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_NUMBER = re.compile(r"\d(?:[ ()./-]{0,2}\d){3,24}")
_MIXED = re.compile(r"(?=[A-Za-z-]{0,40}\d)[A-Za-z0-9]{2,}(?:[-/.][A-Za-z0-9]+)*")
_MAX_LETTERS = 40  # longer words are matched only as they are
_MIN_LETTERS = 3  # shorter parts of names are ordinary words


def fold(word: str) -> str:
    """The word in lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))


def _digits(text: str) -> str:
    """At most the last ten digits: numbers are written with and without the country code."""
    return "".join(c for c in text if c.isdigit())[-10:]


def _alphanumeric(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


@dataclass
class StatedIdentifiers:
    """Identifiers of a patient. identifiers: by kind, as written in the record. common: words of ordinary text."""

    identifiers: Mapping[str, tuple[str, ...]]
    common: frozenset[str] = frozenset()
    _words: dict[str, str] = field(default_factory=dict)
    _near: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _numbers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, values in self.identifiers.items():
            for value in values:
                self._add(kind, value)

    def _add(self, kind: str, value: str) -> None:
        if any(c.isdigit() for c in value) and len(_alphanumeric(value)) >= 4:
            self._numbers[_alphanumeric(value)] = kind
        if len(_digits(value)) >= 5 and kind not in ("name", "place", "organisation"):
            self._numbers[_digits(value)] = kind
        if kind in ("name", "place", "organisation"):
            for word in _WORD.findall(value):
                for part in {word, *re.split(r"['’-]", word)}:
                    low = fold(part)
                    if len(low) >= _MIN_LETTERS and (kind == "name" or low not in self.common):
                        self._words[low] = kind
                        if 5 <= len(low) <= _MAX_LETTERS and kind == "name":
                            for variant in _deletions(low):
                                self._near[variant].add(low)

    def find(self, text: str) -> Iterator[TextSpan]:
        """Every occurrence of one of them, or of a word one typing error away."""
        for m in _WORD.finditer(text):
            pieces = _pieces(m)
            kinds = [self._kind(text[a:b]) for a, b in pieces]
            if len(pieces) > 1 and all(kinds[1:]):  # all parts of a hyphenated name: the whole of it
                yield TextSpan(*m.span(), str(kinds[1]), "known")
                continue
            yield from (TextSpan(a, b, kind, "known") for (a, b), kind in zip(pieces, kinds, strict=True) if kind)
        for pattern, read in ((_NUMBER, _digits), (_MIXED, _alphanumeric)):
            for m in pattern.finditer(text):
                kind = self._numbers.get(read(m[0]))
                if kind:
                    yield TextSpan(*m.span(), kind, "known")

    def _kind(self, word: str) -> str | None:
        low = fold(word)
        kind = self._words.get(low)
        if kind:
            # a name that is a common word counts only where it is capitalized
            return None if low in self.common and word.islower() else kind
        if not 5 <= len(low) <= _MAX_LETTERS or low in self.common:
            return None
        for variant in _deletions(low):
            if any(_one_off(low, other) for other in self._near.get(variant, ())):
                return "name"
        return None


def _pieces(m: re.Match[str]) -> list[tuple[int, int]]:
    """Spans of the word and of its hyphenated parts."""
    whole, spans = m[0], [m.span()]
    if any(c in whole for c in "'’-"):
        at = m.start()
        for part in re.split(r"(['’-])", whole):
            if len(part) >= _MIN_LETTERS:
                spans.append((at, at + len(part)))
            at += len(part)
    return spans


def _deletions(word: str) -> set[str]:
    """The word, and the word with each one letter deleted."""
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_off(a: str, b: str) -> bool:
    """True if the words differ by one letter added, deleted, replaced or swapped with the next."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return a == b
    short, long = sorted((a, b), key=len)
    i = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) != len(long):
        return short[i:] == long[i + 1 :]
    return short[i + 1 :] == long[i + 1 :] or (short[i : i + 2] == long[i : i + 2][::-1] and short[i + 2 :] == long[i + 2 :])
