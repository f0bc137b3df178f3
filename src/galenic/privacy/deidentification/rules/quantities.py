"""Numbers that identify nobody, and ages above 89 in every unit of time (45 CFR 164.514(b)(2)(i)(C))."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from galenic.privacy.deidentification.rules.codes import is_unit

OLDEST, TOP_CODE = 89, 90
_PER_YEAR = {
    **dict.fromkeys(("a", "a_j", "a_g", "yr", "yrs", "y", "year", "years", "yo"), 1.0),
    **dict.fromkeys(("jahr", "jahre", "an", "ans", "ano", "anos", "anno", "anni", "jaar"), 1.0),
    **dict.fromkeys(("monat", "monate", "mois", "mes", "meses", "mese", "mesi", "maand", "maanden"), 12.0),
    **dict.fromkeys(("tag", "tage", "jour", "jours", "dia", "dias", "giorno", "giorni", "dag", "dagen"), 365.2425),
    **dict.fromkeys(("mo", "mo_j", "mo_s", "month", "months", "mos"), 12.0),
    **dict.fromkeys(("wk", "w", "week", "weeks", "wks"), 52.1775), **dict.fromkeys(("d", "day", "days"), 365.2425),
    **dict.fromkeys(("h", "hr", "hour", "hours", "hrs"), 8765.82), **dict.fromkeys(("min", "minute", "minutes"), 525_949.2),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 31_556_952.0),
}  # fmt: skip
# LOINC codes whose value is a person's age
AGE_CODES = frozenset(
    (
        *(
            "30525-0",
            "21612-7",
            "21112-8",
            "29553-5",
            "63900-5",
            "35659-2",
            "39016-1",
            "74060-5",
            "21611-9",
            "30972-4",
            "29554-3",
            "64213-2",
            "67815-1",
        ),
        *("397659008", "424144002", "445518008", "397669002", "105727008"),  # SNOMED CT
    )
)
_COUNTED = re.compile(r"/|\{|cop|cell|CFU|IU|\bU\b|step|kcal|count|score|10\*|10\^|UNT")
_SMALL = re.compile(
    r"m[LlsgVU]|[un]g|pg|fL|mcg|min|minutes?|h|hours?|d|days?|s|seconds?"
)  # units of which there may be thousands
SIGNIFICANT = 6  # digits of the most exact measurement
MAX_PLAIN, MAX_SMALL, MAX_COUNTED = (
    9_999,
    99_999,
    9_999_999,
)  # largest number without a unit, of a small unit, of what is counted


def years_of(value: float, unit: str) -> float | None:
    """Number of years for a value in a unit of time; None for other units."""
    per_year = _PER_YEAR.get(unit.strip().strip("[]{}").casefold())
    return None if per_year is None else value / per_year


def is_over_89(value: float, unit: str) -> bool:
    """True if a length of time is an age above 89."""
    years = years_of(value, unit)
    return years is not None and years >= OLDEST + 1


def may_be_years(unit: str | None) -> bool:
    """True if a number with this unit could be years: without a unit, or with an unknown word."""
    return not unit or unit == "1" or unit.startswith("{") or not is_unit(unit)


def is_measurement(value: Any, unit: str | None) -> bool:
    """True if a number can be a measurement rather than a telephone number, postal code or record number."""
    try:
        number = abs(float(value))
    except (TypeError, ValueError, OverflowError):
        return False
    digits = re.sub(r"\D", "", str(value).lower().partition("e")[0]).strip("0")
    if len(digits) > 12 and "." not in str(value):
        return False
    known = unit is not None and unit != "" and is_unit(unit)
    if known and _COUNTED.search(str(unit)):
        return number <= MAX_COUNTED
    return number <= (MAX_SMALL if known and _SMALL.fullmatch(str(unit)) else MAX_PLAIN)


def rounded(value: Any) -> Any:
    """Number, rounded to five significant digits if it has more than six, because no measurement is that exact, but an
    identifier with a decimal point is."""
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return value
    if not exact.is_finite() or len(exact.normalize().as_tuple().digits) <= SIGNIFICANT:
        return value
    return float(f"{exact:.{SIGNIFICANT - 2}e}")
