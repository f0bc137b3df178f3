"""Measurements of private rows: counts, each with a sensitivity and charged to the budget before it is computed.

Neighboring data sets differ in one unit (a patient with at most `cap` rows, or one row). One unit changes at most `cap` counts
by one each, all of which may fall into one cell: every histogram has L2 sensitivity `cap`.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.errors import BudgetError, RecordError
from galenic.privacy.ledger import Budget, Mechanism
from galenic.privacy.noise import discrete_gaussian, discrete_gaussians
from galenic.records import (
    DATE_FORMATS,
    INTEGER,
    LEADING_ZERO,
    NUMBER,
    NUMBER_FORMATS,
    Source,
    clean_text,
    is_date_name,
    matches,
    number_format,
    parse_dates,
    patient_numbers,
)
from galenic.schema import Column, Table, beginning, encode

Counts = NDArray[np.int64]

MAX_DECIMALS = 6  # numbers of decimals that are distinguished; values with more have no step worth a measurement
DECIMAL = r"^[+-]?(\d+\.?\d*|\.\d+)$"

KIND_CLASSES = ("missing", "leading zero", *DATE_FORMATS, *NUMBER_FORMATS, "integer", "number", "other")  # each row has one


def sigma2_for(rho: Fraction, sensitivity: int) -> Fraction:
    """Variance of the noise that costs at most rho = mu^2 / 2, rounded up: sensitivity^2 / (2 rho) + 1/8 (accountant.gaussian_mu).

    It is at least sensitivity^2 / (2 rho), so the answer is rho-zCDP, too (Bun & Steinke 2016, Prop. 1.6).
    """
    exact = Fraction(sensitivity**2) / (2 * rho) + Fraction(1, 8)
    if exact >= 100:
        return Fraction(math.ceil(exact))
    return Fraction(math.ceil(exact * 64), 64)


class PrivateRows:
    """Training rows protected by a budget: only counting measurements that are charged can read them.

    source: rows of the training patients. patient: the column with the patient id (None: the unit is the row). cap: maximum
    rows per patient, checked here because every sensitivity depends on it. budget: None for exact answers, which carry no
    guarantee. share: of the remaining budget that may be spent on this table; tables of the same patients share one budget.
    """

    def __init__(
        self, source: Source, patient: str | None, cap: int, budget: Budget | None, *, share: Fraction = Fraction(1)
    ) -> None:
        if patient is not None:
            who = patient_numbers(source, patient)
            if who.ids.size and int(np.bincount(who.ids).max()) > cap:
                raise RecordError(
                    f"a patient has more rows than the declared maximum of {cap}. Limit the rows with split_by_patient."
                )
        self._source = source
        self.cap = cap if patient is not None else 1
        self.budget = budget
        self._reserved = budget.rho_left * (1 - share) if budget else Fraction(0)

    @property
    def private(self) -> bool:
        """True if measurements are charged and noisy."""
        return self.budget is not None

    @property
    def rho(self) -> Fraction:
        """Remaining budget; 1 without a budget, so that shares stay meaningful."""
        return self.budget.rho_left - self._reserved if self.budget else Fraction(1)

    def _noisy(self, counts: Counts, rho: Fraction) -> Counts:
        """Counts of one histogram plus noise for `rho`, which was paid; exact without a budget."""
        if self.budget is None:
            return counts
        sigma2 = sigma2_for(rho, self.cap)
        return counts + discrete_gaussian(sigma2, counts.size).reshape(counts.shape)

    def _all_noisy(self, counts: list[Counts], rhos: list[Fraction]) -> list[Counts]:
        """Several histograms, each with noise for its own rho, drawn together because that is ten times as fast."""
        if self.budget is None:
            return counts
        noise = discrete_gaussians([sigma2_for(rho, self.cap) for rho in rhos], [c.size for c in counts])
        parts = np.split(noise, np.cumsum([c.size for c in counts])[:-1])
        return [c + part.reshape(c.shape) for c, part in zip(counts, parts, strict=True)]

    def _pay(self, what: str, rho: Fraction, delta: Fraction = Fraction(0), queries: int = 1) -> float:
        """Pay from the budget; returns the noise's standard deviation (0 without a budget)."""
        if self.budget is None:
            return 0.0
        if rho > self.rho:
            raise BudgetError(
                f"{what} costs rho={float(rho):.3g}, but only rho={float(self.rho):.3g} is left for this table. "
                "Measure less of it."
            )
        sigma = math.sqrt(sigma2_for(rho / queries, self.cap))
        mechanism = Mechanism(what, float(rho), queries, self.cap * math.sqrt(queries), sigma, float(delta))
        self.budget.draw(mechanism, rho, delta)
        return sigma

    def _tables(self, columns: tuple[Column, ...]) -> Iterator[Table]:
        """The rows, batch by batch, for counters of this package; results pass through `_noisy`."""
        return self._source.tables(columns)

    def coded(self, columns: tuple[Column, ...], max_rows: int) -> NDArray[np.int64]:
        """Level numbers of the first `max_rows` rows, shape (rows, columns), for a fit without a guarantee. Raise BudgetError
        otherwise."""
        if self.private:
            raise BudgetError("individual rows cannot be read with any budget. Use counting measurements.")
        parts, read = [], 0
        for table in self._tables(with_anchors(columns, columns)):
            if read < max_rows:
                parts.append(np.stack([encode(table, column) for column in columns], axis=1)[: max_rows - read])
                read += parts[-1].shape[0]
        return np.concatenate(parts)

    def size(self, rho: Fraction) -> tuple[int, float]:
        """(number of rows, at least 1; standard deviation of its noise)."""
        sigma = self._pay("number of rows", rho)
        exact = np.array([self._source.count()], dtype=np.int64)
        return max(int(self._noisy(exact, rho)[0]), 1), sigma

    def kinds(self, names: list[str], rho: Fraction) -> tuple[dict[str, Counts], float]:
        """Counts of values by class of KIND_CLASSES for each column, rho for all; and the noise's standard deviation."""
        sigma = self._pay(f"kind of {len(names)} columns", rho, queries=len(names))
        totals = {name: np.zeros(len(KIND_CLASSES), dtype=np.int64) for name in names}
        for _, batch in self._source.raw(names):
            for name in names:
                totals[name] += _kind_counts(batch[name], dated=is_date_name(name))
        return {n: self._noisy(c, rho / len(names)) for n, c in totals.items()}, sigma

    def decimals(self, names: list[str], rho: Fraction) -> tuple[dict[str, Counts], float]:
        """Counts of numbers with 0, 1, … MAX_DECIMALS decimals, and more (last), for each column, rho for all; and the noise's standard
        deviation. Trailing zeros do not count; a value that is not a number is in no cell."""
        sigma = self._pay(f"decimals of {len(names)} columns", rho, queries=len(names))
        totals = {name: np.zeros(MAX_DECIMALS + 2, dtype=np.int64) for name in names}
        for _, batch in self._source.raw(names):
            for name in names:
                totals[name] += _decimal_counts(batch[name])
        return {n: self._noisy(c, rho / len(names)) for n, c in totals.items()}, sigma

    def histograms(self, columns: tuple[Column, ...], prices: Mapping[str, Fraction]) -> dict[str, tuple[Counts, float]]:
        """Counts of each encoded column's levels, with the noise's standard deviation; each for its own rho, in one pass."""
        sigma = {c.name: self._pay(f"histogram of {c.name}", prices[c.name]) for c in columns}
        totals = {column.name: np.zeros(column.levels, dtype=np.int64) for column in columns}
        for table in self._tables(with_anchors(columns, columns)):
            for column in columns:
                totals[column.name] += np.bincount(encode(table, column), minlength=column.levels)
        return {n: (self._noisy(c, prices[n]), sigma[n]) for n, c in totals.items()}

    def values(
        self, columns: tuple[Column, ...], rho: Fraction, delta: Fraction, *, min_rows: int = 1
    ) -> dict[str, dict[Any, int]]:
        """Values of each column that enough patients share, with counts; rare values are left out.

        A value held by one patient only passes with probability at most delta / len(columns) (stability histogram; the
        discrete Gaussian's tail is at most exp(-m^2 / (2 sigma^2)), Canonne et al. 2020, Prop. 25). min_rows: rows that a
        value needs without a budget. Of hierarchical codes the parents are counted, too, each length as a measurement of its own.
        """
        queries = [(c, length) for c in columns for length in (0, *c.hierarchy)]
        sigma = self._pay(f"values of {len(columns)} columns", rho, delta, queries=len(queries))
        threshold = (
            self.cap + sigma * math.sqrt(2 * math.log(self.cap * len(queries) / float(delta))) if sigma else min_rows - 0.5
        )
        counters: list[Counter[Any]] = [Counter() for _ in queries]
        for table in self._tables(columns):
            for counter, (column, length) in zip(counters, queries, strict=True):
                values = table.frame[column.name].drop_null()
                for pair in pc.value_counts(beginning(values, length) if length else values).to_pylist():
                    counter[pair["values"]] += pair["counts"]
        frequent: dict[str, dict[Any, int]] = {c.name: {} for c in columns}
        for counter, (column, _length) in zip(counters, queries, strict=True):
            exact = np.array(list(counter.values()), dtype=np.int64)
            noisy = self._noisy(exact, rho / len(queries))
            frequent[column.name] |= {v: int(c) for v, c in zip(counter, noisy, strict=True) if c > threshold}
        return {name: dict(sorted(counts.items())) for name, counts in frequent.items()}  # the order of rows stays inside


