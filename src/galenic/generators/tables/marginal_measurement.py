"""Measurement of the planned marginals, in paid rounds: single columns, pairs, and triples with the target."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from galenic.generators.tables.coarsening import Integers, coarse_levels, sum_by_group
from galenic.generators.tables.marginal_plan import FOLDED_NORMAL, MOST_TRIPLES, MarginalPlan, shares
from galenic.generators.tables.mixture import Floats, Marginal
from galenic.privacy import Crosstab, NoisyMarginal, PrivateRows
from galenic.schema import Column

Cells = tuple[int, ...]
INNER_SHARE = 0.5  # of what pairs cost, for pairs among the target's chosen predictors: what one explains, the other must not
PAIR_WORTH, TARGET_WORTH, TRIPLE_WORTH = 0.15, 1.0, 0.3  # of a marginal's noise that must be made up for to be worth asking
TARGET_POWER = 0.5
TRIPLE_CHOICE = Fraction(1, 5)  # of what triples cost


@dataclass(frozen=True)
class MeasuredMarginals:
    """Marginals measured so far. ones: single columns at fine levels; pairs: at the coarse levels of `groups`, singles included.

    Noisy answers only: a fitted model keeps them, and must not lead to exact counts.
    """

    ones: tuple[Marginal, ...]
    pairs: tuple[Marginal, ...]
    groups: tuple[Integers, ...]
    measured_pairs: int

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Coarse levels of each column."""
        return np.array([int(g.max()) + 1 for g in self.groups])


def measure_marginals(
    real: PrivateRows, columns: tuple[Column, ...], plan: MarginalPlan, rows: int, target: int | None
) -> tuple[MeasuredMarginals, Crosstab]:
    """(measured single columns and pairs; the crosstab over coarse levels, for later questions). Their noise is split by cells^(2/3),
    those with the target by cells^(1/2)."""
    d, rho = len(columns), real.rho
    fine = real_crosstab(real, columns, target)
    price = shares(fine.sizes.astype(float)) * float(rho) * plan.ones
    ones = tuple(_measure(real, fine, [(j,) for j in range(d)], price))
    grouped = tuple(coarse_levels(columns, [m.counts for m in ones], plan.bins))
    table = fine.grouped(grouped) if plan.bins else fine
    with_target = [tuple(sorted((j, target))) for j in range(d) if j != target] if target is not None else []
    others: list[Cells] = [c for c in combinations(range(d), 2) if target not in c]
    alone = [_shares_of(sum_by_group(m.counts, g)) for m, g in zip(ones, grouped, strict=True)]
    if plan.choose_target:
        found = _distances(table, with_target, alone, rows, rho * Fraction(plan.choose_target))
        with_target = _worth_measuring(
            found, table.sizes, _sigma_of(real, rho * Fraction(plan.target)), TARGET_WORTH, TARGET_POWER
        )
    if plan.choose_pairs:
        found = _distances(table, others, alone, rows, min(rho * Fraction(plan.choose_pairs), real.rho))
        sigma = _sigma_of(real, rho * Fraction(plan.pair))
        others = sorted(_worth_measuring(found, table.sizes, sigma, PAIR_WORTH, 2 / 3, plan.pairs))
    pairs = _pairs(real, table, with_target, others, plan, rho)
    coarse_ones = [_coarsened(m, g) for m, g in zip(ones, grouped, strict=True)] if plan.bins else list(ones)
    return MeasuredMarginals(ones, (*coarse_ones, *pairs), grouped, len(pairs)), table


def real_crosstab(real: PrivateRows, columns: tuple[Column, ...], target: int | None) -> Crosstab:
    """One pass over the rows."""
    return Crosstab(real, columns, target)


def _pairs(
    real: PrivateRows, table: Crosstab, with_target: list[Cells], others: list[Cells], plan: MarginalPlan, rho: Fraction
) -> list[Marginal]:
    """Pairs with the target, then the others; where predictors were chosen, pairs among them get INNER_SHARE."""
    chosen = {j for cells in with_target for j in cells}
    inner = [c for c in others if plan.choose_target and set(c) <= chosen]
    outer = [c for c in others if c not in set(inner)]
    part = INNER_SHARE if inner and outer else 1.0
    parts = [(with_target, plan.target, TARGET_POWER), (inner, plan.pair * part, 2 / 3)]
    parts.append((outer, plan.pair * (1 - part) if inner else plan.pair, 2 / 3))
    measured: list[Marginal] = []
    for cells, share, power in parts:
        if cells:
            size = np.array([np.prod(table.sizes[list(c)]) for c in cells], dtype=np.float64)
            price = shares(size, power) * float(rho) * share
            measured += _measure(real, table, cells, price)
    return measured


