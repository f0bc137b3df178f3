"""Text cut into tokens, and what a tagger sees of each: hashes of its letters, and how it stands in its line."""

import re
from zlib import crc32

import numpy as np

TOKEN = re.compile(r"[^\W\d_]+|\d+|\n|[^\w\s]|_")
BUCKETS = 1 << 15
MOST = 20  # features of one token; the first is the word itself
FLAGS = 8
_SHORT = re.compile(r"(.)\1+")
Bounds = tuple[int, int]


def tokenize(text: str) -> list[Bounds]:
    """Where each token starts and ends: letters, digits, a line's end, any other sign on its own."""
    return [m.span() for m in TOKEN.finditer(text)]


def shape(token: str) -> str:
    """Aa for Ana, A for USA, a for the: runs of one kind are one."""
    kinds = "".join("A" if c.isupper() else "a" if c.islower() else "9" if c.isdigit() else c for c in token[:12])
    return _SHORT.sub(r"\1", kinds)


def features(token: str) -> list[int]:
    """Buckets of a token: itself first; then its start, end, inside, shape, length."""
    low = token.lower()
    size = len(token)
    if token.isdigit():
        said = [f"d{size}", f"v{low[:2]}{size}" if size in (2, 4) else f"l{low[0]}{size}", f"n{low}" if size <= 2 else "n", "9"]
    elif token.isalpha():
        said = [f"w{low}", f"p{low[:1]}", f"p{low[:2]}", f"p{low[:3]}", f"s{low[-2:]}", f"s{low[-3:]}", f"s{low[-4:]}", f"z{min(size, 10)}"]
        said += [f"h{shape(token)}", f"m{shape(token)}{min(size, 4)}"]
        said += [f"t{low[i : i + 3]}" for i in range(min(size - 2, MOST - len(said)))]
    else:
        said = [f"c{token}", "c"]
    return [crc32(s.encode("utf-8", "surrogatepass")) % (BUCKETS - 1) + 1 for s in said[:MOST]]


def flags(text: str, bounds: list[Bounds]) -> np.ndarray:
    """(tokens, FLAGS) of 0 and 1: glued to the token before; to the one after; first of its line; in a line without small
    letters; without capitals; after two spaces or a tab; is first after a colon; its line is short."""
    out = np.zeros((len(bounds), FLAGS), np.float32)
    line_end, start, upper, lower, short = -1, True, False, False, False
    before = 0
    for i, (a, b) in enumerate(bounds):
        if a > line_end:
            line_end = text.find("\n", a)
            line_end = len(text) if line_end < 0 else line_end
            line = text[a:line_end]
            upper, lower, short, start = line.isupper(), line.islower(), len(line) < 40, True
        row = out[i]
        row[0] = a == before and i > 0
        row[1] = i + 1 < len(bounds) and bounds[i + 1][0] == b
        row[2], row[3], row[4], row[7] = start, upper, lower, short
        row[5] = a - before > 1 or text[before:a] == "\t"
        row[6] = i > 0 and text[bounds[i - 1][0]] == ":"
        start, before = False, b
    return out