def with_anchors(columns: tuple[Column, ...], known: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns, and the date columns from which others are counted."""
    names = {column.name for column in columns}
    anchors = {c.anchor: c for c in columns if c.anchor and c.anchor not in names}
    by_name = {c.name: c for c in known}
    return columns + tuple(by_name.get(a, Column(a, "date", format=c.format)) for a, c in anchors.items())


def _kind_counts(raw: pa.ChunkedArray, *, dated: bool) -> Counts:
    """Rows by class. dated: whether eight digits may be a date, by the column's name."""
    text = clean_text(raw, Column("x").missing_tokens)
    code = np.full(len(text), KIND_CLASSES.index("other"), dtype=np.int64)
    code[text.is_null().to_numpy()] = 0
    _classify_written_numbers(text, code)
    for name, pattern in (("number", NUMBER), ("integer", INTEGER)):
        code[_true(matches(text, pattern))] = KIND_CLASSES.index(name)
    for form in reversed(DATE_FORMATS):
        if form != "%Y%m%d" or dated:
            code[parse_dates(text, form).is_valid().to_numpy()] = KIND_CLASSES.index(form)
    code[_true(matches(text, LEADING_ZERO))] = KIND_CLASSES.index("leading zero")
    return np.bincount(code, minlength=len(KIND_CLASSES))


def _classify_written_numbers(text: pa.ChunkedArray, code: NDArray[np.int64]) -> None:
    """Sets the class of values that are numbers with separators, a currency, a unit or a limit."""
    others = np.flatnonzero(~_true(matches(text, NUMBER)) & (code != 0))
    coded = text.combine_chunks().take(pa.array(others)).dictionary_encode()
    classes = [KIND_CLASSES.index(number_format(v) or "other") for v in coded.dictionary.to_pylist()]
    if classes:
        code[others] = np.array(classes)[coded.indices.to_numpy()]


def _decimal_counts(raw: pa.ChunkedArray) -> Counts:
    text = clean_text(raw, Column("x").missing_tokens)
    decimal = _true(matches(text, DECIMAL))
    after = pc.replace_substring_regex(text, r"^[+-]?\d*\.?(\d*?)0*$", r"\1")
    decimals = np.minimum(pc.fill_null(pc.utf8_length(after), 0).to_numpy(), MAX_DECIMALS + 1)
    exponential = _true(matches(text, NUMBER)) & ~decimal  # with an exponent
    return np.bincount(np.r_[decimals[decimal], np.full(int(exponential.sum()), MAX_DECIMALS + 1)], minlength=MAX_DECIMALS + 2)


def _true(array: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(array, False).to_numpy(), dtype=np.bool_)
