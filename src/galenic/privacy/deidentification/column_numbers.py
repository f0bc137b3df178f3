"""Statistics of the numbers of a column, and tests for ages, days and record numbers."""

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic.privacy.deidentification.rules.number_limits import OLDEST_PERSON, YOUNGEST_WITHHELD

MOST_DISTINCT = 5_000  # distinct values that are counted
MOST_LEVELS = 20  # distinct numbers of a category
LONG = 7  # digits from which a whole number may be an identifier
FEW_CELLS, FEW_SHARE = 3, 0.005  # fewer cells of a form are single strays
FIRST_YEAR, LAST_YEAR = 1880, 2035
BEYOND = 50  # years above the oldest person's age in which numbers that are no ages go on
LEAST_BEYOND, LEAST_SHARE_BEYOND = 8, 0.01  # different ones of these, and their share of all numbers
LEAST_OF_OLD = 0.25  # or their number by that of possible ages above 89
ALL_DIFFERENT, EQUALLY_FREQUENT = 0.95, 0.8  # of the different numbers, with the same number of cells
NEIGHBORS = 1.02  # changes from row to row by different number, where each stands in neighboring rows
EVEN, TAIL = 0.1, 0.01
DAYS = 0.95  # of the numbers


@dataclass
class NumberStatistics:
    """Statistics of the cells that are numbers.

    decimals: numbers with a fractional part; precise: with four decimals or more. digits, fractions: numbers by their digits before and
    after the point. years: whole numbers that may be years. old: possible ages above 89. beyond: cells by the numbers just above the age
    of the oldest person. values: cells by whole number, of a limited number of these. changes: whole numbers that differ from the one
    before, which is last.
    """

    count: int = 0
    decimals: int = 0
    precise: int = 0
    long: int = 0
    leading_zeros: int = 0
    years: int = 0
    old: int = 0
    beyond: Counter[int] = field(default_factory=Counter)
    values: Counter[int] = field(default_factory=Counter)
    changes: int = 0
    last: float = float("nan")
    digits: Counter[int] = field(default_factory=Counter)
    fractions: Counter[int] = field(default_factory=Counter)
    low: float = float("inf")
    high: float = float("-inf")
    total: float = 0.0
    squares: float = 0.0

    def add(self, numbers: pa.ChunkedArray) -> None:
        """Add plain numbers, as text."""
        if not len(numbers):
            return
        values = pc.replace_substring_regex(numbers, r"^\+", "").cast(pa.float64())
        values = values.filter(pc.is_finite(values))
        if not len(values):
            return
        extremes = pc.min_max(values).as_py()
        self.count += len(numbers)
        self.low, self.high = min(self.low, extremes["min"]), max(self.high, extremes["max"])
        self.total += pc.sum(values).as_py()
        self.squares += pc.sum(pc.multiply(values, values)).as_py()
        self.decimals += _count(numbers, r"\.\d*[1-9]")
        self.precise += _count(numbers, r"\.\d{4,}")
        self.long += _count(numbers, rf"^[+-]?\d{{{LONG},}}")
        self.leading_zeros += _count(numbers, r"^0\d")
        self._add_forms(numbers, values.to_numpy())

    def _add_forms(self, numbers: pa.ChunkedArray, values: np.ndarray) -> None:
        """Count digits, and values that may be years or ages."""
        whole = np.floor(np.log10(np.maximum(np.abs(values), 1))).astype(int) + 1
        self.digits.update(dict(zip(*(a.tolist() for a in np.unique(whole, return_counts=True)), strict=True)))
        lengths = pc.utf8_length(pc.replace_substring_regex(numbers, r"^[^.]*\.?|0*$|[eE].*$", ""))
        self.fractions.update({e["values"].as_py(): e["counts"].as_py() for e in pc.value_counts(lengths)})
        whole = values[values == np.floor(values)]
        self.years += int(((whole >= FIRST_YEAR) & (whole <= LAST_YEAR)).sum())
        self.old += int(((values >= YOUNGEST_WITHHELD) & (values < OLDEST_PERSON + 1)).sum())
        near = np.floor(values[(values >= OLDEST_PERSON + 1) & (values <= OLDEST_PERSON + BEYOND)])
        self.beyond.update(_counts(near))
        if len(self.values) < MOST_DISTINCT:
            self.values.update(_counts(whole))
        if len(whole):
            self.changes += int((np.diff(whole, prepend=self.last) != 0).sum())
            self.last = float(whole[-1])

    def usual(self, lengths: Counter[int], least: int) -> int:
        """Largest length that more than a few numbers have, and at least `least`."""
        few = max(FEW_CELLS, FEW_SHARE * self.count)
        return max((n for n, count in lengths.items() if count >= few), default=least) if lengths else least

    def share_of_digits(self, least: int) -> float:
        """Share of numbers with so many digits before the point or more."""
        return sum(count for n, count in self.digits.items() if n >= least) / max(self.count, 1)

    @property
    def mean(self) -> float:
        """Their mean."""
        return self.total / max(self.count, 1)

    @property
    def deviation(self) -> float:
        """Their standard deviation."""
        return sqrt(max(self.squares / max(self.count, 1) - self.mean**2, 0.0))

    def may_be_ages(self) -> bool:
        """True if the numbers could include people's ages: they do not go on above the age of the oldest person, as weights do.
        Codes of missing values (-9, 888, 900) are ignored."""
        least = min(LEAST_SHARE_BEYOND * self.count, LEAST_OF_OLD * self.old)
        return len(self.beyond) < LEAST_BEYOND or self.beyond.total() < least

    def are_record_numbers(self) -> bool:
        """True if whole numbers distinguish rows or groups of rows: evenly spread, equally frequent, or each in neighboring
        rows."""
        numbers = np.array(sorted(self.values), dtype=float)
        cells = np.array([self.values[int(n)] for n in numbers])
        if len(numbers) <= MOST_LEVELS or self.decimals * 10 >= self.count:
            return False
        usual, equal = Counter(cells.tolist()).most_common(1)[0]
        if equal >= (EQUALLY_FREQUENT if usual > 1 else ALL_DIFFERENT) * len(numbers):
            return True
        neighbors = self.changes <= NEIGHBORS * len(numbers) and cells.sum() >= 1.5 * len(numbers)
        return neighbors or _distance_from_even(numbers, cells) < EVEN

    def are_days(self) -> bool:
        """True if nearly all whole numbers are a month and a day without a separator, as 314 or 1121, or a day and a month."""
        found = [(n // 100, n % 100, cells) for n, cells in self.values.items() if 100 < n < 3_200]
        if len(self.values) < 3 or (len(self.values) < 5 and max(self.values) < 1_000):
            return False
        for month, day in ((0, 1), (1, 0)):
            days = [one for one in found if 1 <= one[month] <= 12 and 1 <= one[day] <= 31]
            cells = sum(one[2] for one in days)
            if cells >= DAYS * self.count and len({one[month] for one in days}) > 1:
                return True
        return False


def _counts(values: np.ndarray) -> dict[int, int]:
    numbers, cells = np.unique(values, return_counts=True)
    return dict(zip(numbers.astype(np.int64).tolist(), cells.tolist(), strict=True))


def _distance_from_even(numbers: np.ndarray, cells: np.ndarray) -> float:
    """Largest difference between the distribution of the cells and an even one of the same range (Kolmogorov and Smirnov), without the
    hundredth at either end."""
    share = np.cumsum(cells) / cells.sum()
    inner = (share > TAIL) & (share - cells / cells.sum() < 1 - TAIL)
    numbers, cells = numbers[inner], cells[inner]
    share = np.cumsum(cells) / cells.sum()
    even = (numbers - numbers[0] + 1) / (numbers[-1] - numbers[0] + 1)
    return float(np.abs(share - even).max())


def _count(text: pa.ChunkedArray, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0)
