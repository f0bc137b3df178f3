"""Buys what a private fit must know of its columns and nobody declared: kinds, bounds, bins, categories.

Everything here is post-processing of paid counts. Bins come from histograms on public grids that are refined where the
noisy counts are heavy; categories from stability-thresholded histograms, rare values becoming OTHER.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from galenic.errors import DescriptionError
from galenic.privacy.measurement import KIND_CLASSES, PrivateRows, sigma2_for
from galenic.records import DATE_FORMATS
from galenic.schema import Column, Kind

Floats = NDArray[np.float64]
Purse = dict[str, Fraction]  # what is left to spend on each column

TINY, HUGE = -10, 40  # bounds are searched between 2^-10 and 2^40 in absolute value
MAGNITUDES = tuple(-(2.0**k) for k in range(HUGE, TINY - 1, -1)) + tuple(2.0**k for k in range(TINY, HUGE + 1))
FIRST_CELLS, REFINEMENTS = 32, (8, 4)  # equal cells between the bounds, then heavy cells split in 8, then in 4
KIND_SHARE, BOUNDS_SHARE, COMMON_SHARE, DECIMALS_SHARE = Fraction(2, 10), Fraction(3, 10), Fraction(2, 10), Fraction(1, 20)
DECIMALS_ROWS = 0.1  # share of the rows that noise may hide of a column's decimals; else they are not asked
COMMON_ROWS = 0.05  # share of the rows that must be enough for a value to be found common; else it is not asked
MOST_BINS = 32
MANY = 1.7  # possible values, in units of the bins, up to which an integer has one bin for each
MIN_PATIENTS = 5  # patients who must share a value before a fit without noise may say it
STRAYS = 0.005  # share of rows that may look like another kind; they become missing


@dataclass(frozen=True)
class Domain:
    """Columns ready to be coded, with the noisy number of rows. bins: how many bins a numeric column got at most. common: of
    numeric columns that were bought, the values that many patients share, with their noisy counts."""

    columns: tuple[Column, ...]
    rows: int
    rows_sigma: float
    bins: int
    common: Mapping[str, Mapping[float, int]] = field(default_factory=dict)


def bin_count(rows: int, rho: Fraction, cap: int) -> int:
    """Bins per numeric column: the cube root of the signal-to-noise ratio rows * sqrt(rho) / cap, from 4 to 32.

    A 2-way table of b x b cells has noise ~ b / sqrt(rho) per row of the pair budget; the cube root keeps it near the
    distance that b bins lose by being coarse. At 71,236 rows, epsilon 1 it gives 20, at 4,000 rows 8.
    """
    bins: int = round((rows * math.sqrt(rho) / cap) ** (1 / 3))
    return min(max(bins, 4), MOST_BINS)


def refuse_observed(columns: tuple[Column, ...]) -> None:
    """DescriptionError if a bound or category was read from the patients that a private fit is to protect."""
    bad = [
        c.name
        for c in columns
        if c.role == "value"
        and (
            (c.bounds_origin == "observed" and (c.low is not None or c.high is not None or c.edges))
            or (c.categories_origin == "observed" and c.categories)
        )
    ]
    if bad:
        raise DescriptionError(
            f'columns {bad[:8]}{" …" if len(bad) > 8 else ""} carry bounds or categories whose origin is "observed": using them '
            'would leak past epsilon. If you know them from elsewhere, set the origin to "declared" or "dictionary"; otherwise '
            "buy them from the budget: --buy."
        )


def without_observed(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The description without what was read from the data; it will be bought."""
    kept = []
    for c in columns:
        if c.bounds_origin == "observed":
            c = c.but(low=None, high=None, edges=(), step=1.0 if c.kind == "integer" else None, bounds_origin="declared")
        if c.categories_origin == "observed":
            c = c.but(categories=(), other=True, categories_origin="declared")
        kept.append(c.but(missing=True) if c.role == "value" else c)
    return tuple(kept)


def needs_buying(columns: tuple[Column, ...]) -> bool:
    """Whether anything is left to buy."""
    return any(not _complete(c) for c in columns)


