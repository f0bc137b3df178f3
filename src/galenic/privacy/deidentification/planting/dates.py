"""Dates to plant in the format of other dates, and the dates that a text contains in any format."""

import datetime
import re
from collections.abc import Iterator

import numpy as np

FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y",
    "%m-%d-%y", "%d-%m-%y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y",
    "%d-%B-%Y", "%Y%m%d",
)  # fmt: skip
_TIME = re.compile(r"[T ]\d\d?:\d\d.*$")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "ene", "abr", "ago", "dic"]
_NUMBER_OF = dict(zip(_MONTHS, [*range(1, 13), 1, 4, 8, 12], strict=True))
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_NUMERIC = re.compile(r"(?<!\d)(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?=\d{4,6}(?!\d)|(?!\d))")
_BY_NAME = (
    re.compile(rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ -]+(?:de )?{_MONTH},?[ -]+(?:de )?(?P<year>\d{{4}}|\d\d)(?!\d)"),
    re.compile(rf"{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})(?!\d)"),
)
_MONTH_AND_YEAR = re.compile(rf"\b{_MONTH},? (?:de |of )?(?P<year>\d{{4}})(?!\d)")
_CJK = re.compile(r"(\d{4})[年년]\s?(\d{1,2})[月월]\s?(\d{1,2})[日일]")
Day = tuple[int, int, int]


def format_of(values: list[str]) -> str | None:
    """The format that most of the values have, and at least half; None if there is none."""
    stripped = [_TIME.sub("", v.strip()) for v in values]
    counts = {f: sum(parse(v, f) is not None for v in stripped) for f in FORMATS}
    best = max(counts, key=lambda f: counts[f], default="")
    return best if stripped and counts[best] * 2 >= len(stripped) else None


def parse(value: str, form: str) -> datetime.date | None:
    """Date of a value in a format; None if it does not match."""
    try:
        return datetime.datetime.strptime(value, form).date()  # a calendar day
    except ValueError:
        return None


def date_like(value: str, form: str, rng: np.random.Generator) -> tuple[str, datetime.date] | None:
    """Another day in nearby years, in the format of the value; None if the value has another format."""
    head = _TIME.sub("", value.strip())
    day = parse(head, form)
    if day is None:
        return None
    other = day + datetime.timedelta(days=int(rng.integers(40, 2_000)) * (1 if rng.random() < 0.3 else -1))
    other = min(other, datetime.date(2024, 1, 1) + datetime.timedelta(days=int(rng.integers(600))))
    text = other.strftime(form)
    if head != day.strftime(form):  # without leading zeros, or in capitals
        text = re.sub(r"\b0(\d)", r"\1", text) if re.sub(r"\b0(\d)", r"\1", day.strftime(form)) == head else text
        text = text.upper() if head.isupper() else text
    return text + value.strip()[len(head) :], other


def days_of_a_week(rng: np.random.Generator) -> list[datetime.date]:
    """Seven days in a row, in years that do not occur in planted texts, so that a date shifted by complete weeks never equals
    another planted one."""
    first = datetime.date(1970, 1, 2) + datetime.timedelta(days=int(rng.integers(3_600)))
    return [first + datetime.timedelta(days=number) for number in range(7)]


def dates_in(text: str) -> tuple[set[Day], set[tuple[int, int]]]:
    """(days, months of years) that a text in lower case contains, with each number read in every possible way."""
    days = {d for m in _NUMERIC.finditer(text) for d in _readings(int(m[1]), int(m[3]), int(m[4]), len(m[1]))}
    days |= {(int(m[1]), int(m[2]), int(m[3])) for pattern in (_COMPACT, _CJK) for m in pattern.finditer(text)}
    days |= {
        (y, _NUMBER_OF[m["month"]], int(m["day"])) for p in _BY_NAME for m in p.finditer(text) for y in _years(int(m["year"]))
    }
    months = {(int(m["year"]), _NUMBER_OF[m["month"]]) for m in _MONTH_AND_YEAR.finditer(text)}
    return days, months


def _years(year: int) -> tuple[int, ...]:
    return (year,) if year >= 100 else (1900 + year, 2000 + year)


def _readings(a: int, b: int, c: int, width: int) -> Iterator[Day]:
    if width == 4:
        yield a, b, c
        return
    for year in _years(c):
        yield year, a, b
        yield year, b, a
