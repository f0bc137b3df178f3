"""Text as a finder reads it: without signs that nobody sees and letters that only look alike, with the way back to the original."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061"
    "\u2062\u2063\u2064\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
_ODD = re.compile(f"[{_UNSEEN}]|[^\\x00-\\u024f]")
# Cyrillic and Greek letters that look like Latin ones (Unicode Technical Standard 39, confusables: the one-letter ones)
_ALIKE = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеіјорсухѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοναικρτυ",
        "ABESIJKMHOPCTYXaeijopcyxshdqwABEZHIKMNOPTYXovaikptu",
        strict=True,
    )
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class NormalizedText:
    """text: as it is read; back: for each sign of it its place in the original, and the original's length; None where both are one."""

    text: str
    back: tuple[int, ...] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where [start, end) stands in the original; unseen signs inside belong to it."""
        return (start, end) if self.back is None else (self.back[start], self.back[end - 1] + 1)


@cache
def _folded(c: str) -> str:
    if c in _UNSEEN:
        return ""
    same = unicodedata.normalize("NFKC", c)
    return same if len(same) == 1 and c > "\u024f" else c


def normalize(text: str) -> NormalizedText:
    """The text as it is read. A word that mixes alphabets is read as Latin."""
    if text.isascii() or not _ODD.search(text):
        return NormalizedText(text, None)
    kept = [(f, i) for i, c in enumerate(text) if (f := _folded(c))]
    out = [f for f, _ in kept]
    for m in _WORD.finditer("".join(out)):
        word = m[0]
        if any(c in _ALIKE for c in word) and any(c < "\u0250" for c in word):
            out[m.start() : m.end()] = [_ALIKE.get(c, c) for c in word]
    return NormalizedText("".join(out), (*(i for _, i in kept), len(text)))
