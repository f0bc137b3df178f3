"""Measurement of column domains, charged to the budget: kinds, categories, bounds, decimals, common values and bins.

Everything here is post-processing of paid counts. Bins come from histograms on public grids that are refined where the noisy
counts are heavy; categories from stability-thresholded histograms, with rare values as OTHER.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from galenic.privacy.binning import find_heaps, grid, merge, refine, trim
from galenic.privacy.measurement import KIND_CLASSES, PrivateRows, sigma2_for
from galenic.records import DATE_FORMATS, NUMBER_FORMATS, is_age_name, is_code_name
from galenic.schema import Column, Kind

Columns = tuple[Column, ...]

TINY, HUGE = -10, 40  # bounds are searched between 2^-10 and 2^40 in absolute value
MAGNITUDES = tuple(-(2.0**k) for k in range(HUGE, TINY - 1, -1)) + tuple(2.0**k for k in range(TINY, HUGE + 1))
REFINEMENTS = (8, 4)  # heavy cells are divided by 8, then by 4
KIND_SHARE, BOUNDS_SHARE, COMMON_SHARE, DECIMALS_SHARE = Fraction(2, 10), Fraction(3, 10), Fraction(2, 10), Fraction(1, 20)
DECIMALS_ROWS = 0.1  # share of the rows up to which noise may hide decimals; beyond it they are not measured
COMMON_ROWS = 0.05  # share of the rows that must suffice for a value to count as common; else common values are not measured
BINS_PER_VALUE = 1.7  # possible values, in units of the bins, up to which an integer column has one bin per value
CLEAR = 5  # standard deviations above which one of two hundred number formats is there: noise is once in 15,000 columns
OLDEST = 110.0  # years; a bound of ages that is known without looking at patients
STRAYS = 0.005  # share of rows that may look like another kind; they become missing


@dataclass
class DomainPurchase:
    """Measurements for incomplete columns, each charged to its own part of rho.

    rows, bins: noisy number of rows, and bins per numeric column. rho: by column, what is left to spend. delta: for values,
    half for categories and half for common values. min_rows: rows that must share a category without a budget.
    """

    private_rows: PrivateRows
    rows: int
    bins: int
    rho: dict[str, Fraction]
    delta: Fraction
    min_rows: int

    def buy(self, columns: Columns) -> tuple[Columns, dict[str, dict[float, int]]]:
        """(complete columns, common values of numeric columns with noisy counts)."""
        columns = _with_possible_ages(self._kinds(columns))
        columns = count_from_first_date(bins_of_small_integers(columns, self.bins))
        columns = self._categories(columns)
        columns = bins_of_small_integers(self._bounds(columns), self.bins)
        undescribed = tuple(c for c in columns if c.kind == "numeric" and not (c.edges or c.step or c.heaps))
        columns = self._decimals(columns, undescribed)
        common = self._common_values(undescribed)
        return self._edges(columns), common

    def _spend(self, prices: dict[str, Fraction]) -> None:
        self.rho.update({name: self.rho[name] - price for name, price in prices.items()})

    def _kinds(self, columns: Columns) -> Columns:
        names = [c.name for c in columns if c.kind == "unknown"]
        if not names:
            return columns
        price = self.rho[names[0]] * KIND_SHARE
        counts, sigma = self.private_rows.kinds(names, price * len(names))
        self._spend(dict.fromkeys(names, price))
        changed = {}
        for c in columns:
            if c.name in counts:
                by_class = dict(zip(KIND_CLASSES, counts[c.name].tolist(), strict=True))
                kind, form = ("category", "") if is_code_name(c.name) else _kind(by_class, self.rows, sigma)
                changed[c.name] = c.but(
                    kind=kind,
                    format=form,
                    other=kind == "category",
                    step=1.0 if kind in ("integer", "date") else None,
                    strays="missing",
                    kind_origin="paid" if self.private_rows.private else "observed",
                    bounds_origin="paid",
                    categories_origin="paid",
                )
        return _replace(columns, changed)

    def _categories(self, columns: Columns) -> Columns:
        todo = tuple(c for c in columns if not c.binned and not c.categories)
        if not todo:
            return columns
        # one noise level for all of them: from the smallest rho that any has left
        rho = min(self.rho[c.name] for c in todo) * len(todo)
        values = self.private_rows.values(todo, rho, self.delta / 2, min_rows=self.min_rows)
        changed = {}
        for c in todo:
            ranked = sorted(
                values[c.name].items(), key=lambda pair: (-pair[1], pair[0])
            )  # a tie by value: the order of rows is no answer
            most_frequent = [v for v, _ in ranked[: max(3 * self.bins, 8)]]
            changed[c.name] = c.but(categories=tuple(sorted(most_frequent)), categories_origin="paid", other=True)
        return _replace(columns, changed)

    def _bounds(self, columns: Columns) -> Columns:
        todo = tuple(c for c in columns if c.binned and not c.edges and (c.low is None or c.high is None))
        if not todo:
            return columns
        by_magnitude = tuple(c.but(edges=MAGNITUDES, low=None, high=None, missing=True) for c in todo)
        prices = {c.name: self.rho[c.name] * BOUNDS_SHARE for c in todo}
        histograms = self.private_rows.histograms(by_magnitude, prices)
        self._spend(prices)
        changed = {}
        for c in todo:
            counts, sigma = histograms[c.name]
            # 4.5 sigma: an empty cell passes once in 3e5, one of 101 cells once in 3,000.
            heavy = np.flatnonzero(counts[:-1] > max(4.5 * sigma, 0))
            low, high = _outer_magnitudes(heavy) if heavy.size else (0.0, 1.0)
            low = c.low if c.low is not None else min(low, c.high if c.high is not None else low)
            high = c.high if c.high is not None else max(high, low)
            changed[c.name] = c.but(low=low, high=high, bounds_origin="paid")
        return _replace(columns, changed)

    def _decimals(self, columns: Columns, todo: Columns) -> Columns:
        """Columns with a step: the fewest decimals that all but STRAYS of the rows (or what noise hides) have."""
        private_rows = self.private_rows
        if not todo or not private_rows.private:
            return columns
        price = min(self.rho[c.name] for c in todo) * DECIMALS_SHARE
        if 3 * math.sqrt(sigma2_for(price, private_rows.cap)) > DECIMALS_ROWS * self.rows:
            return columns
        by_column, sigma = private_rows.decimals([c.name for c in todo], price * len(todo))
        self._spend({c.name: price for c in todo})
        changed = {}
        for c in todo:
            counts = by_column[c.name].astype(np.float64)
            beyond = np.r_[np.cumsum(counts[::-1])[::-1][1:], 0.0]  # values with more decimals than that
            noise = 3 * sigma * np.sqrt(np.arange(counts.size - 1, -1, -1))
            sufficient = np.flatnonzero(beyond <= np.maximum(STRAYS * self.rows, noise))
            if counts.sum() > noise[0] and sufficient[0] < counts.size - 1:
                changed[c.name] = c.but(step=10.0 ** -int(sufficient[0]))
        return _replace(columns, changed)

    def _common_values(self, todo: Columns) -> dict[str, dict[float, int]]:
        """Values that many patients share, of numeric columns that nobody described: they show decimals and heaps."""
        private_rows = self.private_rows
        if not todo or not private_rows.private:
            return {}
        price = min(self.rho[c.name] for c in todo) * COMMON_SHARE
        # a value must exceed about seven standard deviations
        if 7 * math.sqrt(sigma2_for(price, private_rows.cap)) > COMMON_ROWS * self.rows:
            return {}
        values = private_rows.values(todo, price * len(todo), self.delta / 2)
        self._spend({c.name: price for c in todo})
        return {name: {float(v): n for v, n in counts.items()} for name, counts in values.items()}

    def _edges(self, columns: Columns) -> Columns:
        todo = tuple(c for c in columns if c.binned and not c.edges)
        if not todo:
            return columns
        grids = {c.name: grid(c) for c in todo}
        prices = {c.name: self.rho[c.name] / (1 + len(REFINEMENTS)) for c in todo}
        histograms: dict[str, tuple[NDArray[np.int64], float]] = {}
        for level, parts in enumerate((1, *REFINEMENTS)):
            if level:
                heavy = self.rows / self.bins
                grids = {c.name: refine(c, grids[c.name], histograms[c.name][0][:-1], parts, heavy) for c in todo}
            on_grid = tuple(c.but(edges=tuple(grids[c.name].tolist()), low=None, high=None, missing=True) for c in todo)
            histograms = self.private_rows.histograms(on_grid, prices)
        return _replace(columns, {c.name: self._binned(c, grids[c.name], *histograms[c.name]) for c in todo})

    def _binned(self, c: Column, cells: NDArray[np.float64], counts: NDArray[np.int64], sigma: float) -> Column:
        """The column with bins of about equal weight. cells: edges of the grid; counts: of its cells, and of missing values."""
        target = self.rows / self.bins
        counts = np.maximum(counts[:-1], 0)
        heaps = find_heaps(cells, counts, max(0.4 * self.rows / self.bins, 3 * sigma)) if c.kind == "numeric" else ()
        cells, counts = trim(cells, counts, self.rows, sigma)
        edges = merge(cells, counts, max(target, 3 * sigma), heaps)
        origin = "paid" if self.private_rows.private else "observed"
        return c.but(edges=tuple(edges.tolist()), heaps=heaps, bounds_origin=c.bounds_origin if c.low is not None else origin)


def without_rare_categories(private_rows: PrivateRows, columns: Columns, min_rows: int) -> Columns:
    """Columns whose categories were read from these patients: rare ones become OTHER, codes of a hierarchy their parent."""
    todo = tuple(c for c in columns if not c.binned and c.categories and c.categories_origin == "observed")
    values = private_rows.values(todo, Fraction(0), Fraction(0), min_rows=min_rows) if todo else {}
    return _replace(
        columns,
        {
            c.name: c.but(categories=tuple(sorted(v for v in values[c.name] if c.hierarchy or v in c.categories)), other=True)
            for c in todo
            if c.hierarchy or len(values[c.name]) < len(c.categories)
        },
    )


def bins_of_small_integers(columns: Columns, bins: int) -> Columns:
    """Integer columns with few possible values get one bin per value, which needs no data."""
    done = []
    for c in columns:
        if (
            c.kind == "integer"
            and not c.edges
            and c.low is not None
            and c.high is not None
            and c.high - c.low < BINS_PER_VALUE * bins
        ):
            c = c.but(edges=tuple((np.arange(math.floor(c.low), math.ceil(c.high) + 2) - 0.5).tolist()), step=1.0)
        done.append(c)
    return tuple(done)


def count_from_first_date(columns: Columns) -> Columns:
    """The first date is the anchor; later dates are counted in days from it, unless they are described otherwise."""
    first = next((c.name for c in columns if c.kind == "date"), "")
    return tuple(
        c.but(anchor=first) if c.kind == "date" and c.name != first and not c.anchor and c.low is None and not c.edges else c
        for c in columns
    )


def _replace(columns: Columns, changed: dict[str, Column]) -> Columns:
    return tuple(changed.get(c.name, c) for c in columns)


def _with_possible_ages(columns: Columns) -> Columns:
    """Columns of ages in years, by their names, with bounds that everybody knows: no patient's row is asked for them."""
    return tuple(
        c.but(low=c.low if c.low is not None else 0.0, high=c.high if c.high is not None else OLDEST)
        if c.kind in ("integer", "numeric") and not c.edges and is_age_name(c.name) and (c.low or 0) <= OLDEST
        else c
        for c in columns
    )


