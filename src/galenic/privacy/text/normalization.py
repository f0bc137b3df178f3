"""Normalization of text before detection: invisible characters are removed, look-alike letters replaced, and positions mapped
back."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061"
    "\u2062\u2063\u2064\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
)
_FILLERS = "\u2800\u3164\uffa0"  # blank letters
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
    """Normalized text. starts, ends: of each of its characters in the original; None if nothing changed."""

    text: str
    starts: tuple[int, ...] | None
    ends: tuple[int, ...] = ()

    def original(self, start: int, end: int) -> tuple[int, int]:
        """[start, end) in the original, including invisible characters and combining marks inside."""
        return (start, end) if self.starts is None or start >= end else (self.starts[start], self.ends[end - 1])


@cache
def _folded(c: str) -> str:
    """A character as detectors read it: ASCII digits for those of other scripts; "" for an invisible one."""
    if c in _INVISIBLE or unicodedata.category(c) == "Cf" or c in _FILLERS:
        return ""
    if c <= "\u024f":
        return c
    digit = unicodedata.decimal(c, None)
    if digit is not None:
        return str(digit)
    same = unicodedata.normalize("NFKC", c)
    return same if len(same) == 1 else c


def normalize(text: str) -> NormalizedText:
    """The normalized text. A word that mixes alphabets is read as Latin; a letter and its combining marks become one letter."""
    if text.isascii() or not _UNUSUAL.search(text):
        return NormalizedText(text, None)
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for i, c in enumerate(text):
        folded = _folded(c)
        if folded and out and unicodedata.category(c) == "Mn":
            out[-1] = _composed(out[-1], c)
            ends[-1] = i + 1
        elif folded:
            out.append(folded)
            starts.append(i)
            ends.append(i + 1)
    for m in _WORD.finditer("".join(out)):
        word = m[0]
        if any(c in _LOOK_ALIKES for c in word) and any(c < "\u0250" for c in word):
            out[m.start() : m.end()] = [_LOOK_ALIKES.get(c, c) for c in word]
    return NormalizedText("".join(out), tuple(starts), tuple(ends))


def _composed(letter: str, mark: str) -> str:
    """The letter with the mark if Unicode has it, else the letter."""
    both = unicodedata.normalize("NFC", letter + mark)
    return both if len(both) == 1 else letter
