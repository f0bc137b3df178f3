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
    """features: columns that each block of coefficients reads: (j,) at the model's levels, or (i, j) at the coarser ones of `fewer`.
    coefficients: shape (levels of all features, levels of the target). order: columns by how much they tell of the target."""

    target: int
    features: tuple[tuple[int, ...], ...]
    sizes: NDArray[np.int64]
    fewer: tuple[Codes, ...]
    coefficients: Floats
    base: Floats
    order: tuple[int, ...]

    def chances(self, codes: Codes) -> Floats:
        """P(level of the target | row), shape (rows, levels); codes at the model's (coarse) levels."""
        logits = np.repeat(self.base[None], codes.shape[0], axis=0)
        start = 0
        for feature in self.features:
            cell, cells = _cell(codes, feature, self.sizes, self.fewer)
            logits += self.coefficients[start + cell]
            start += cells
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def drawn(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Levels of the target, shape (rows,): systematic among rows that are alike in what tells most, so that neighbours have
        the shares that the model gives them, and not by chance others."""
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


def _cell(codes: Codes, feature: tuple[int, ...], sizes: NDArray[np.int64], fewer: tuple[Codes, ...]) -> tuple[Codes, int]:
    """(cell of each row, how many cells there are)."""
    if len(feature) == 1:
        return codes[:, feature[0]], int(sizes[feature[0]])
    i, j = feature
    across = int(fewer[j].max()) + 1
    return fewer[i][codes[:, i]] * across + fewer[j][codes[:, j]], (int(fewer[i].max()) + 1) * across


@dataclass(frozen=True)
class _TargetCounts:
    """What was measured about the target, one row for each cell of each feature. counts: by the target's level, made to add up to
    `held`, the cell's rows by the mixture; noise: variance of such a count; prior: of a coefficient, as 1 / variance."""

    counts: Floats
    noise: Floats
    held: Floats
    prior: Floats
    starts: NDArray[np.int64]


def fit_target_model(
    codes: Codes,
    marginals: tuple[Marginal, ...],
    target_share: Floats,
    sizes: NDArray[np.int64],
    fewer: tuple[Codes, ...],
    target: int,
    rows: float,
    *,
    scaled: bool = False,
    before: TargetModel | None = None,
) -> TargetModel:
    """The model fitted to noisy counts with the target. codes: rows of the mixture, which stand for the other columns;
    target_share: shares of the target's levels. Counts enter as sufficient statistics; a cell's prior is the stronger, the
    more of its count is noise (the shrinkage of a normal mean). scaled: where the rows hold a cell more or less often than it was
    counted, its counts are multiplied (right where rows are made step by step) instead of moved. before: the same model fitted to
    nearly the same, from which to go on."""
    from scipy.optimize import minimize  # noqa: PLC0415  # a second to load
    from scipy.sparse import csr_matrix  # noqa: PLC0415

    asked = [m for m in marginals if len(m.columns) > 1 and target in m.columns]
    features = tuple(tuple(j for j in m.columns if j != target) for m in asked)
    cells = [_cell(codes, f, sizes, fewer) for f in features]
    starts = np.r_[0, np.cumsum([count for _place, count in cells])]
    place = np.stack([starts[k] + cell for k, (cell, _count) in enumerate(cells)], axis=1)
    ends = np.arange(0, place.size + 1, len(features))
    design = csr_matrix((np.ones(place.size), place.ravel(), ends), shape=(codes.shape[0], int(starts[-1])))
    live = target_share > SMALLEST_SHARE
    told = _target_counts(
        asked, features, target, np.asarray(design.sum(axis=0)).ravel() * rows / codes.shape[0], starts, live, scaled
    )
    base = np.where(live, np.log(np.maximum(target_share, 1e-12)), NEVER)
    loss = _Loss(design, told, base, target_share, live, rows)
    first = np.zeros((told.held.size + 1) * base.size) if before is None else loss.flat(before)
    steps = ITERATIONS if before is None else ITERATIONS // 4
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": steps})
    own, shift = loss.parts(found.x)
    weight = [float((told.held[a:b, None] * own[a:b] ** 2).sum()) for a, b in pairwise(starts)]
    mains = [k for k, f in enumerate(features) if len(f) == 1]
    order = tuple(features[k][0] for k in sorted(mains, key=lambda k: -weight[k]))
    return TargetModel(target, features, sizes, fewer, own, base + shift, order)


def _target_counts(
    asked: list[Marginal],
    features: tuple[tuple[int, ...], ...],
    target: int,
    held: Floats,
    starts: Codes,
    live: NDArray[np.bool_],
    scaled: bool,
) -> _TargetCounts:
    levels = live.size
    counts, noise, prior = np.zeros((held.size, levels)), np.zeros(held.size), np.zeros(held.size)
    for k, (m, feature) in enumerate(zip(asked, features, strict=True)):
        span, axis = slice(starts[k], starts[k + 1]), m.columns.index(target)
        found = np.moveaxis(m.counts, axis, -1).reshape(-1, levels)
        spread = np.broadcast_to(np.asarray(m.variance, dtype=np.float64), m.counts.shape)
        gap = held[span] - found[:, live].sum(axis=1)
        part = np.maximum(found, 0.0) * live + 1e-3 * live if scaled else np.broadcast_to(live / live.sum(), found.shape)
        counts[span] = np.where(live, found + gap[:, None] * part / part.sum(axis=1, keepdims=True), 0.0)
        noise[span] = np.moveaxis(spread, axis, -1).reshape(-1, levels).mean(axis=1) / 2
        prior[span] = (MAIN if len(feature) == 1 else TIE) ** -2
    return _TargetCounts(counts, noise, held, prior, starts)


class _Loss:
    """Minus the log-likelihood per row of a multinomial logistic model whose sufficient statistics are given, plus a ridge; the
    gradient beside it."""

    def __init__(
        self, design: Any, told: _TargetCounts, base: Floats, target_share: Floats, live: NDArray[np.bool_], rows: float
    ) -> None:
        self.design, self.told, self.base, self.live, self.rows = design, told, base, live, rows
        information = np.maximum(told.held * float((target_share[live] * (1 - target_share[live])).mean()), 1e-9)
        self.ridge = np.minimum((1 + told.noise / information) * told.prior, 1e12)[:, None]
        # every direction about equally curved: a third of the iterations
        self.pace = np.sqrt(rows / (information[:, None] + self.ridge))
        self.goal = target_share * rows

    def parts(self, flat: Floats) -> tuple[Floats, Floats]:
        """(coefficients, shift of the base) of a flat vector."""
        cut = self.told.held.size * self.base.size
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
        value += float((own * (0.5 * self.ridge * own - self.told.counts)).sum())
        slope = np.where(self.live, scale * (self.design.T @ chance) - self.told.counts + self.ridge * own, 0.0)
        slope_base = np.where(self.live, scale * chance.sum(axis=0) - self.goal, 0.0)
        return value / self.rows, np.r_[(slope * self.pace).ravel(), slope_base] / self.rows
