"""Inference of a column description from the whole table; everything inferred is marked as observed."""

import re
from dataclasses import dataclass
from itertools import pairwise

from galenic.records.cell_text import clean_text, is_nested
from galenic.records.column_names import is_code_name, is_date_name, is_identifying_name
from galenic.records.column_notices import column_notices
from galenic.records.column_statistics import _ColumnStatistics
from galenic.records.number_formats import LIMIT, PLAIN
from galenic.records.patient_column import patient_columns
from galenic.records.source import Source
from galenic.schema import MISSING_TOKENS, Column, Kind

MOST_CATEGORIES = 60
DATES_FROM = 20  # values that must all be days for eight digits under any name to be dates
UNITS = {
    "years": "a", "yrs": "a", "months": "mo", "days": "d", "hours": "h", "mg": "mg", "kg": "kg", "cm": "cm", "mmhg": "mm[Hg]",
    "bpm": "/min", "mgdl": "mg/dL", "mmol": "mmol/L", "percent": "%", "pct": "%", "usd": "USD",
}  # fmt: skip  # suffix -> UCUM code where UCUM has one


@dataclass(frozen=True)
class TableInspection:
    """Description of every column, and sentences on what is read in a way that a user should know of."""

    columns: tuple[Column, ...]
    notices: tuple[str, ...]


def describe(source: Source, patient: str | None = None) -> tuple[Column, ...]:
    """A description of every column: kind, unit, missingness, bounds or categories, and its role (origin of all: observed).

    patient: the column that identifies patients; otherwise it is recognized by its name, if only one column has such a name.
    Reads the whole source once, in bounded memory.
    """
    return inspect_table(source, patient).columns


def inspect_table(source: Source, patient: str | None = None) -> TableInspection:
    """The description, as `describe` gives it, with notices."""
    statistics: dict[str, _ColumnStatistics] = {name: _ColumnStatistics() for name in source.names}
    for _, batch in source.raw():
        for name in source.names:
            if is_nested(batch[name].type):
                statistics[name].nested = True
            else:
                statistics[name].add(clean_text(batch[name], MISSING_TOKENS))
    recognized = None if patient else _patient(statistics)
    columns = tuple(_column(name, statistics[name], name in (patient, recognized)) for name in source.names)
    notices = tuple(n for c in columns for n in column_notices(c, statistics[c.name]))
    return TableInspection(tuple(c.but(kind_origin="observed") if c.name == recognized else c for c in columns), notices)


def _patient(statistics: dict[str, _ColumnStatistics]) -> str | None:
    names = patient_columns(tuple(statistics))
    return names[0] if len(names) == 1 and len(statistics[names[0]].hashes) > 1 else None


def _column(name: str, s: _ColumnStatistics, patient: bool) -> Column:
    kind, form = _kind(name, s)
    if patient:
        return Column(name, "identifier", role="patient", missing=False)
    missing = s.present < s.rows or s.nested
    column = Column(name, kind, _unit(name), missing=missing, kind_origin="observed")
    if kind in ("identifier", "text"):
        return column.but(role="drop", unit="")
    if kind == "date":
        fits = not form or s.dates[form] == s.present
        return _tolerant(column.but(format=form, bounds_origin="observed"), fits)
    if kind in ("numeric", "integer"):
        return _number_column(column, form, s)
    listed = tuple(sorted(s.values)) if len(s.hashes) <= MOST_CATEGORIES else ()
    return column.but(categories=listed, categories_origin="observed", other=not listed)


