"""P(target | the other columns), a multinomial logistic model that agrees with paid pairs and triples.

A mixture fitted to noisy pairs invents ties of three columns that no patient has, and models trained on its rows learn them.
The target is therefore drawn anew from the model of greatest entropy that agrees with what was measured about it.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galenic.generators.tables.mixture import Floats, Marginal

Codes = NDArray[np.int64]
MAIN, TIE = 0.3, 0.15  # prior standard deviation of a log-odds by one column, and by two together
ITERATIONS = 80
SMALLEST_SHARE, NEVER = 1e-4, -30.0  # a level of the target rarer than this is not drawn: its log-odds


@dataclass(frozen=True)
class TargetModel:
    """features: columns that each block of coefficients reads: (j,) at the model's levels, or (i, j) at the coarser ones of `merged`.
    coefficients: shape (levels of all features, levels of the target). order: columns by how well they predict the target."""

    target: int
    features: tuple[tuple[int, ...], ...]
    sizes: NDArray[np.int64]
    merged: tuple[Codes, ...]
    coefficients: Floats
    base: Floats
    order: tuple[int, ...]

    def chances(self, codes: Codes) -> Floats:
        """P(level of the target | row), shape (rows, levels); codes at the model's (coarse) levels."""
        logits = np.repeat(self.base[None], codes.shape[0], axis=0)
        start = 0
        for feature in self.features:
            cell, cells = _cell(codes, feature, self.sizes, self.merged)
            logits += self.coefficients[start + cell]
            start += cells
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def draw(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Levels of the target, shape (rows,): systematic among rows that are alike in the best predictors, so that neighbours have
        the shares of the model without random variation."""
        chances = self.chances(codes)
        shuffled = rng.permutation(codes.shape[0])
        rows = shuffled[np.lexsort(codes[shuffled][:, self.order[:8][::-1]].T)] if self.order else shuffled
        drawn = np.full(codes.shape[0], int(np.argmax(self.base)), dtype=np.int64)
        left = np.ones(codes.shape[0])
        for level in range(self.base.size):
            share = chances[rows, level] / np.maximum(left[rows], 1e-12)
            total = np.cumsum(np.minimum(share, 1.0)) + rng.random()
            taken = np.floor(total) > np.floor(np.r_[total[0] - min(share[0], 1.0) if share.size else 0.0, total[:-1]])
            drawn[rows[taken]] = level
            left -= chances[:, level]
            rows = rows[~taken]
        return drawn


def _cell(codes: Codes, feature: tuple[int, ...], sizes: NDArray[np.int64], merged: tuple[Codes, ...]) -> tuple[Codes, int]:
    """(cell of each row, how many cells there are)."""
    if len(feature) == 1:
        return codes[:, feature[0]], int(sizes[feature[0]])
    i, j = feature
    across = int(merged[j].max()) + 1
    return merged[i][codes[:, i]] * across + merged[j][codes[:, j]], (int(merged[i].max()) + 1) * across


@dataclass(frozen=True)
class TargetProblem:
    """Column to be predicted, and its setting. shares: of its levels. sizes: levels of every column. merged: of every column, the
    coarser level of each level, for pairs of columns. rows: training rows."""

    target: int
    shares: Floats
    sizes: NDArray[np.int64]
    merged: tuple[Codes, ...]
    rows: float

    @property
    def live(self) -> NDArray[np.bool_]:
        """Levels of the target that are drawn."""
        return self.shares > SMALLEST_SHARE


@dataclass(frozen=True)
class _TargetCounts:
    """Measured counts of the target, one row for each cell of each feature. counts: by the target's level, made to add up to
    `held`, the cell's rows by the mixture; noise: variance of such a count; prior: of a coefficient, as 1 / variance."""

    counts: Floats
    noise: Floats
    held: Floats
    prior: Floats


def fit_target_model(
    codes: Codes,
    marginals: tuple[Marginal, ...],
    problem: TargetProblem,
    *,
    scaled: bool = False,
    before: TargetModel | None = None,
) -> TargetModel:
    """The model fitted to noisy counts with the target. codes: rows of the mixture, which represent the other columns. Counts enter as
    sufficient statistics; the more of a cell's count is noise, the stronger its prior (the shrinkage of a normal mean). scaled: where
    the rows hold a cell more or less often than it was counted, its counts are multiplied (right where rows are made step by step)
    instead of moved. before: the same model fitted to nearly the same, as a start."""
    from scipy.optimize import minimize  # noqa: PLC0415  # a second to load

    target, live = problem.target, problem.live
    used = [m for m in marginals if len(m.columns) > 1 and target in m.columns]
    features = tuple(tuple(j for j in m.columns if j != target) for m in used)
    cells = [_cell(codes, f, problem.sizes, problem.merged) for f in features]
    starts = np.r_[0, np.cumsum([count for _place, count in cells])]
    design = _design_matrix(cells, starts, codes.shape[0])
    held = np.asarray(design.sum(axis=0)).ravel() * problem.rows / codes.shape[0]
    counts = _target_counts(used, target, held, starts, live, scaled)
    base = np.where(live, np.log(np.maximum(problem.shares, 1e-12)), NEVER)
    loss = _Loss(design, counts, base, problem)
    first = np.zeros((held.size + 1) * base.size) if before is None else loss.flat(before)
    steps = ITERATIONS if before is None else ITERATIONS // 4
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    own, shift = loss.parts(found.x)
    weight = [float((held[a:b, None] * own[a:b] ** 2).sum()) for a, b in pairwise(starts)]
    mains = [k for k, f in enumerate(features) if len(f) == 1]
    order = tuple(features[k][0] for k in sorted(mains, key=lambda k: -weight[k]))
    return TargetModel(target, features, problem.sizes, problem.merged, own, base + shift, order)


def _design_matrix(cells: list[tuple[Codes, int]], starts: Codes, rows: int) -> Any:
    """Sparse indicator of each row's cell of each feature, shape (rows, cells of all features)."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415  # a second to load

    if not cells:  # noise hid every pair with this target: it is drawn by its own shares
        return csr_matrix((rows, 0))
    place = np.stack([starts[k] + cell for k, (cell, _count) in enumerate(cells)], axis=1)
    ends = np.arange(0, place.size + 1, len(cells))
    return csr_matrix((np.ones(place.size), place.ravel(), ends), shape=(rows, int(starts[-1])))


def _target_counts(
    used: list[Marginal], target: int, held: Floats, starts: Codes, live: NDArray[np.bool_], scaled: bool
) -> _TargetCounts:
    levels = live.size
    counts, noise, prior = np.zeros((held.size, levels)), np.zeros(held.size), np.zeros(held.size)
    for k, m in enumerate(used):
        span, axis = slice(starts[k], starts[k + 1]), m.columns.index(target)
        found = np.moveaxis(m.counts, axis, -1).reshape(-1, levels)
        variance = np.broadcast_to(np.asarray(m.variance, dtype=np.float64), m.counts.shape)
        gap = held[span] - found[:, live].sum(axis=1)
        part = np.maximum(found, 0.0) * live + 1e-3 * live if scaled else np.broadcast_to(live / live.sum(), found.shape)
        counts[span] = np.where(live, found + gap[:, None] * part / part.sum(axis=1, keepdims=True), 0.0)
        noise[span] = np.moveaxis(variance, axis, -1).reshape(-1, levels).mean(axis=1) / 2
        prior[span] = (MAIN if len(m.columns) == 2 else TIE) ** -2
    return _TargetCounts(counts, noise, held, prior)


class _Loss:
    """Minus the log-likelihood per row of a multinomial logistic model whose sufficient statistics are given, plus a ridge; the
    gradient beside it."""

    def __init__(self, design: Any, counts: _TargetCounts, base: Floats, problem: TargetProblem) -> None:
        self.design, self.counts, self.base = design, counts, base
        self.live, self.rows = problem.live, problem.rows
        shares = problem.shares
        information = np.maximum(counts.held * float((shares[self.live] * (1 - shares[self.live])).mean()), 1e-9)
        self.ridge = np.minimum((1 + counts.noise / information) * counts.prior, 1e12)[:, None]
        # every direction about equally curved: a third of the iterations
        self.pace = np.sqrt(self.rows / (information[:, None] + self.ridge))
        self.goal = shares * self.rows

    def parts(self, flat: Floats) -> tuple[Floats, Floats]:
        """(coefficients, shift of the base) of a flat vector."""
        cut = self.counts.held.size * self.base.size
        return flat[:cut].reshape(-1, self.base.size) * self.pace, flat[cut:]

    def flat(self, model: TargetModel) -> Floats:
        """The flat vector of a model of the same features."""
        vector: Floats = np.r_[(model.coefficients / self.pace).ravel(), model.base - self.base]
        return vector

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        own, shift = self.parts(flat)
        logits = self.design @ own + (self.base + shift)
        top = logits.max(axis=1, keepdims=True)
        powers = np.exp(logits - top)
        sums = powers.sum(axis=1, keepdims=True)
        chance, scale = powers / sums, self.rows / logits.shape[0]
        value = scale * float((np.log(sums) + top).sum()) - float((self.goal * (self.base + shift)).sum())
        value += float((own * (0.5 * self.ridge * own - self.counts.counts)).sum())
        slope = np.where(self.live, scale * (self.design.T @ chance) - self.counts.counts + self.ridge * own, 0.0)
        slope_base = np.where(self.live, scale * chance.sum(axis=0) - self.goal, 0.0)
        return value / self.rows, np.r_[(slope * self.pace).ravel(), slope_base] / self.rows
