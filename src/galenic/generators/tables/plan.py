"""Which marginals to pay for, and for how much: decided from sizes and the noisy number of rows, never from a row."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from galenic.errors import BudgetError

MOST_LEVELS = 4_000  # the fit holds a levels x levels matrix in memory
PAIR_NOISE = 0.15  # highest mean total variation that noise alone may put on a measured pair
ONE_WAY_NOISE = 0.10  # above this even single columns are noise: refuse
SELECTION_SHARE = Fraction(1, 10)
FOLDED_NORMAL = math.sqrt(2 / math.pi)  # E|N(0, 1)|


@dataclass(frozen=True)
class Plan:
    """pairs: how many 2-way marginals to measure. select: whether they must be chosen (and paid for) among all.
    one_noise, pair_noise: mean total variation that noise alone puts on one column and on a measured pair."""

    pairs: int
    select: bool
    one_noise: float
    pair_noise: float


def shares(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Parts of rho for marginals of these sizes: cells^(2/3) minimises the summed L1 error (Zhang et al. 2021, PrivSyn)."""
    weight = cells ** (2 / 3)
    return np.asarray(weight / weight.sum())


def _noise(cells: NDArray[np.float64], rho: float, cap: int, rows: int) -> NDArray[np.float64]:
    """Total variation that the noise of each marginal amounts to, shape (marginals,)."""
    sigma = cap / np.sqrt(2 * rho * shares(cells))
    return np.asarray(0.5 * cells * sigma * FOLDED_NORMAL / rows)


def plan(sizes: NDArray[np.int64], rows: int, rho: Fraction, cap: int) -> Plan:
    """The most pairs whose noise stays below PAIR_NOISE, at least one fewer than columns.

    BudgetError, with the arithmetic, if even that leaves single columns as noise.
    """
    d = len(sizes)
    _refuse_wide(sizes)
    every = np.array([sizes[i] * sizes[j] for i in range(d) for j in range(i + 1, d)], dtype=np.float64)
    typical = np.sort(every)[::-1] if every.size else every
    fewest, most = min(d - 1, every.size), every.size
    budget = float(rho)
    if rows <= 0:
        rows = 1
    low, high = fewest, most
    while low < high:
        middle = (low + high + 1) // 2
        spend = budget if middle == most else budget * float(1 - SELECTION_SHARE)
        cells = np.r_[sizes, _sample(typical, middle)].astype(np.float64)
        fits = float(_noise(cells, spend, cap, rows)[d:].mean()) <= PAIR_NOISE
        low, high = (middle, high) if fits else (low, middle - 1)
    cells = np.r_[sizes, _sample(typical, low)].astype(np.float64)
    noise = _noise(cells, budget if low == most else budget * float(1 - SELECTION_SHARE), cap, rows)
    one, pair = float(noise[:d].mean()), float(noise[d:].mean()) if low else 0.0
    if one > ONE_WAY_NOISE:
        raise BudgetError(_too_small(d, sizes, rows, budget, cap, one))
    return Plan(low, low < most, one, pair)


def _sample(ordered: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """k sizes spread evenly over all pairs: what an unknown choice of k pairs costs on average."""
    return ordered[np.linspace(0, ordered.size - 1, k).astype(int)] if k else ordered[:0]


def _too_small(d: int, sizes: NDArray[np.int64], rows: int, rho: float, cap: int, one: float) -> str:
    factor = one / ONE_WAY_NOISE
    return (
        f"too little to say anything: {d} columns of {float(np.mean(sizes)):.1f} levels on average, about {rows} rows, rho="
        f"{rho:.3g}, {cap} row(s) per patient. Noise alone would shift each single column by {one:.2f} in total variation; "
        f"{ONE_WAY_NOISE} is the most that is still informative. Rows x sqrt(rho) must grow {factor:.1f}-fold: more patients, a "
        "larger epsilon, fewer columns (--drop), or coarser ones (declare bounds, categories or edges)."
    )


def _refuse_wide(sizes: NDArray[np.int64]) -> None:
    if int(sizes.sum()) > MOST_LEVELS:
        raise BudgetError(
            f"{len(sizes)} columns with {int(sizes.sum())} levels in all; this engine handles {MOST_LEVELS}. Drop columns (--drop), "
            "or declare fewer categories or bins."
        )
