"""Scripts of letters: Latin, and others that no detector here can read."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache

LATIN_WORD = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]+")
_OTHER = re.compile(r"[^\x00-\u024f\u1e00-\u1eff]")
# letters that physicians and physicists write between Latin ones: alone, never two in a row
_SYMBOLS = frozenset("αβγδεζηθικλμνξπρστφχψωΑΒΓΔΘΛΞΠΣΦΨΩµΩ")


@dataclass(frozen=True)
class ScriptShare:
    """name: most frequent script other than Latin. majority: True if at least half of all letters are in such scripts."""

    name: str
    majority: bool


@cache
def script(c: str) -> str:
    """The script of a character that stands for a letter or syllable outside Latin; "" of any other."""
    code = ord(c)
    if 0x2800 <= code <= 0x28FF:  # dots that stand for letters
        return "Braille"
    if 0x1F1E6 <= code <= 0x1F1FF:  # flags are spelled with them, and so are words
        return "letter symbols"
    category = unicodedata.category(c)
    if category in ("Co", "Cn"):
        return "unassigned characters"
    if category[0] == "L" and not LATIN_WORD.fullmatch(c):
        return unicodedata.name(c, "other letters").split()[0].split("-")[0].capitalize()
    return ""


def script_of(part: str) -> ScriptShare:
    """The share of letters in other scripts than Latin."""
    counts = Counter(s for c in _OTHER.findall(part) if (s := script(c)))
    latin = sum(map(len, LATIN_WORD.findall(part)))
    name = counts.most_common(1)[0][0] if counts else ""
    return ScriptShare(name, bool(counts) and 2 * counts.total() >= latin and not _is_symbol(part, counts.total()))


def _is_symbol(part: str, others: int) -> bool:
    return others == 1 and any(c in _SYMBOLS for c in part)


def other_script_runs(text: str) -> list[tuple[int, int]]:
    """Runs of characters in other scripts than Latin, with the digits and marks between and beside them; single Greek letters that are
    symbols are left out."""
    if text.isascii():
        return []
    runs: list[list[int]] = []
    for m in _OTHER.finditer(text):
        if not script(m[0]):
            continue
        if runs and not _separates(text[runs[-1][1] : m.start()]):
            runs[-1][1] = m.end()
        else:
            runs.append([m.start(), m.end()])
    return [_extended(text, a, b) for a, b in runs if not (b - a == 1 and text[a] in _SYMBOLS)]


def _separates(between: str) -> bool:
    """True if characters between two runs hold a word in Latin script or the end of a line."""
    return "\n" in between or "\r" in between or LATIN_WORD.search(between) is not None


def _extended(text: str, start: int, end: int) -> tuple[int, int]:
    """With digits and marks that are glued to the run."""
    while start and (text[start - 1].isdigit() or unicodedata.category(text[start - 1])[0] == "M"):
        start -= 1
    while end < len(text) and (text[end].isdigit() or unicodedata.category(text[end])[0] == "M"):
        end += 1
    return start, end