def domain_share(columns: tuple[Column, ...]) -> Fraction:
    """Part of rho for the domain: a hundredth for n alone, and more as more columns must be bought: up to a quarter where their kinds are
    declared, up to half where these must be bought, too.

    Measured on the raw diabetes table with all columns bought, kinds included, 2-way distance to held-out patients: a fifth .078, a
    third .064, half .050, three quarters .044; on 14 of its columns with declared kinds half .020, a third .0188, a quarter .0185, an
    eighth .019; one or two runs each (docs/log.md).
    """
    price = sum((Fraction(1, 2) if c.kind == "unknown" else Fraction(1, 4) for c in columns if not _complete(c)), Fraction(0))
    return max(Fraction(1, 100), price / max(len(columns), 1))


def _complete(c: Column) -> bool:
    return bool(c.edges) if c.binned else c.kind != "unknown" and bool(c.categories)


def buy_domain(
    protected: PrivateRows, columns: tuple[Column, ...], rho: Fraction, delta: Fraction, *, least: int = MIN_PATIENTS
) -> Domain:
    """Columns with everything that coding needs, bought with at most rho (and delta for categories), n included.

    Each incomplete column has the same price; what a column does not need to ask makes its other answers better. Without a
    budget the same questions are answered exactly, and categories that fewer than `least` patients share are left to OTHER.
    """
    whole = protected.rho
    size_rho = rho / 10 if needs_buying(columns) else rho
    rows, sigma = protected.size(size_rho)
    bins = bin_count(rows, whole, protected.cap) if protected.private else MOST_BINS
    columns = _one_anchor(_small_integers(columns, bins))
    if not protected.private:
        columns = _without_rare(protected, columns, least * protected.cap)
    todo = [c for c in columns if not _complete(c)]
    common: dict[str, dict[float, int]] = {}
    if todo:
        purse = {c.name: (rho - size_rho) / len(todo) for c in todo}
        columns = _one_anchor(_small_integers(_buy_kinds(protected, columns, purse, rows), bins))
        columns = _buy_categories(protected, columns, purse, delta / 2, bins, least * protected.cap)
        columns = _small_integers(_buy_bounds(protected, columns, purse), bins)
        loose = tuple(c for c in columns if c.kind == "numeric" and not (c.edges or c.step or c.heaps))
        columns = _buy_decimals(protected, columns, loose, purse, rows)
        common = _buy_common(protected, loose, purse, delta / 2, rows)
        columns = _buy_edges(protected, columns, purse, rows, bins)
    return Domain(columns, rows, sigma, bins, common)


def _without_rare(protected: PrivateRows, columns: tuple[Column, ...], least: int) -> tuple[Column, ...]:
    """Categories read from these patients that fewer than `least` rows share become OTHER, codes of a hierarchy their parent."""
    todo = tuple(c for c in columns if not c.binned and c.categories and c.categories_origin == "observed")
    kept = protected.values(todo, Fraction(0), Fraction(0), least=least) if todo else {}
    return _replace(
        columns,
        {
            c.name: c.but(categories=tuple(sorted(v for v in kept[c.name] if c.hierarchy or v in c.categories)), other=True)
            for c in todo
            if c.hierarchy or len(kept[c.name]) < len(c.categories)
        },
    )


def _small_integers(columns: tuple[Column, ...], bins: int) -> tuple[Column, ...]:
    """Integer columns with few possible values get one bin per value, which needs no data."""
    done = []
    for c in columns:
        if c.kind == "integer" and not c.edges and c.low is not None and c.high is not None and c.high - c.low < MANY * bins:
            c = c.but(edges=tuple((np.arange(math.floor(c.low), math.ceil(c.high) + 2) - 0.5).tolist()), step=1.0)
        done.append(c)
    return tuple(done)


