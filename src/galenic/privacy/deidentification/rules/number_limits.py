"""Limits of the numbers in one column: numbers that could be ages, dates, telephone or record numbers are withheld cell by
cell."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_PARTS = re.compile(r"[+-]?(?P<whole>\d*)(?:[.,](?P<fraction>\d*))?(?:[eE][+-]?\d+)?")
_FIRST = r"[+-]?[1-9]\d{0,2}"
_GROUPED = re.compile(  # thousands apart; a single point before three digits is that of a decimal number
    rf"{_FIRST}(?:,\d{{3}})+(?:\.\d{{1,2}})?|{_FIRST}(?:\.\d{{3}})+,\d{{1,2}}|{_FIRST}(?:\.\d{{3}}){{2,}}"
    rf"|{_FIRST}(?:[' ]\d{{3}})+(?:[.,]\d{{1,2}})?"
)
_CENTS = re.compile(r"[.,](\d{1,2})\Z")
LONG_NUMBER, LONG_FRACTION = 7, 7  # digits from which a number may be one of a person, before and after the point
ROUND = 1_000  # multiples of it are measured or estimated, however long
YOUNGEST_WITHHELD, OLDEST_PERSON = 90, 125  # years


@dataclass(frozen=True)
class NumberLimits:
    """Accepted numbers. digits, decimals: maximum before and after the point; high: largest absolute value of the measure;
    may_be_ages: True if numbers from 90 to 125 are withheld."""

    digits: int = LONG_NUMBER - 1
    decimals: int = LONG_FRACTION - 1
    high: float = float("inf")
    may_be_ages: bool = False

    def passes(self, value: str) -> bool:
        """True if a number is within all limits: fewer digits than identifiers have, no larger value than its measure allows,
        no age above 89."""
        parts = number_parts(value)
        if parts is None:
            return False
        whole, fraction, number = parts
        if len(whole) > 1 and whole[0] == "0":
            return False
        if len(whole) > self.digits or (len(whole) >= LONG_NUMBER and int(whole) % ROUND) or len(fraction) > self.decimals:
            return False
        if abs(number) > self.high:
            return False
        return not (self.may_be_ages and YOUNGEST_WITHHELD <= number < OLDEST_PERSON + 1)


def number_parts(value: str) -> tuple[str, str, float] | None:
    """(digits before the point, digits after it, value) of a number, or None."""
    if _GROUPED.fullmatch(value):
        cents = _CENTS.search(value)
        sign, digits = value[0] if value[0] in "+-" else "", re.sub(r"\D", "", value[: cents.start()] if cents else value)
        value = f"{sign}{digits}.{cents[1]}" if cents else f"{sign}{digits}"
    parts = _PARTS.fullmatch(value)
    if parts is None or not (parts["whole"] or parts["fraction"]):
        return None
    return parts["whole"], parts["fraction"] or "", float(value.replace(",", "."))


@cache
def _maxima() -> dict[str, float]:
    content = files("galenic.privacy.deidentification.rules").joinpath("measures.toml").read_text(encoding="utf-8")
    return {word: float(one["maximum"]) for one in tomllib.loads(content)["measure"] for word in one["words"].split()}


def largest_of_measure(words: list[str]) -> float:
    """The largest plausible value of the measures that a header's words name; infinite if none is listed."""
    return max((_maxima()[w] for w in words if w in _maxima()), default=float("inf"))