def _number_column(column: Column, form: str, s: _ColumnStatistics) -> Column:
    ranges = [s.ranges[f] for f in s.ranges if f in (form, PLAIN) or f.startswith(LIMIT)]
    lows = [r[0] for r in ranges] + [v for v in (s.low,) if v is not None]
    highs = [r[1] for r in ranges] + [v for v in (s.high,) if v is not None]
    decimals = max([s.decimals, *(r[2] for r in ranges)])
    step = 1.0 if column.kind == "integer" else 10.0**-decimals if decimals <= 4 else None
    unit = column.unit or (form.replace("#,#", "").replace("#", "").strip() if form else "")
    described = column.but(low=min(lows), high=max(highs), bounds_origin="observed", step=step, unit=unit)
    return _tolerant(described.but(format="" if form == PLAIN else form), s.fitting_numbers == s.present)


def _tolerant(column: Column, fits: bool) -> Column:
    """The column with a few values of another kind as missing."""
    return column if fits else column.but(strays="missing", missing=True)


def _kind(name: str, s: _ColumnStatistics) -> tuple[Kind, str]:
    if s.nested:
        return "text", ""
    if not s.present:
        return "category", ""
    form = _date_form(name, s)
    if form is not None:
        return "date", form
    if looks_identifying(name, s):
        return "identifier", ""
    if _numeric(s) and not is_code_name(name):
        whole = s.integers == s.numbers and all(r[2] == 0 for r in s.ranges.values())
        return ("integer" if whole else "numeric"), s.number_form
    if s.words / s.present >= 3 and s.distinct_share > 0.2:
        return "text", ""
    return "category", ""


def _numeric(s: _ColumnStatistics) -> bool:
    """Whether the values are numbers, apart from a few. Zeros before a digit are those of a code."""
    return s.numbers + sum(s.formats.values()) > 0 and not s.zeros_led and s.present - s.fitting_numbers <= s.strays


def _date_form(name: str, s: _ColumnStatistics) -> str | None:
    """The one date format that the values have, "" where day and month cannot be told apart, None where they are no dates."""
    forms = [form for form, hits in s.dates.items() if form != "%Y%m%d" and s.numbers < s.present and hits == s.present]
    if not forms:
        forms = [form for form, hits in s.dates.items() if form != "%Y%m%d" and hits >= max(s.present - s.strays, 1)]
    if forms:
        return forms[0] if len(forms) == 1 else ""
    compact = s.dates.get("%Y%m%d", 0) == s.present and (s.present >= DATES_FROM or is_date_name(name))
    return "%Y%m%d" if compact and (is_date_name(name) or s.distinct_share < 1) else None


def looks_identifying(name: str, s: _ColumnStatistics) -> bool:
    """Whether nearly every row has its own value, as only identifiers have: by name, by leading zeros or by length."""
    measured = s.numbers == s.present and s.decimals > 0
    named = is_identifying_name(name) and not measured
    if s.present < 20 or s.distinct_share < 0.5:
        return named and s.distinct_share > 0.1 and s.present >= 20
    if s.marked["time of day"] > s.present / 2:
        return False
    if named or s.zeros_led:
        return True
    if s.numbers == s.present:
        span = (s.high or 0) - (s.low or 0)
        return s.integers == s.present and s.distinct_share > 0.98 and span > 20 * s.present
    if _numeric(s):
        return False
    return s.words / s.present < 3 and s.distinct_share > 0.9


def suspicious(source: Source, names: tuple[str, ...]) -> dict[str, Kind]:
    """Columns that look like identifiers or free text, with the kind that they look like."""
    found: dict[str, Kind] = {}
    for column in describe(source) if names else ():
        if column.name in names and column.kind in ("identifier", "text"):
            found[column.name] = column.kind
    return found


def ambiguous_dates(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Date columns with an ambiguous format (day first or month first)."""
    return tuple(c.name for c in columns if c.kind == "date" and not c.format)


def _unit(name: str) -> str:
    explicit = re.search(r"[(\[]([^)\]]{1,12})[)\]]\s*$", name)
    if explicit:
        return explicit.group(1)
    parts = re.split(r"[_\W]", name.lower())
    for left, right in pairwise(["", *parts]):
        if left + right in UNITS:
            return UNITS[left + right]
    return UNITS.get(parts[-1], "")