def _one_anchor(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The first date is the anchor; every later date is counted in days after it, unless it is declared otherwise."""
    first = next((c.name for c in columns if c.kind == "date"), "")
    return tuple(
        c.but(anchor=first) if c.kind == "date" and c.name != first and not c.anchor and c.low is None and not c.edges else c
        for c in columns
    )


def _replace(columns: tuple[Column, ...], changed: dict[str, Column]) -> tuple[Column, ...]:
    return tuple(changed.get(c.name, c) for c in columns)


def _buy_kinds(protected: PrivateRows, columns: tuple[Column, ...], purse: Purse, rows: int) -> tuple[Column, ...]:
    names = [c.name for c in columns if c.kind == "unknown"]
    if not names:
        return columns
    price = purse[names[0]] * KIND_SHARE
    counts, sigma = protected.kinds(names, price * len(names))
    purse.update({name: purse[name] - price for name in names})
    changed = {}
    for c in columns:
        if c.name in counts:
            kind, form = _kind(dict(zip(KIND_CLASSES, counts[c.name].tolist(), strict=True)), rows, sigma)
            changed[c.name] = c.but(
                kind=kind,
                format=form,
                other=kind == "category",
                step=1.0 if kind in ("integer", "date") else None,
                strays="missing",
                bounds_origin="paid",
                categories_origin="paid",
            )
    return _replace(columns, changed)


def _kind(counts: dict[str, int], rows: int, sigma: float) -> tuple[Kind, str]:
    """The kind of the commonest class, unless more than STRAYS of the rows (and more than noise) do not fit it."""
    common = max((name for name in counts if name != "missing"), key=lambda name: counts[name])
    if common in ("other", "leading zero") or counts[common] <= 4 * sigma:
        return "category", ""
    if common in DATE_FORMATS:
        return "date", common
    # three sigma for the sum of two noisy cells: one clean column in 740 becomes a category
    if counts["other"] + counts["leading zero"] > max(STRAYS * rows, 3 * math.sqrt(2) * sigma):
        return "category", ""
    return ("numeric" if counts["number"] > max(STRAYS * rows, 3 * sigma) else "integer"), ""


def _buy_categories(
    protected: PrivateRows, columns: tuple[Column, ...], purse: Purse, delta: Fraction, bins: int, least: int
) -> tuple[Column, ...]:
    todo = tuple(c for c in columns if not c.binned and not c.categories)
    if not todo:
        return columns
    # one noise for all of them: the least that any has left
    kept = protected.values(todo, min(purse[c.name] for c in todo) * len(todo), delta, least=least)
    changed = {}
    for c in todo:
        most = sorted(kept[c.name], key=lambda v: -kept[c.name][v])[: max(3 * bins, 8)]
        changed[c.name] = c.but(categories=tuple(sorted(most)), categories_origin="paid", other=True)
    return _replace(columns, changed)


def _buy_bounds(protected: PrivateRows, columns: tuple[Column, ...], purse: Purse) -> tuple[Column, ...]:
    todo = tuple(c for c in columns if c.binned and not c.edges and (c.low is None or c.high is None))
    if not todo:
        return columns
    asked = tuple(c.but(edges=MAGNITUDES, low=None, high=None, missing=True) for c in todo)
    prices = {c.name: purse[c.name] * BOUNDS_SHARE for c in todo}
    found = protected.histograms(asked, prices)
    purse.update({name: purse[name] - price for name, price in prices.items()})
    changed = {}
    for c in todo:
        counts, sigma = found[c.name]
        cells = counts[:-1]
        # 4.5 sigma: an empty cell passes once in 3e5, one of 101 cells once in 3,000.
        heavy = np.flatnonzero(cells > max(4.5 * sigma, 0))
        low, high = _bounds(heavy) if heavy.size else (0.0, 1.0)
        low = c.low if c.low is not None else min(low, c.high if c.high is not None else low)
        high = c.high if c.high is not None else max(high, low)
        changed[c.name] = c.but(low=low, high=high, bounds_origin="paid")
    return _replace(columns, changed)


def _bounds(heavy: NDArray[np.intp]) -> tuple[float, float]:
    zero = len(MAGNITUDES) // 2 - 1  # the cell around 0
    first, last = int(heavy[0]), int(heavy[-1])
    return (0.0 if first == zero else MAGNITUDES[first]), (0.0 if last == zero else MAGNITUDES[last + 1])


def _buy_decimals(
    protected: PrivateRows, columns: tuple[Column, ...], todo: tuple[Column, ...], purse: Purse, rows: int
) -> tuple[Column, ...]:
    """Numeric columns with the lattice of their decimals: the fewest that all but STRAYS of the rows (or what noise hides) keep to."""
    if not todo or not protected.private:
        return columns
    price = min(purse[c.name] for c in todo) * DECIMALS_SHARE
    if 3 * math.sqrt(sigma2_for(price, protected.cap)) > DECIMALS_ROWS * rows:
        return columns
    found, sigma = protected.decimals([c.name for c in todo], price * len(todo))
    purse.update({c.name: purse[c.name] - price for c in todo})
    changed = {}
    for c in todo:
        counts = found[c.name].astype(np.float64)
        beyond = np.r_[np.cumsum(counts[::-1])[::-1][1:], 0.0]  # values with more decimals than that
        noise = 3 * sigma * np.sqrt(np.arange(counts.size - 1, -1, -1))
        enough = np.flatnonzero(beyond <= np.maximum(STRAYS * rows, noise))
        if counts.sum() > noise[0] and enough[0] < counts.size - 1:
            changed[c.name] = c.but(step=10.0 ** -int(enough[0]))
    return _replace(columns, changed)


def _buy_common(
    protected: PrivateRows, todo: tuple[Column, ...], purse: Purse, delta: Fraction, rows: int
) -> dict[str, dict[float, int]]:
    """The values that many patients share, of numeric columns that nobody described; so decimals and heaps are known."""
    if not todo or not protected.private:
        return {}
    price = min(purse[c.name] for c in todo) * COMMON_SHARE
    # about seven standard deviations are what a value must stand out by
    if 7 * math.sqrt(sigma2_for(price, protected.cap)) > COMMON_ROWS * rows:
        return {}
    found = protected.values(todo, price * len(todo), delta)
    purse.update({c.name: purse[c.name] - price for c in todo})
    return {name: {float(v): n for v, n in kept.items()} for name, kept in found.items()}


def _grid(c: Column) -> Floats:
    """Equal cells between the bounds; whole numbers for integers and dates."""
    low, high = float(c.low or 0), float(c.high if c.high is not None else 1)
    if c.kind in ("integer", "date"):
        low, high = math.floor(low), math.ceil(high) + 1
        width = max(math.ceil((high - low) / FIRST_CELLS), 1)
        # skewed counts and durations: the cell above zero is cut at powers of two
        inner = [2.0**k - 0.5 for k in range(math.ceil(math.log2(width)))] if low <= 0 < high else []
        return np.unique(np.r_[np.arange(low, high + width, width, dtype=np.float64) - 0.5, inner])
    if high <= low:
        high = low + 1.0
    edges = np.linspace(low, high, FIRST_CELLS + 1)
    # zero is where clinical amounts heap (no cost, no visit): it gets a cell of its own
    zero = [0.0, (high - low) * 1e-6, *(edges[-1] - edges[-2]) * 2.0 ** -np.arange(1, 7)] if low <= 0 < high else []
    return np.unique(np.array([*edges.tolist(), *zero]))


def _refined(c: Column, edges: Floats, counts: NDArray[np.int64], parts: int, heavy: float) -> Floats:
    """The same edges with every cell above `heavy` split into equal parts, not below the column's lattice."""
    smallest = 1.0 if c.kind in ("integer", "date") else max(c.step or 0.0, 1e-9 * (edges[-1] - edges[0]))
    out = [edges[0]]
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        pieces = min(parts, int((right - left) / smallest + 1e-9)) if count > heavy else 1
        cuts = np.linspace(left, right, max(pieces, 1) + 1)[1:]
        if c.kind in ("integer", "date"):
            cuts = np.unique(np.floor(cuts) + 0.5)
        elif abs(left) <= 1e-12 and pieces > 1 and right < (edges[-1] - edges[0]) * 1e-5:
            cuts = np.array([right])  # the cell of zero itself is not split
        out.extend(cuts[cuts > out[-1]])
    return np.array(out)


def _buy_edges(protected: PrivateRows, columns: tuple[Column, ...], purse: Purse, rows: int, bins: int) -> tuple[Column, ...]:
    todo = tuple(c for c in columns if c.binned and not c.edges)
    if not todo:
        return columns
    grids = {c.name: _grid(c) for c in todo}
    prices = {c.name: purse[c.name] / (1 + len(REFINEMENTS)) for c in todo}
    found: dict[str, tuple[NDArray[np.int64], float]] = {}
    for level, parts in enumerate((1, *REFINEMENTS)):
        if level:
            grids = {c.name: _refined(c, grids[c.name], found[c.name][0][:-1], parts, rows / bins) for c in todo}
        asked = tuple(c.but(edges=tuple(grids[c.name].tolist()), low=None, high=None, missing=True) for c in todo)
        found = protected.histograms(asked, prices)
    changed = {}
    for c in todo:
        counts, sigma = found[c.name]
        cells = np.maximum(counts[:-1], 0)
        heaps = _heaps(grids[c.name], cells, max(0.4 * rows / bins, 3 * sigma)) if c.kind == "numeric" else ()
        edges, cells = _trimmed(grids[c.name], cells, rows, sigma)
        edges = _merged(edges, cells, max(rows / bins, 3 * sigma), heaps)
        origin = "paid" if protected.private else "observed"
        changed[c.name] = c.but(
            edges=tuple(edges.tolist()), heaps=heaps, bounds_origin=c.bounds_origin if c.low is not None else origin
        )
    return _replace(columns, changed)


def _trimmed(edges: Floats, counts: NDArray[np.int64], rows: int, sigma: float) -> tuple[Floats, NDArray[np.int64]]:
    """Without the outer cells that hold next to nobody: 0.1 % of the rows, or what noise alone adds up to."""

    def empty(cells: NDArray[np.int64]) -> int:
        enough = np.maximum(0.001 * rows, 3 * sigma * np.sqrt(np.arange(1, cells.size + 1)))
        return int(np.argmax(np.cumsum(cells) > enough)) if (np.cumsum(cells) > enough).any() else 0

    if 3 * sigma > 0.01 * rows:
        return edges, counts  # too noisy to tell nobody from a few
    first, last = empty(counts), counts.size - empty(counts[::-1])
    return (edges[first : last + 1], counts[first:last]) if last - first >= 2 else (edges, counts)


def _heaps(edges: Floats, counts: NDArray[np.int64], enough: float) -> tuple[float, ...]:
    """The roundest number of each narrow cell that is far denser than its neighbours: where values heap."""
    width = np.diff(edges)
    density = counts / width
    around = np.maximum(np.r_[0, density[:-1]], np.r_[density[1:], 0])
    narrow = width < (edges[-1] - edges[0]) / FIRST_CELLS / 2
    found = np.flatnonzero((counts > enough) & narrow & (density > 3 * around))
    last = len(width) - 1
    return tuple(float(edges[-1]) if i == last else roundest(float(edges[i]), float(edges[i + 1])) for i in found)


def roundest(left: float, right: float) -> float:
    """The number in [left, right) with the fewest digits: 450 in [449.2, 450.2), 0 where it lies inside."""
    if left <= 0 < right:
        return 0.0
    for power in range(math.floor(math.log10(max(abs(left), abs(right)))), -12, -1):
        for unit in (10.0**power, 5 * 10.0 ** (power - 1)):
            value = math.ceil(left / unit - 1e-9) * unit
            if left <= value < right:
                return round(value, max(0, 1 - power))
    return left


def _merged(edges: Floats, counts: NDArray[np.int64], target: float, heaps: tuple[float, ...]) -> Floats:
    """Neighbouring cells joined until each bin holds about `target` rows; a heavier cell or a heap keeps its own bin."""
    out, held = [edges[0]], 0.0
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        heap = any(left <= h < right for h in heaps)
        if heap or (count >= target and held > 0.3 * target):
            out.append(left)
            held = 0.0
        held += count
        if heap or held >= target:
            out.append(right)
            held = 0.0
    if out[-1] != edges[-1]:
        if held < 0.3 * target and len(out) > 1:
            out.pop()
        out.append(edges[-1])
    return np.unique(np.array(out))
