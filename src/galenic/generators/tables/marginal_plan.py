"""Plan of the marginals to measure and their prices, from sizes and the noisy number of rows, never from a row."""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from galenic.errors import BudgetError

MOST_LEVELS = 4_000  # the fit holds a levels x levels matrix in memory
ONE_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)  # of rho, for single columns: the first that is good enough
GOOD_ONE_NOISE, MOST_ONE_NOISE = 0.02, 0.10  # mean total variation by noise alone; above the second single columns are noise
USUAL_ONE_SHARE = 0.3  # where no share makes them good: more would starve the pairs
EXACT_BINS = 16  # of ordered columns within pairs where nothing is private: forests see the finer ones
BINS = (32, 24, 16, 12, 8, 6, 4)  # coarser and coarser levels of ordered columns within pairs
PAIR_NOISE = 0.5  # on a measured pair; the fit over all pairs takes nine tenths of it out again
GOOD_PAIR_NOISE = 0.12  # up to which all pairs are measured; above it, those with more information than their noise removes
TARGET_SHARES = (
    0.15,
    0.2,
    0.25,
    0.3,
    0.35,
    0.4,
)  # of the price of pairs, for pairs with the target: the first that is good enough
GOOD_TARGET_NOISE, TARGET_NOISE = 0.008, 0.03  # above the second, the target's best predictors are chosen first
CHOICE_SHARE = 0.05  # of rho, for each choice
FEW_COLUMNS = 4  # up to which nothing is worth choosing among
TRIPLE_SHARE = 0.1  # of rho, for triples with the target: a fifth of it chooses them
TRIPLE_NOISE, FEW_TRIPLES, MOST_TRIPLES = 0.02, 5, 20
TRIPLE_BINS = (16, 12, 8, 6, 4)  # levels of each column within triples, the other categories are merged
FOLDED_NORMAL = math.sqrt(2 / math.pi)  # E|N(0, 1)|


@dataclass(frozen=True)
class MarginalPlan:
    """Parts of rho, which add up to 1: single columns; choosing among the target's pairs (0: all are measured) and those pairs;
    choosing among other pairs and those; choosing triples with the target and those.

    bins: most levels of an ordered column within pairs (None: as they are); triple_bins: of any column within triples (0: none are
    measured). pairs: how many pairs without the target, at most.
    one_noise, pair_noise: mean total variation that noise alone puts on a column and on a pair.
    """

    ones: float
    choose_target: float
    target: float
    choose_pairs: float
    pair: float
    triple: float
    bins: int | None
    triple_bins: int
    pairs: int
    one_noise: float
    pair_noise: float


def shares(cells: NDArray[np.float64], power: float = 2 / 3) -> NDArray[np.float64]:
    """Parts of rho for marginals of these sizes: cells^(2/3) minimises the summed L1 error (Zhang et al. 2021, PrivSyn)."""
    weight = cells**power
    return np.asarray(weight / weight.sum())


def noise(cells: NDArray[np.float64], rho: float, cap: int, rows: int) -> NDArray[np.float64]:
    """Total variation that the noise of each marginal amounts to when together they cost rho, shape (marginals,)."""
    sigma = cap / np.sqrt(2 * rho * shares(cells))
    return np.asarray(0.5 * cells * sigma * FOLDED_NORMAL / rows)


def make_plan(
    sizes: NDArray[np.int64], ordered: NDArray[np.bool_], rows: int, rho: Fraction, cap: int, target: int | None = None
) -> MarginalPlan:
    """The plan for columns of these sizes. ordered: columns that may be made coarser. BudgetError, with the arithmetic, if even
    single columns would be noise."""
    refuse_wide(sizes)
    d, budget, rows = len(sizes), float(rho), max(rows, 1)
    if d == 1:
        one = float(noise(sizes.astype(float), budget, cap, rows).mean())
        _refuse_noise(one, sizes, rows, budget, cap)
        return MarginalPlan(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, 0, 0, one, 0.0)
    ones, one = _one_share(sizes, rows, budget, cap)
    others = [(i, j) for i, j in combinations(range(d), 2) if target not in (i, j)]
    triple_bins = _triple_bins(sizes, others, target, rows, budget * TRIPLE_SHARE, cap) if target is not None else 0
    triple = TRIPLE_SHARE if triple_bins else 0.0
    left = 1 - ones - triple
    choose_target, target_share = 0.0, 0.0
    if target is not None:
        with_target = _coarse(np.delete(sizes, target), np.delete(ordered, target), 8) * float(sizes[target])
        by_share = {s: float(noise(with_target, budget * left * s, cap, rows).mean()) for s in TARGET_SHARES}
        share = next((s for s, found in by_share.items() if found <= GOOD_TARGET_NOISE), TARGET_SHARES[-1])
        choose_target = CHOICE_SHARE if by_share[share] > TARGET_NOISE and d > FEW_COLUMNS else 0.0
        target_share = (left - choose_target) * share
    if not others:
        return MarginalPlan(ones, choose_target, left - choose_target, 0.0, 0.0, triple, None, triple_bins, 0, one, 0.0)
    pair = left - choose_target - target_share
    bins, pair_noise = _bins(sizes, ordered, others, rows, budget * pair, cap)
    if pair_noise <= GOOD_PAIR_NOISE:
        return MarginalPlan(
            ones, choose_target, target_share, 0.0, pair, triple, bins, triple_bins, len(others), one, pair_noise
        )
    pair -= CHOICE_SHARE
    cells = np.sort(_cells(_coarse(sizes, ordered, bins), others))[::-1]
    low, high = min(d - 1, cells.size), cells.size  # the most pairs whose noise stays below PAIR_NOISE, as far as d - 1 allow
    while low < high:
        middle = (low + high + 1) // 2
        some = float(noise(_spread(cells, middle), budget * pair, cap, rows).mean())
        low, high = (middle, high) if some <= PAIR_NOISE else (low, middle - 1)
    pair_noise = float(noise(_spread(cells, low), budget * pair, cap, rows).mean())
    return MarginalPlan(ones, choose_target, target_share, CHOICE_SHARE, pair, triple, bins, triple_bins, low, one, pair_noise)


