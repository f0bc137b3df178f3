"""Dates in the cells of tables: the usual written forms of several languages, serial numbers of spreadsheets, seconds since 1970."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from galenic.privacy.deidentification.rules.vocabulary import fold, word_set

_NAMES = (
    "january jan januar janner jaenner janvier enero ene gennaio gen janeiro januari janv",
    "february feb februar fevrier febrero febbraio fevereiro februari fevr fev",
    "march mar marz maerz mars marzo marco maart mrt mrz",
    "april apr avril abril abr aprile avr",
    "may mai mayo maggio mag maio mei",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet julio luglio lug julho juil",
    "august aug aout agosto ago augustus",
    "september sep sept septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez decembre diciembre dic dicembre dezembro",
)
MONTHS = {name: i + 1 for i, names in enumerate(_NAMES) for name in names.split()}
_MONTH = "(" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\.?"
_WEEKDAYS = word_set("weekdays")
_BEFORE = (
    rf"(?:(?:{'|'.join(sorted(_WEEKDAYS, key=len, reverse=True))})(?:-feira)?[.,]{{0,2}}\s{{1,2}})?"
    r"(?:den |le |el |il |am |on |op )?"
)
_TIME = (
    r"(?P<time>[t ,]{1,3}\d{1,2}[:.h]\d\d(?:[:.]\d\d)?(?:[.,]\d{1,9})?(?: ?[ap]\.?m\.?)?(?: ?(?:uhr|h|hrs))?"
    r"(?: ?(?:z|utc|gmt|ces?t|mez|mesz|e[sd]t|p[sd]t|[+-]\d\d:?\d\d))?(?:\[[a-z/_]{1,30}\])?)?"
)
_D, _Y = r"(?P<d>\d{1,2})", r"(?P<y>\d{4}|'?\d\d)"
_SEP = r"[-/.\s]{1,2}"
_ORDINAL = r"(?:st|nd|rd|th|er|e|o|a|º|ª|°|\.)?"
_OF = r"(?:(?:of|de|del|di|do) )?"
_FORMS = tuple(
    re.compile(_BEFORE + form + _TIME)
    for form in (
        rf"(?P<y>\d{{4}}){_SEP}(?P<m>\d{{1,2}}){_SEP}{_D}",
        rf"(?P<a>\d{{1,2}}){_SEP}(?P<b>\d{{1,2}}){_SEP}{_Y}",
        r"(?P<y>(?:18|19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?:t?\d{4,6}z?)?",
        rf"{_D}{_ORDINAL}[-\s/.]{{0,2}}{_OF}{_MONTH}[-,\s/.]{{0,2}}{_OF}{_Y}",
        rf"{_D}{_ORDINAL}[-\s/.]{{0,2}}{_OF}{_MONTH}",
        rf"{_MONTH}[-\s/.]{{0,2}}{_D}{_ORDINAL}[-,\s/.]{{1,2}}{_Y}",
        rf"{_MONTH}[-,\s/.]{{0,2}}{_OF}{_Y}",
        rf"{_MONTH}[-\s/.]{{0,2}}{_D}{_ORDINAL}",
        rf"(?P<y>\d{{4}})[-\s/.]{{0,2}}{_MONTH}[-\s/.]{{0,2}}{_D}?",
        r"(?P<y>(?:18|19|20)\d\d)[-/](?P<m>0?[1-9]|1[0-2])",
        r"(?P<y>(?:18|19|20)\d\d)[-/.](?:00[1-9]|0[1-9]\d|[12]\d\d|3[0-5]\d|36[0-6])",
        r"(?P<m>0?[1-9]|1[0-2])[-/.](?P<y>(?:18|19|20)\d\d)",
        r"(?P<y>(?:18|19|20)\d\d)[-\s]?(?:w|kw|q|s)[-\s]?\d{1,2}(?:-\d)?",
        r"(?:w|kw|q|spring|summer|autumn|fall|winter|fruhjahr|fruhling|sommer|herbst|ete|hiver)[-\s]?\d{0,2}[-/\s]{1,2}(?P<y>(?:18|19|20)\d\d)",
        r"(?P<d>0?[1-9]|[12]\d|3[01])\.(?P<m>0?[1-9]|1[0-2])\.",
        rf"{_MONTH}",
    )
)  # fmt: skip
_INSIDE = re.compile(
    rf"(?<![\d.])(?:\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d\d)|(?:18|19|20)\d\d[-/.]\d{{1,2}}[-/.]\d{{1,2}})(?![\d.])|(?<![a-z\d])\d{{1,2}}{_ORDINAL}[-\s]{{0,2}}{_OF}{_MONTH}(?![a-z])"
    rf"|(?<![a-z]){_MONTH}[-,\s/.]{{0,2}}{_OF}\d{{1,4}}(?!\d)|(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"
)  # fmt: skip
LONGEST = 60  # characters of a date
_EPOCH = date(1899, 12, 30)  # day 0 of spreadsheets
SERIALS = (7_000, 80_000)  # 1919 to 2119
SECONDS = (300_000_000, 4_000_000_000)  # 1979 to 2096


@dataclass(frozen=True)
class CellDate:
    """Date in a cell. year: None if it is not written. day: None if the form has no day. century: True if the century is
    written. time: time of day as written, or ""."""

    year: int | None
    day: date | None
    century: bool
    time: str = ""


@lru_cache(100_000)
def parse_date(value: str, *, day_first: bool = False) -> CellDate | None:
    """Date that a cell consists of, or None."""
    if len(value) > LONGEST or not any(c.isdigit() for c in value):
        return None
    low = " ".join(fold(value).split())
    for form in _FORMS:
        m = form.fullmatch(low)
        if m is not None:
            found = _read(m, low, value, day_first=day_first)
            if found is not None:
                return found
    return None


def contains_date(value: str) -> bool:
    """True if a text contains a date."""
    return bool(_INSIDE.search(fold(value)))


def _read(m: re.Match[str], low: str, value: str, *, day_first: bool) -> CellDate | None:
    parts = m.groupdict()
    year, century = _year(parts.get("y"))
    if _may_be_day(parts):
        year, century = None, False
    month = _number(parts.get("m")) or next((MONTHS[w] for w in re.findall(r"[a-z]+", low) if w in MONTHS), None)
    day = _number(parts.get("d"))
    if parts.get("a"):
        a, b = int(parts["a"]), int(parts["b"])
        day, month = (a, b) if a > 12 or (day_first and b <= 12) else (b, a)
    if (month or 1) > 12 or (day or 1) > 31 or (month == 0) or (day == 0):
        return None
    time = parts.get("time") or ""
    whole = _day(year, month, day)
    return CellDate(year, whole, century, value[len(value) - len(time) :] if time else "")


def _may_be_day(parts: dict[str, str]) -> bool:
    """True if the number after a month alone may be a day instead of a year: Mar 14."""
    written = parts.get("y") or ""
    return (
        len(written) == 2
        and written.isdigit()
        and not (parts.get("d") or parts.get("m") or parts.get("a"))
        and int(written) <= 31
    )


def _number(written: str | None) -> int | None:
    return int(written) if written else None


def _day(year: int | None, month: int | None, day: int | None) -> date | None:
    try:
        return date(year, month, day) if year and month and day else None
    except ValueError:
        return None


def _year(written: str | None) -> tuple[int | None, bool]:
    if not written:
        return None, True
    digits = written.lstrip("'")
    if len(digits) == 4:
        return int(digits), True
    now = date.today().year
    n = int(digits) + now // 100 * 100
    return (n if n <= now else n - 100), False


def date_of_number(number: float) -> CellDate | None:
    """Date that a number in a date column represents: a year, a spreadsheet's serial number, seconds or milliseconds since
    1970."""
    whole = int(number)
    if 1850 <= whole <= 2100 and number == whole:
        return CellDate(whole, None, True)
    if SERIALS[0] <= number <= SERIALS[1]:
        day = _EPOCH + timedelta(whole)
        return CellDate(day.year, day, True)
    for scale in (1, 1_000, 1_000_000):
        if SECONDS[0] * scale <= number <= SECONDS[1] * scale:
            day = datetime.fromtimestamp(number / scale, UTC).date()
            return CellDate(day.year, day, True)
    return None
