"""Normalization of text before detection: invisible characters removed, look-alike letters replaced, positions mapped back."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061"
    "\u2062\u2063\u2064\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
_UNUSUAL = re.compile(f"[{_INVISIBLE}]|[^\\x00-\\u024f]")
# Cyrillic and Greek letters that look like Latin ones (Unicode Technical Standard 39, confusables: the one-letter ones)
_LOOK_ALIKES = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеіјорсухѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοναικρτυ",
        "ABESIJKMHOPCTYXaeijopcyxshdqwABEZHIKMNOPTYXovaikptu",
        strict=True,
    )
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class NormalizedText:
    """Normalized text. positions: of each of its characters in the original, then the original's length; None if nothing changed."""

    text: str
    positions: tuple[int, ...] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """[start, end) in the original, including invisible characters inside."""
        return (start, end) if self.positions is None else (self.positions[start], self.positions[end - 1] + 1)


@cache
def _folded(c: str) -> str:
    if c in _INVISIBLE:
        return ""
    same = unicodedata.normalize("NFKC", c)
    return same if len(same) == 1 and c > "\u024f" else c


def normalize(text: str) -> NormalizedText:
    """The normalized text. A word that mixes alphabets is read as Latin."""
    if text.isascii() or not _UNUSUAL.search(text):
        return NormalizedText(text, None)
    characters = [(f, i) for i, c in enumerate(text) if (f := _folded(c))]
    out = [f for f, _ in characters]
    for m in _WORD.finditer("".join(out)):
        word = m[0]
        if any(c in _LOOK_ALIKES for c in word) and any(c < "\u0250" for c in word):
            out[m.start() : m.end()] = [_LOOK_ALIKES.get(c, c) for c in word]
    return NormalizedText("".join(out), (*(i for _, i in characters), len(text)))