def _measure(real: PrivateRows, table: Crosstab, cells: list[Cells], price: Floats) -> list[Marginal]:
    prices, left = {}, real.rho
    for c, p in zip(cells, price, strict=True):
        prices[c] = min(Fraction(p), left) if real.private else Fraction(p)  # rounded floats must not overdraw
        left -= prices[c]
    return [_marginal(a) for a in table.ask_all(prices)]


def _marginal(noisy: NoisyMarginal) -> Marginal:
    """Exact counts get the variance of sampling (Poisson) instead of noise, so that the fit stops at sampling error."""
    floats = noisy.counts.astype(np.float64)
    return Marginal(noisy.columns, floats, noisy.sigma**2 if noisy.sigma else floats + 1.0)


def _coarsened(m: Marginal, group: Integers) -> Marginal:
    variance = np.broadcast_to(np.asarray(m.variance, dtype=np.float64), m.counts.shape)
    return Marginal(m.columns, sum_by_group(m.counts, group), sum_by_group(variance, group))


def _shares_of(counts: Floats) -> Floats:
    positive = np.maximum(counts, 0.5)
    return np.asarray(positive / positive.sum())


def _excess(scores: dict[Cells, int], sizes: NDArray[np.int64], rows: int, more: float = 1.0) -> dict[Cells, float]:
    """Distances above what a sample of `rows` shows by chance. more: variance of chance, in units of the sample's own."""
    cells = {c: float(np.prod(sizes[list(c)])) for c in scores}
    return {c: s - FOLDED_NORMAL * np.sqrt(min(cells[c], rows) * rows * more) for c, s in scores.items()}


def _distances(table: Crosstab, pairs: list[Cells], alone: list[Floats], rows: int, price: Fraction) -> dict[Cells, float]:
    """How far pairs are from independent, above chance."""
    expected = {c: np.rint(np.multiply.outer(alone[c[0]], alone[c[1]]) * rows).astype(np.int64) for c in pairs}
    return _excess(table.distances(expected, price)[0], table.sizes, rows)


def _sigma_of(real: PrivateRows, cost: Fraction) -> float:
    """Standard deviation of one count's noise if it alone had the whole price; 0 where answers are exact."""
    return real.cap / np.sqrt(2 * float(cost)) if real.private else 0.0


def _worth_measuring(
    excess: dict[Cells, float], sizes: NDArray[np.int64], sigma: float, worth: float, power: float, most: int | None = None
) -> list[Cells]:
    """The marginals, furthest first, up to the one at which a further one would cost the others more by noise than it adds."""
    ranked = sorted(excess, key=lambda c: (-excess[c], c))[:most]  # a tie by the columns' places
    cells = np.array([float(np.prod(sizes[list(c)])) for c in ranked])
    information = np.cumsum([excess[c] for c in ranked])
    lost = [
        float((cells[:k] * sigma / np.sqrt(shares(cells[:k], power))).sum()) * FOLDED_NORMAL for k in range(1, len(ranked) + 1)
    ]
    gain = information - worth * np.array(lost)
    return ranked[: max(int(np.argmax(gain)) + 1, min(3, len(ranked)))]


def measure_triples(
    real: PrivateRows, table: Crosstab, expected: dict[Cells, NDArray[np.int64]], rows: int, sampled: int
) -> list[Marginal]:
    """Triples with the target that are furthest from the expectation by pairs alone, paid with the remaining budget. expected: whole
    counts by the model of pairs, from `sampled` rows of it."""
    scores = table.distances(expected, real.rho * TRIPLE_CHOICE)[0]
    excess = _excess(scores, table.sizes, rows, 1 + rows / sampled)
    chosen = _worth_measuring(excess, table.sizes, _sigma_of(real, real.rho), TRIPLE_WORTH, 2 / 3, MOST_TRIPLES)
    size = np.array([np.prod(table.sizes[list(c)]) for c in chosen], dtype=np.float64)
    price = shares(size) * float(real.rho)
    return _measure(real, table, chosen, price)
