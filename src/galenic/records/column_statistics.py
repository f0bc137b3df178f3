"""Statistics of the values of one column, from one pass in bounded memory."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.number_formats import COMMA, PLAIN, number_format, number_value
from galenic.records.number_formats import LIMIT as LIMIT_MARK
from galenic.records.parse import DATE_FORMATS, INTEGER, LEADING_ZERO, NUMBER, matches, parse_dates

DISTINCT_KEPT = 2_000
DISTINCT_COUNTED = 200_000  # past this many, the share of distinct values is that of the rows read so far
STRAY_SHARE, STRAYS_FROM = 0.005, 50  # values of another kind that become missing, in columns of at least so many values
TIME_OF_DAY = r"^([01]?\d|2[0-4]):[0-5]\d(:[0-5]\d(\.\d+)?)?( ?[AaPp][Mm])?$"
SHORT_YEAR = r"^\d{1,2}[./-](\d{1,2}|[A-Za-z]{3})[./-]\d{2}$"
MIDNIGHT = r"[ T]0{1,2}:00(:00(\.0+)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?$"
WITH_TIME = r"\d[ T]\d{1,2}:\d{2}"
MISSING_CODES = (-9.0, -99.0, -999.0, -9999.0, -1.0, 99.0, 999.0, 9999.0, 99999.0)


@dataclass
class _ColumnStatistics:
    """Statistics of one column so far. formats, ranges: of numbers with a unit, a currency or separators, by number format: how many,
    and (lowest, highest, most decimals). marked: values by what is said of them in notices."""

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
    nested: bool = False
    dates: dict[str, int] = field(default_factory=dict)
    formats: Counter[str] = field(default_factory=Counter)
    ranges: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    marked: Counter[str] = field(default_factory=Counter)
    values: set[str] = field(default_factory=set)
    hashes: set[int] = field(default_factory=set)
    counted: int = 0

    @property
    def distinct_share(self) -> float:
        """Distinct values over values, among the counted rows."""
        return len(self.hashes) / max(self.counted, 1)

    @property
    def strays(self) -> int:
        """How many values of another kind a column may have: they become missing."""
        return max(1, int(STRAY_SHARE * self.present)) if self.present >= STRAYS_FROM else 0

    @property
    def number_form(self) -> str:
        """The most frequent number format among values that are no plain numbers, "" where there are none."""
        whole = {f: n for f, n in self.formats.items() if not f.startswith(LIMIT_MARK)}
        if whole:
            return max(whole, key=lambda f: (whole[f], f))
        return COMMA if any(COMMA in f for f in self.formats) else ""

    @property
    def fitting_numbers(self) -> int:
        """Values that are numbers, plain or in the most frequent format."""
        form = self.number_form
        whole = self.numbers + self.formats[form] + (self.formats[PLAIN] if form not in ("", PLAIN) else 0)
        limits = sum(n for f, n in self.formats.items() if f.startswith(LIMIT_MARK))
        return whole + limits if whole > limits else whole

    def add(self, text: pa.ChunkedArray) -> None:
        """Counts values; null is missing."""
        self.rows += len(text)
        text = text.drop_null()
        self.present += len(text)
        if not len(text):
            return
        self._count_distinct(text)
        numbers = pc.fill_null(matches(text, NUMBER), False)
        self.integers += _count(text, INTEGER)
        self.zeros_led += _count(text, LEADING_ZERO)
        self.length += pc.sum(pc.utf8_length(text)).as_py() or 0
        self.words += pc.sum(pc.count_substring(text, " ")).as_py() or 0
        plain, others = text.filter(numbers), text.filter(pc.invert(numbers))
        self.numbers += len(plain)
        if len(plain):
            self._add_numbers(plain)
        if len(others):
            self._add_others(others)

    def _count_distinct(self, text: pa.ChunkedArray) -> None:
        if len(self.hashes) >= DISTINCT_COUNTED:
            return
        self.counted += len(text)
        for value in pc.unique(text).to_pylist():
            self.hashes.add(hash(value))
            if len(self.values) <= DISTINCT_KEPT:
                self.values.add(value)

    def _add_numbers(self, text: pa.ChunkedArray) -> None:
        floats = pc.replace_substring_regex(text, r"^\+", "").cast(pa.float64())
        extremes = pc.min_max(floats.filter(pc.is_finite(floats))).as_py()
        if extremes["min"] is not None:
            self.low = extremes["min"] if self.low is None else min(self.low, extremes["min"])
            self.high = extremes["max"] if self.high is None else max(self.high, extremes["max"])
        decimals = pc.utf8_length(pc.replace_substring_regex(text, r"^[^.]*\.?", ""))
        self.decimals = max(self.decimals, pc.max(decimals).as_py() or 0)
        self.dates["%Y%m%d"] = self.dates.get("%Y%m%d", 0) + len(text) - parse_dates(text, "%Y%m%d").null_count
        for code in MISSING_CODES:
            self.marked[f"code {code:g}"] += pc.sum(pc.equal(floats, code)).as_py() or 0

    def _add_others(self, text: pa.ChunkedArray) -> None:
        for form in DATE_FORMATS:
            self.dates[form] = self.dates.get(form, 0) + len(text) - parse_dates(text, form).null_count
        self.marked["time of day"] += _count(text, TIME_OF_DAY)
        self.marked["short year"] += _count(text, SHORT_YEAR)
        self.marked["timed"] += _count(text, WITH_TIME) - _count(text, MIDNIGHT)
        for pair in pc.value_counts(text).to_pylist():
            written = number_format(pair["values"])
            if written is not None:
                self.formats[written] += pair["counts"]
                self.marked["limit"] += pair["counts"] if written.startswith(LIMIT_MARK) else 0
                self._add_formatted(pair["values"], written)

    def _add_formatted(self, text: str, form: str) -> None:
        value = number_value(text, form) or 0.0
        digits = text.rpartition("," if COMMA in form else ".")
        decimals = sum(c.isdigit() for c in digits[2]) if digits[1] else 0
        low, high, most = self.ranges.get(form, (value, value, 0))
        self.ranges[form] = (min(low, value), max(high, value), max(most, decimals))


def _count(text: pa.ChunkedArray, pattern: str) -> int:
    return int(pc.sum(matches(text, pattern)).as_py() or 0)
