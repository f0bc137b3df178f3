"""Inference of a column description from the whole table; everything inferred is marked as observed."""

import re
from dataclasses import dataclass, field
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.parse import DATE_FORMATS, INTEGER, LEADING_ZERO, NUMBER, clean_text, convert, matches, parse_dates
from galenic.records.patient_column import patient_columns
from galenic.records.source import Source
from galenic.schema import MISSING_TOKENS, Column, Kind

DISTINCT_KEPT = 2_000
DISTINCT_COUNTED = 200_000  # past this many, the share of distinct values is that of the rows read so far
MOST_CATEGORIES = 60
IDENTIFYING = re.compile(
    r"(^|[_\W])(unnamed|id|ids|nbr|mrn|ssn|nhs|npi|uuid|guid|key|email|e_?mail|phone|fax|tel|name|surname|address|street)($|[_\W])",
    re.I,
)
UNITS = {
    "years": "a", "yrs": "a", "months": "mo", "days": "d", "hours": "h", "mg": "mg", "kg": "kg", "cm": "cm", "mmhg": "mm[Hg]",
    "bpm": "/min", "mgdl": "mg/dL", "mmol": "mmol/L", "percent": "%", "pct": "%", "usd": "USD",
}  # fmt: skip  # suffix -> UCUM code where UCUM has one


@dataclass
class _ColumnStatistics:
    """Statistics of one column so far."""

    rows: int = 0
    present: int = 0
    integers: int = 0
    numbers: int = 0
    zeros_led: int = 0
    words: int = 0
    length: int = 0
    decimals: int = 0
    low: float | None = None
    high: float | None = None
    dates: dict[str, int] = field(default_factory=dict)
    values: set[str] = field(default_factory=set)
    hashes: set[int] = field(default_factory=set)
    counted: int = 0

    @property
    def distinct_share(self) -> float:
        """Distinct values over values, among the counted rows."""
        return len(self.hashes) / max(self.counted, 1)

    def add(self, text: pa.ChunkedArray) -> None:
        self.rows += len(text)
        text = text.drop_null()
        self.present += len(text)
        if not len(text):
            return
        if len(self.hashes) < DISTINCT_COUNTED:
            self.counted += len(text)
            for value in pc.unique(text).to_pylist():
                self.hashes.add(hash(value))
                if len(self.values) <= DISTINCT_KEPT:
                    self.values.add(value)
        self.integers += _count(text, INTEGER)
        self.numbers += _count(text, NUMBER)
        self.zeros_led += _count(text, LEADING_ZERO)
        self.length += pc.sum(pc.utf8_length(text)).as_py() or 0
        self.words += pc.sum(pc.count_substring(text, " ")).as_py() or 0
        if self.numbers == self.present:
            self._bounds(text)
        elif self.numbers == 0:
            for form in DATE_FORMATS:
                self.dates[form] = self.dates.get(form, 0) + len(text) - parse_dates(text, form).null_count

    def _bounds(self, text: pa.ChunkedArray) -> None:
        extremes = pc.min_max(convert(text, Column("x", "numeric"))).as_py()
        self.low = extremes["min"] if self.low is None else min(self.low, extremes["min"])
        self.high = extremes["max"] if self.high is None else max(self.high, extremes["max"])
        decimals = pc.utf8_length(pc.replace_substring_regex(text, r"^[^.]*\.?", ""))
        self.decimals = max(self.decimals, pc.max(decimals).as_py() or 0)


def _count(text: pa.ChunkedArray, pattern: str) -> int:
    return int(pc.sum(matches(text, pattern)).as_py() or 0)


def describe(source: Source, patient: str | None = None) -> tuple[Column, ...]:
    """A description of every column: kind, unit, missingness, bounds or categories, and its role (origin of all: observed).

    patient: the column that tells patients apart; otherwise it is recognized by its name, if one column alone has such a name.
    Reads the whole source once, in bounded memory.
    """
    statistics: dict[str, _ColumnStatistics] = {name: _ColumnStatistics() for name in source.names}
    for _, batch in source.raw():
        for name in source.names:
            statistics[name].add(clean_text(batch[name], MISSING_TOKENS))
    recognized = None if patient else _patient(statistics)
    columns = (_column(name, statistics[name], name in (patient, recognized)) for name in source.names)
    return tuple(c.but(kind_origin="observed") if c.name == recognized else c for c in columns)


def _patient(statistics: dict[str, _ColumnStatistics]) -> str | None:
    names = patient_columns(tuple(statistics))
    return names[0] if len(names) == 1 and len(statistics[names[0]].hashes) > 1 else None


def _column(name: str, s: _ColumnStatistics, patient: bool) -> Column:
    kind, form = _kind(name, s)
    if patient:
        return Column(name, "identifier", role="patient", missing=False)
    missing = s.present < s.rows
    column = Column(name, kind, _unit(name), missing=missing, kind_origin="observed")
    if kind in ("identifier", "text"):
        return column.but(role="drop", unit="")
    if kind == "date":
        return column.but(format=form, bounds_origin="observed")
    if kind in ("numeric", "integer"):
        step = 1.0 if kind == "integer" else 10.0**-s.decimals if s.decimals <= 4 else None
        return column.but(low=s.low, high=s.high, bounds_origin="observed", step=step)
    listed = tuple(sorted(s.values)) if len(s.hashes) <= MOST_CATEGORIES else ()
    return column.but(categories=listed, categories_origin="observed", other=not listed)


def _kind(name: str, s: _ColumnStatistics) -> tuple[Kind, str]:
    if not s.present:
        return "category", ""
    forms = [form for form, hits in s.dates.items() if hits == s.present]
    if s.numbers < s.present and forms:
        return "date", forms[0] if len(forms) == 1 else ""
    if looks_identifying(name, s):
        return "identifier", ""
    if s.numbers == s.present and not s.zeros_led:
        return ("integer" if s.integers == s.present else "numeric"), ""
    if s.words / s.present >= 3 and s.distinct_share > 0.2:
        return "text", ""
    return "category", ""


def looks_identifying(name: str, s: _ColumnStatistics) -> bool:
    """Whether nearly every row has its own value, as only identifiers have: by name, by leading zeros or by length."""
    if s.present < 20 or s.distinct_share < 0.5:
        return bool(IDENTIFYING.search(name)) and s.distinct_share > 0.1 and s.present >= 20
    if IDENTIFYING.search(name) or s.zeros_led:
        return True
    if s.numbers == s.present:
        span = (s.high or 0) - (s.low or 0)
        return s.integers == s.present and s.distinct_share > 0.98 and span > 20 * s.present
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
