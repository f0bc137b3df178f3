"""Dates in text: parsed, shifted, and written again in the same format."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from galenic.privacy.text.spelled_identifiers import has_spelled_day

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
SPANISH = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]
WEEKDAYS: tuple[str, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAYS += ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_NUMBERS = re.compile(r"(\d{1,4})([-/.|\s])(\d{1,2})\2(\d{2,4})(?!\d)")
_SHORT = re.compile(r"(\d{1,2})([-/.])(\d{1,4})(?!\d)")
_EIGHT = re.compile(r"(?:19|20)\d{6}")
_WORDS = re.compile(r"[^\W\d_]+")
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class ShiftedDate:
    """A shifted date. text: in the original's format, None if the original could not be parsed. year: the original's year."""

    text: str | None
    year: int | None


def _full(year: str) -> int:
    n = int(year)
    return n if len(year) > 2 else n + (1900 if n > 30 else 2000)


def _as(year: int, like: str) -> str:
    return f"{year:04d}" if len(like) > 2 else f"{year % 100:02d}"


def _padded(n: int, *like: str) -> str:
    """With a leading zero if one of the original numbers had one."""
    return f"{n:02d}" if any(part[0] == "0" for part in like) else str(n)


def _cased(word: str, like: str) -> str:
    return word.upper() if like.isupper() and len(like) > 1 else word.capitalize() if like[0].isupper() else word


def _month(word: str) -> tuple[int, list[str]] | None:
    low = word.casefold()
    for names in (MONTHS, SPANISH):
        for i, name in enumerate(names):
            if low == name or (len(low) >= 3 and name.startswith(low)):
                return i + 1, names
    return None


def shift_date(text: str, days: int, *, day_first: bool = False) -> ShiftedDate:
    """The date that many days later, in the original format. A month or year (May 2019, 2019) is shifted from its middle."""
    if has_spelled_day(text):
        return ShiftedDate(None, None)
    shift = timedelta(days)
    try:
        for parse in (_numeric, _named, _bare):
            shifted = parse(text, lambda d: d + shift, day_first)
            if shifted is not None:
                return shifted
    except (ValueError, OverflowError):
        pass
    return ShiftedDate(None, None)


Later = Callable[[date], date]


def _numeric(text: str, later: Later, day_first: bool) -> ShiftedDate | None:
    m = _NUMBERS.search(text)
    if m:
        a, sep, b, c = m.groups()
        if len(a) == 4:
            d = date(int(a), int(b), int(c))
            n = later(d)
            new = sep.join((f"{n.year:04d}", f"{n.month:0{len(b)}d}", f"{n.day:0{len(c)}d}"))
            return ShiftedDate(text[: m.start()] + new + text[m.end() :], d.year)
        swap = int(a) > 12 or (day_first and int(b) <= 12)
        day, month = (a, b) if swap else (b, a)
        d = date(_full(c), int(month), int(day))
        n = later(d)
        parts = (_padded(n.day, a, b), _padded(n.month, a, b)) if swap else (_padded(n.month, a, b), _padded(n.day, a, b))
        return ShiftedDate(text[: m.start()] + sep.join((*parts, _as(n.year, c))) + text[m.end() :], d.year)
    m = _EIGHT.fullmatch(text.strip())
    if m:
        d = date(int(m[0][:4]), int(m[0][4:6]), int(m[0][6:]))
        return ShiftedDate(later(d).strftime("%Y%m%d"), d.year)
    m = _SHORT.fullmatch(text.strip())
    if not m:
        return None
    a, sep, c = m.groups()
    if len(c) == 4:  # month and year
        n = later(date(int(c), int(a), 15))
        return ShiftedDate(f"{_padded(n.month, a)}{sep}{n.year}", int(c))
    swap = int(a) > 12 or (day_first and int(c) <= 12)
    day, month = (a, c) if swap else (c, a)
    n = later(date(2001, int(month), int(day)))
    parts = (_padded(n.day, a, c), _padded(n.month, a, c)) if swap else (_padded(n.month, a, c), _padded(n.day, a, c))
    return ShiftedDate(sep.join(parts), None)


def _named(text: str, later: Later, _day_first: bool) -> ShiftedDate | None:
    words = [(m, month_and_names) for m in _WORDS.finditer(text) if (month_and_names := _month(m[0]))]
    if not words:
        return None
    word, (month, names) = words[0]
    year = _YEAR.search(text)
    rest = [m for m in _NUMBER.finditer(text) if not year or m.start() != year.start()]
    short = [m for m in rest if len(m[0]) == 2 and m.start() > word.end() and text[m.start() - 1] == "'"]
    days = [m for m in rest if m not in short and 1 <= int(m[0]) <= 31]
    if year is None and len(rest) == 2:  # 5 Mar 19
        short, days = rest[1:], rest[:1]
    y = int(year[0]) if year else _full(short[0][0]) if short else 2001
    n = later(date(y, month, int(days[0][0]) if days else 15))
    name = names[n.month - 1]
    marks = [(word, _cased(name if len(word[0]) > 3 or word[0].casefold() == "may" else name[:3], word[0]))]
    if days:
        marks.append((days[0], _padded(n.day, days[0][0])))
    if year or short:
        mark = year or short[0]
        marks.append((mark, _as(n.year, mark[0])))
    out = text
    for m, new in sorted(marks, key=lambda x: -x[0].start()):
        out = out[: m.start()] + new + out[m.end() :]
    if days:
        out = re.sub(rf"\b{n.day}(?:st|nd|rd|th)\b", _ordinal(n.day), out)
    return ShiftedDate(out, y if year or short else None)


def _ordinal(n: int) -> str:
    return f"{n}{'th' if 10 <= n % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def _bare(text: str, later: Later, _day_first: bool) -> ShiftedDate | None:
    if text.strip().casefold() in WEEKDAYS:  # shifts are whole weeks
        return ShiftedDate(text, None)
    m = _YEAR.search(text)
    if m is None or len(_NUMBER.findall(text)) > 1:
        return None
    return ShiftedDate(text[: m.start()] + str(later(date(int(m[0]), 7, 2)).year) + text[m.end() :], int(m[0]))
