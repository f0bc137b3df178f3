"""Identifiers that are spelled: numbers digit by digit in words, days in words, names letter by letter."""

import re
from collections.abc import Iterator

_ONES = "zero|oh|one|two|three|four|five|six|seven|eight|nine|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve"
_MORE = (
    "ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    "|hundred|thousand|double|triple|doble"
)
_TOKEN = rf"(?:{_ONES}|{_MORE}|\d{{1,4}}(?!\d))"
_RUN = re.compile(rf"\b(?:{_ONES}|{_MORE})(?:[\s,.;-]{{1,3}}{_TOKEN})+\b", re.I)
_PART = re.compile(rf"(?P<one>{_ONES})|(?P<more>{_MORE})|(?P<digits>\d+)", re.I)
_WEIGHTS = {"double": 1, "doble": 1, "triple": 2, "thousand": 3, "hundred": 2}
MIN_DIGITS, MIN_WORDS = 7, 4  # spoken digits of a number that identifies; single digits in words among them
_ORDINAL = (
    r"(?:(?:twenty|thirty)[- ])?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|tenth|eleventh|twelfth"
    r"|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|thirtieth"
)
_MONTH = (
    r"(?:(?-i:May|March|MAY|MARCH)|january|february|april|june|july|august|september|october|november|december"
    r"|(?:jan|feb|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
)
_YEAR = r"(?:,?\s{1,3}(?:19|20)\d\d\b)?"
_DAY = re.compile(
    rf"\b(?:{_ORDINAL})(?:\sday)?\s{{1,3}}of\s{{1,3}}{_MONTH}{_YEAR}|\b{_MONTH}\s{{1,3}}(?:the\s{{1,3}})?(?:{_ORDINAL})\b(?!\s(?:dose|visit)){_YEAR}"
    r"|\bday\s{1,3}(?:number\s)?\d{1,3}\s{1,3}of\s{1,3}(?:the\syear\s)?(?:19|20)\d\d\b",
    re.I,
)
_ORDINAL_WORD = re.compile(rf"\b(?:{_ORDINAL})\b", re.I)
_LETTERS = re.compile(
    r"\b(?:name|surname|patient|pt|family|given|called|named|spelled|nombre|apellidos?|paciente)\b[^\S\n]{0,3}(?:is\b|[:=])?[^\S\n]{0,3}"
    r"(?P<v>[^\W\d_](?:[ .\-_]{1,4}[^\W\d_]\b){3,80})",
    re.I,
)


def find_spelled(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of numbers of seven digits or more in words, of days in words, and of names letter by letter."""
    for m in _RUN.finditer(text):
        if _is_number(m[0]):
            yield *m.span(), "phone"
    for m in _DAY.finditer(text):
        yield *m.span(), "date"
    for m in _LETTERS.finditer(text):
        yield *m.span("v"), "name"


def _is_number(run: str) -> bool:
    digits = words = 0
    for m in _PART.finditer(run):
        words += m.lastgroup == "one"
        digits += len(m[0]) if m.lastgroup == "digits" else _WEIGHTS.get(m[0].casefold(), 1)
    return digits >= MIN_DIGITS and words >= MIN_WORDS


def has_spelled_day(value: str) -> bool:
    """True if a date has its day in words; such a date is not shifted."""
    return _ORDINAL_WORD.search(value) is not None
