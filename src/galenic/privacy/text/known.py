"""Identifiers that the patient's own record states: matched first, with variants and typing errors."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from galenic.schema import Span

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_NUMBER = re.compile(r"[A-Za-z]{0,4}[ -]?\d[\d ./-]{2,24}\d[A-Za-z]?|[A-Za-z]{0,4}\d{3,}[A-Za-z]?")
_LEAST = 3  # letters; shorter parts of names are words of every text


def folded(word: str) -> str:
    """In small letters, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))


def _numbers_only(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


@dataclass
class Known:
    """What is known of a patient. identifiers: by kind, as they are written in the record."""

    identifiers: Mapping[str, tuple[str, ...]]
    common: frozenset[str] = frozenset()
    _words: dict[str, str] = field(default_factory=dict)
    _near: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _numbers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, values in self.identifiers.items():
            for value in values:
                self._take(kind, value)

    def _take(self, kind: str, value: str) -> None:
        number = _numbers_only(value)
        if sum(c.isdigit() for c in number) >= 4:
            self._numbers[number] = kind
        if kind in ("name", "place", "organisation"):
            for word in _WORD.findall(value):
                for part in {word, *re.split(r"['’-]", word)}:
                    low = folded(part)
                    if len(low) >= _LEAST and (kind == "name" or low not in self.common):
                        self._words[low] = kind
                        if len(low) >= 5 and kind == "name":
                            for hole in _holes(low):
                                self._near[hole].add(low)

    def find(self, text: str) -> Iterator[Span]:
        """Every place where one of them stands, or something a typing error away."""
        for m in _WORD.finditer(text):
            for a, b in _pieces(m):
                kind = self._kind(text[a:b])
                if kind:
                    yield Span(a, b, kind, "known")
        for m in _NUMBER.finditer(text):
            kind = self._numbers.get(_numbers_only(m[0]))
            if kind:
                start = m.start() + len(m[0]) - len(m[0].lstrip(" -"))
                yield Span(start, m.end(), kind, "known")

    def _kind(self, word: str) -> str | None:
        low = folded(word)
        found = self._words.get(low)
        if found:
            # a name that is a word of every text counts where it is written as a name
            return None if low in self.common and word.islower() else found
        if len(low) < 5 or low in self.common:
            return None
        for hole in _holes(low):
            if any(_one_off(low, other) for other in self._near.get(hole, ())):
                return "name"
        return None


def _pieces(m: re.Match[str]) -> Iterator[tuple[int, int]]:
    whole = m[0]
    yield m.span()
    if any(c in whole for c in "'’-"):
        at = m.start()
        for part in re.split(r"(['’-])", whole):
            if len(part) >= _LEAST:
                yield at, at + len(part)
            at += len(part)


def _holes(word: str) -> set[str]:
    """The word, and the word with a letter left out."""
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_off(a: str, b: str) -> bool:
    """Whether one letter was added, left out, replaced, or swapped with the next."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return a == b
    short, long = sorted((a, b), key=len)
    i = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) != len(long):
        return short[i:] == long[i + 1 :]
    return short[i + 1 :] == long[i + 1 :] or (short[i : i + 2] == long[i : i + 2][::-1] and short[i + 2 :] == long[i + 2 :])