def exact_plan(sizes: NDArray[np.int64], target: int | None = None) -> MarginalPlan:
    """Without a budget: every pair."""
    refuse_wide(sizes)
    d = len(sizes)
    others = d * (d - 1) // 2 - (d - 1 if target is not None else 0)
    return MarginalPlan(0.25, 0.0, 0.25, 0.0, 0.5, 0.0, EXACT_BINS, 0, others, 0.0, 0.0)


def _one_share(sizes: NDArray[np.int64], rows: int, rho: float, cap: int) -> tuple[float, float]:
    by_share = {s: float(noise(sizes.astype(float), rho * s, cap, rows).mean()) for s in ONE_SHARES}
    good = [s for s, found in by_share.items() if found <= GOOD_ONE_NOISE]
    share = good[0] if good else USUAL_ONE_SHARE
    if by_share[share] > MOST_ONE_NOISE:
        share = ONE_SHARES[-1]
    _refuse_noise(by_share[share], sizes, rows, rho, cap)
    return share, by_share[share]


def _triple_bins(sizes: NDArray[np.int64], others: list[tuple[int, int]], target: int, rows: int, rho: float, cap: int) -> int:
    """The finest levels at which FEW_TRIPLES triples would be measured well enough to tell more than their pairs do; 0: none."""
    for bins in TRIPLE_BINS if others else ():
        usual = np.median(_cells(np.minimum(sizes, bins + 1).astype(float), others)) * float(sizes[target])
        if float(noise(np.full(FEW_TRIPLES, usual), rho * 0.8, cap, rows).mean()) <= TRIPLE_NOISE:
            return bins
    return 0


def _bins(
    sizes: NDArray[np.int64], ordered: NDArray[np.bool_], pairs: list[tuple[int, int]], rows: int, rho: float, cap: int
) -> tuple[int | None, float]:
    """The finest levels at which noise on a pair stays below PAIR_NOISE, or the coarsest there are; and that noise."""
    found = 0.0
    for bins in (None, *BINS):
        found = float(noise(_cells(_coarse(sizes, ordered, bins), pairs), rho, cap, rows).mean())
        if found <= PAIR_NOISE:
            return bins, found
    return BINS[-1], found


def _coarse(sizes: NDArray[np.int64], ordered: NDArray[np.bool_], bins: int | None) -> NDArray[np.float64]:
    # one level more than the bins, for missing values
    return np.where(ordered, np.minimum(sizes, bins + 1), sizes).astype(float) if bins else sizes.astype(float)


def _cells(sizes: NDArray[np.float64], pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    place = np.array(pairs)
    return np.asarray(sizes[place[:, 0]] * sizes[place[:, 1]])


def _spread(ordered: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """k sizes spread evenly over all pairs: the average price of an unknown choice of k pairs."""
    return ordered[np.linspace(0, ordered.size - 1, k).astype(int)] if k else ordered[:0]


def _refuse_noise(one: float, sizes: NDArray[np.int64], rows: int, rho: float, cap: int) -> None:
    if one <= MOST_ONE_NOISE:
        return
    raise BudgetError(
        f"too little to say anything: {len(sizes)} columns of {float(np.mean(sizes)):.1f} levels on average, about {rows} rows, "
        f"rho={rho:.3g}, {cap} row(s) per patient. Noise alone would shift each single column by {one:.2f} in total variation; "
        f"{MOST_ONE_NOISE} is the most that is still informative. Rows x sqrt(rho) must grow {one / MOST_ONE_NOISE:.1f}-fold: more "
        "patients, a larger epsilon, fewer columns (--drop), or coarser ones (declare bounds, categories or edges)."
    )


def refuse_wide(sizes: NDArray[np.int64]) -> None:
    """BudgetError if the columns have more levels in all than the engine handles."""
    if int(sizes.sum()) > MOST_LEVELS:
        raise BudgetError(
            f"{len(sizes)} columns with {int(sizes.sum())} levels in all; this engine handles {MOST_LEVELS}. Drop columns (--drop), "
            "or declare fewer categories or bins."
        )
