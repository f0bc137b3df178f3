"""Tokens of a text, and their features for the tagger: hashes of letters, and the position in the line."""

import re
from zlib import crc32

import numpy as np

TOKEN = re.compile(r"[^\W\d_]+|\d+|\n|[^\w\s]|_")
BUCKETS = 1 << 15
MOST = 20  # features of one token; the first is the word itself
FLAGS = 8
SHORT_LINE = 40
_SHORT = re.compile(r"(.)\1+")
Bounds = tuple[int, int]


def tokenize(text: str) -> list[Bounds]:
    """Start and end of each token: letters, digits, the end of a line, any other character by itself."""
    return [m.span() for m in TOKEN.finditer(text)]


def shape(token: str) -> str:
    """The shape of a token: Aa for Ana, A for USA, a for the; runs are collapsed."""
    kinds = "".join("A" if c.isupper() else "a" if c.islower() else "9" if c.isdigit() else c for c in token[:12])
    return _SHORT.sub(r"\1", kinds)


def features(token: str) -> list[int]:
    """Hash buckets of a token: the token itself first; then its start, end, trigrams, shape and length."""
    low = token.lower()
    size = len(token)
    if token.isdigit():
        names = [
            f"d{size}",
            f"v{low[:2]}{size}" if size in (2, 4) else f"l{low[0]}{size}",
            f"n{low}" if size <= 2 else "n",
            "9",
        ]
    elif token.isalpha():
        names = [
            f"w{low}",
            f"p{low[:1]}",
            f"p{low[:2]}",
            f"p{low[:3]}",
            f"s{low[-2:]}",
            f"s{low[-3:]}",
            f"s{low[-4:]}",
            f"z{min(size, 10)}",
        ]
        names += [f"h{shape(token)}", f"m{shape(token)}{min(size, 4)}"]
        names += [f"t{low[i : i + 3]}" for i in range(min(size - 2, MOST - len(names)))]
    else:
        names = [f"c{token}", "c"]
    return [crc32(s.encode("utf-8", "surrogatepass")) % (BUCKETS - 1) + 1 for s in names[:MOST]]


def flags(text: str, bounds: list[Bounds]) -> np.ndarray:
    """(tokens, FLAGS) of 0 and 1: glued to the token before; to the one after; first of its line; in a line without lower-case
    letters; without capitals; after two spaces or a tab; first after a colon; in a short line."""
    out = np.zeros((len(bounds), FLAGS), np.float32)
    if not bounds:
        return out
    at = np.array(bounds, np.int64)
    starts, ends = at[:, 0], at[:, 1]
    glued = starts[1:] == ends[:-1]
    out[1:, 0], out[:-1, 1] = glued, glued
    lines = text.split("\n")
    begins = np.cumsum([0, *(len(line) + 1 for line in lines)])
    number = np.searchsorted(begins, starts, "right") - 1
    of_line = np.array([(line.isupper(), line.islower(), len(line) < SHORT_LINE) for line in lines], np.float32)
    out[:, [3, 4, 7]] = of_line[number]
    out[0, 2], out[1:, 2] = 1, number[1:] != number[:-1]
    gap = starts[1:] - ends[:-1]
    out[1:, 5] = gap > 1
    for i in np.flatnonzero(gap == 1).tolist() if "\t" in text else ():
        out[i + 1, 5] = text[ends[i]] == "\t"
    if ":" in text:
        out[1:, 6] = [text[a] == ":" for a in starts[:-1].tolist()]
    return out
