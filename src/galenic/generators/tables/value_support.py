"""Support of a numeric column: the values that may be emitted, with their decimals, heaps and weights.

A value that fewer than `least` patients share is never emitted; other multiples of the step replace it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from galenic.schema import Codes, Column, Floats, bin_codes

STAND_INS = 64  # multiples of the step per bin that replace its rare values
MOST_DECIMALS = 9


@dataclass(frozen=True)
class ValueSupport:
    """points: the values, by bin and then ascending, shape (points,). weights: of each, within its bin. starts: where each bin's
    points begin, and the end, shape (bins + 1,)."""

    points: Floats
    weights: Floats
    starts: NDArray[np.int64]

    def draw(self, place: Codes, rng: np.random.Generator) -> Floats:
        """A value for each bin number, shape (n,); a bin without points gets the nearest one that has some."""
        top = np.r_[0.0, np.cumsum(self.weights)]
        low, high = top[self.starts[place]], top[self.starts[place + 1]]
        found = np.searchsorted(top, low + rng.random(place.size) * (high - low), side="right") - 1
        return np.asarray(self.points[np.clip(found, self.starts[place], self.starts[place + 1] - 1)])


def decimals(values: Floats) -> int:
    """Most decimals among values, at most MOST_DECIMALS."""
    most = 0
    for value in values:
        exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
        most = max(most, -exponent if isinstance(exponent, int) else 0)
        if most >= MOST_DECIMALS:
            break
    return min(most, MOST_DECIMALS)


def fit_value_support(
    column: Column,
    counts: Mapping[float, float],
    in_bins: Floats,
    rng: np.random.Generator,
    *,
    least: float,
    rare_known: bool,
) -> ValueSupport | None:
    """The support of a binned column, or None where nothing is known of its values.

    counts: how many patients share each value; all values where rare_known, else those that a paid measurement found common.
    in_bins: patients in each bin, shape (bins,).
    """
    values = np.array(sorted(counts), dtype=np.float64)
    held = np.array([counts[v] for v in values], dtype=np.float64)
    common = held >= least
    if not (common.any() or rare_known):
        return None
    bins = len(column.edges) - 1
    digits = decimals(np.array([column.step]) if column.step else values if rare_known else values[common])
    step = column.step or 10.0**-digits
    forbidden = set(np.rint(values[~common] / step).astype(np.int64).tolist()) if rare_known else set()
    bin_of = bin_codes(values, column)
    parts: list[tuple[Floats, Floats]] = []
    for b in range(bins):
        here = common & (bin_of == b)
        rest = max(float(in_bins[b]) - float(held[here].sum()), 0.0)
        points, weights = values[here], held[here]
        others = _stand_ins(column, b, step, digits, forbidden | set(np.rint(points / step).astype(np.int64).tolist()), rng)
        if others.size and rest > 0:
            points, weights = np.r_[points, others], np.r_[weights, np.full(others.size, rest / others.size)]
        parts.append((points, weights))
    _fill(parts, column, values[common])
    starts = np.r_[0, np.cumsum([p.size for p, _w in parts])].astype(np.int64)
    return ValueSupport(np.concatenate([p for p, _w in parts]), np.concatenate([w for _p, w in parts]), starts)


def _stand_ins(column: Column, b: int, step: float, digits: int, used: set[int], rng: np.random.Generator) -> Floats:
    """Unused multiples of the step within a bin, at most STAND_INS."""
    left = max(column.edges[b], column.low if column.low is not None else -np.inf)
    right = min(column.edges[b + 1], column.high if column.high is not None else np.inf)
    first = int(np.ceil(left / step - 1e-9))
    last = int(np.floor(right / step + 1e-9)) if b == len(column.edges) - 2 else int(np.ceil(right / step - 1e-9)) - 1
    if last < first:
        return np.zeros(0)
    if last - first < 4 * STAND_INS:
        free = np.array([k for k in range(first, last + 1) if k not in used], dtype=np.int64)
    else:
        tried = np.unique(rng.integers(first, last + 1, 4 * STAND_INS))
        free = tried[[int(k) not in used for k in tried]]
    chosen = rng.permutation(free)[:STAND_INS]
    return np.sort(np.round(chosen * step, digits))


def _fill(parts: list[tuple[Floats, Floats]], column: Column, common: Floats) -> None:
    """Replaces the points of a bin with rare values only by the nearest common value, or by its middle where there is none."""
    for b, (points, weights) in enumerate(parts):
        if not points.size or weights.sum() <= 0:
            middle = (column.edges[b] + column.edges[b + 1]) / 2
            value = common[int(np.abs(common - middle).argmin())] if common.size else middle
            parts[b] = (np.array([value]), np.ones(1))