def _kind(counts: dict[str, int], rows: int, sigma: float) -> tuple[Kind, str]:
    """(kind, format) of the most frequent class, unless more than STRAYS of the rows (and more than noise) do not match it. A format
    is that of dates, or of numbers with a unit, a currency or a decimal comma."""
    common = max((name for name in counts if name != "missing"), key=lambda name: counts[name])
    if common in ("other", "leading zero") or counts[common] <= 4 * sigma:
        return "category", ""
    if common in DATE_FORMATS:
        return "date", common
    forms = [f for f in NUMBER_FORMATS if not f.startswith("<")]
    form = max(forms, key=lambda f: counts[f])
    form = form if counts[form] > max(STRAYS * rows, CLEAR * sigma) else ""
    limits = sum(counts[f] for f in NUMBER_FORMATS if f.startswith("<") and counts[f] > CLEAR * sigma)
    others = [f for f in forms if f not in (form, "#") and counts[f] > CLEAR * sigma]
    strays = counts["other"] + counts["leading zero"] + sum(counts[f] for f in others)
    # three sigma for the sum of two noisy cells: one clean column in 740 becomes a category
    if (
        strays > max(STRAYS * rows, 3 * math.sqrt(2) * sigma)
        or limits > counts["number"] + counts["integer"] + counts[form or "#"]
    ):
        return "category", ""
    fractions = form not in ("", "#") or counts["number"] + limits > max(STRAYS * rows, 3 * sigma)
    return ("numeric" if fractions else "integer"), "" if form == "#" else form


def _outer_magnitudes(heavy: NDArray[np.intp]) -> tuple[float, float]:
    """Bounds that include all heavy cells of MAGNITUDES."""
    zero = len(MAGNITUDES) // 2 - 1  # the cell around 0
    first, last = int(heavy[0]), int(heavy[-1])
    return (0.0 if first == zero else MAGNITUDES[first]), (0.0 if last == zero else MAGNITUDES[last + 1])
