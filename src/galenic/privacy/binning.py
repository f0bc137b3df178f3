"""Bins of numeric columns from noisy histograms: public grids, refinement of heavy cells, frequent values and merging.
Post-processing only."""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from galenic.schema import Column

Floats = NDArray[np.float64]

FIRST_CELLS = 32  # equal cells between the bounds
MAX_BINS = 32


def bin_count(rows: int, rho: Fraction, cap: int) -> int:
    """Bins per numeric column: the cube root of the signal-to-noise ratio rows * sqrt(rho) / cap, from 4 to 32.

    A 2-way table of b x b cells has noise ~ b / sqrt(rho) per row of the pair budget; the cube root balances it with the
    error of b coarse bins. At 71,236 rows, epsilon 1 it gives 20, at 4,000 rows 8.
    """
    bins: int = round((rows * math.sqrt(rho) / cap) ** (1 / 3))
    return min(max(bins, 4), MAX_BINS)


def grid(c: Column) -> Floats:
    """Edges of equal cells between the column's bounds; whole numbers for integers and dates."""
    low, high = float(c.low or 0), float(c.high if c.high is not None else 1)
    if c.kind in ("integer", "date"):
        low, high = math.floor(low), math.ceil(high) + 1
        width = max(math.ceil((high - low) / FIRST_CELLS), 1)
        # counts and durations are skewed: the cell above zero is divided at powers of two
        inner = [2.0**k - 0.5 for k in range(math.ceil(math.log2(width)))] if low <= 0 < high else []
        return np.unique(np.r_[np.arange(low, high + width, width, dtype=np.float64) - 0.5, inner])
    if high <= low:
        high = low + 1.0
    edges = np.linspace(low, high, FIRST_CELLS + 1)
    # many clinical amounts are zero (no cost, no visit): zero gets a cell of its own
    zero = [0.0, (high - low) * 1e-6, *(edges[-1] - edges[-2]) * 2.0 ** -np.arange(1, 7)] if low <= 0 < high else []
    return np.unique(np.array([*edges.tolist(), *zero]))


def refine(c: Column, edges: Floats, counts: NDArray[np.int64], parts: int, heavy: float) -> Floats:
    """The edges with every cell of more than `heavy` rows divided into equal parts, but not finer than the column's step."""
    smallest = 1.0 if c.kind in ("integer", "date") else max(c.step or 0.0, 1e-9 * (edges[-1] - edges[0]))
    out = [edges[0]]
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        pieces = min(parts, int((right - left) / smallest + 1e-9)) if count > heavy else 1
        cuts = np.linspace(left, right, max(pieces, 1) + 1)[1:]
        if c.kind in ("integer", "date"):
            cuts = np.unique(np.floor(cuts) + 0.5)
        elif abs(left) <= 1e-12 and pieces > 1 and right < (edges[-1] - edges[0]) * 1e-5:
            cuts = np.array([right])  # the cell of zero itself is not divided
        out.extend(cuts[cuts > out[-1]])
    return np.array(out)


def trim(edges: Floats, counts: NDArray[np.int64], rows: int, sigma: float) -> tuple[Floats, NDArray[np.int64]]:
    """Edges and counts without nearly empty outer cells: 0.1 % of the rows, or the sum that noise alone explains."""

    def empty(cells: NDArray[np.int64]) -> int:
        enough = np.maximum(0.001 * rows, 3 * sigma * np.sqrt(np.arange(1, cells.size + 1)))
        return int(np.argmax(np.cumsum(cells) > enough)) if (np.cumsum(cells) > enough).any() else 0

    if 3 * sigma > 0.01 * rows:
        return edges, counts  # too noisy to distinguish none from a few
    first, last = empty(counts), counts.size - empty(counts[::-1])
    return (edges[first : last + 1], counts[first:last]) if last - first >= 2 else (edges, counts)


def find_heaps(edges: Floats, counts: NDArray[np.int64], min_rows: float) -> tuple[float, ...]:
    """Frequent values: the roundest number of each narrow cell that is much denser than its neighbors."""
    width = np.diff(edges)
    density = counts / width
    around = np.maximum(np.r_[0, density[:-1]], np.r_[density[1:], 0])
    narrow = width < (edges[-1] - edges[0]) / FIRST_CELLS / 2
    dense = np.flatnonzero((counts > min_rows) & narrow & (density > 3 * around))
    last = len(width) - 1
    return tuple(float(edges[-1]) if i == last else roundest(float(edges[i]), float(edges[i + 1])) for i in dense)


def roundest(left: float, right: float) -> float:
    """Number in [left, right) with the fewest digits: 450 in [449.2, 450.2), or 0 if it is inside."""
    if left <= 0 < right:
        return 0.0
    for power in range(math.floor(math.log10(max(abs(left), abs(right)))), -12, -1):
        for unit in (10.0**power, 5 * 10.0 ** (power - 1)):
            value = math.ceil(left / unit - 1e-9) * unit
            if left <= value < right:
                return round(value, max(0, 1 - power))
    return left


def merge(edges: Floats, counts: NDArray[np.int64], target: float, heaps: tuple[float, ...]) -> Floats:
    """Edges of bins of about `target` rows, merged from neighboring cells; a heavier cell or a frequent value has its own bin."""
    out, rows = [edges[0]], 0.0
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        heap = any(left <= h < right for h in heaps)
        if heap or (count >= target and rows > 0.3 * target):
            out.append(left)
            rows = 0.0
        rows += count
        if heap or rows >= target:
            out.append(right)
            rows = 0.0
    if out[-1] != edges[-1]:
        if rows < 0.3 * target and len(out) > 1:
            out.pop()
        out.append(edges[-1])
    return np.unique(np.array(out))
