"""P(target | the other columns), a multinomial logistic model that agrees with paid pairs and triples.

A mixture fitted to noisy pairs invents ties of three columns that no patient has, and models trained on its rows learn them.
The target is therefore drawn anew from the model of greatest entropy that agrees with what was measured about it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galenic.generators.tables.mixture import Floats, Marginal

Codes = NDArray[np.int64]
MAIN, TIE = 0.3, 0.15  # prior standard deviation of a log-odds by one column, and by two together
ITERATIONS = 80
SMALLEST_SHARE = 1e-4  # of a target's level; rarer ones are left to the mixture's share


@dataclass(frozen=True)
class Outcome:
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


def fit_outcome(
    codes: Codes,
    marginals: tuple[Marginal, ...],
    target_share: Floats,
    sizes: NDArray[np.int64],
    fewer: tuple[Codes, ...],
    target: int,
    rows: float,
) -> Outcome:
    """The model fitted to noisy counts with the target. codes: rows of the mixture, which stand for the other columns;
    target_share: shares of the target's levels. Counts enter as sufficient statistics; a cell's prior is the stronger, the
    more of its count is noise (the shrinkage of a normal mean)."""
    from scipy.optimize import minimize  # noqa: PLC0415  # a second to load
    from scipy.sparse import csr_matrix  # noqa: PLC0415

    asked = [m for m in marginals if len(m.columns) > 1 and target in m.columns]
    features = tuple(tuple(j for j in m.columns if j != target) for m in asked)
    cells = [_cell(codes, f, sizes, fewer) for f in features]
    block = [count for _place, count in cells]
    start = np.r_[0, np.cumsum(block)]
    n, levels, total = codes.shape[0], int(sizes[target]), int(start[-1])
    place = np.stack([start[k] + cell for k, (cell, _count) in enumerate(cells)], axis=1)
    design = csr_matrix((np.ones(place.size), place.ravel(), np.arange(0, place.size + 1, len(features))), shape=(n, total))
    scale = rows / n
    held = np.asarray(design.sum(axis=0)).ravel() * scale
    live = target_share > SMALLEST_SHARE
    base = np.where(live, np.log(np.maximum(target_share, 1e-12)), -30.0)
    stat, variance, prior = np.zeros((total, levels)), np.zeros(total), np.zeros(total)
    for k, (m, feature) in enumerate(zip(asked, features, strict=True)):
        span = slice(start[k], start[k + 1])
        counts = np.moveaxis(m.counts, m.columns.index(target), -1).reshape(-1, levels)
        spread = np.broadcast_to(np.asarray(m.variance, dtype=np.float64), m.counts.shape)
        gap = held[span] - counts[:, live].sum(axis=1)
        stat[span] = np.where(live, counts + gap[:, None] / live.sum(), 0.0)
        variance[span] = np.moveaxis(spread, m.columns.index(target), -1).reshape(-1, levels).mean(axis=1) / 2
        prior[span] = (MAIN if len(feature) == 1 else TIE) ** -2
    told = np.maximum(held * float((target_share[live] * (1 - target_share[live])).mean()), 1e-9)
    ridge = np.minimum((1 + variance / told) * prior, 1e12)[:, None]
    goal = target_share * rows
    pace = np.sqrt(rows / (told[:, None] + ridge))  # every direction about equally curved: a third of the iterations

    def loss(flat: Floats) -> tuple[float, Floats]:
        own, shift = flat[: total * levels].reshape(total, levels) * pace, flat[total * levels :]
        logits = design @ own + (base + shift)
        top = logits.max(axis=1, keepdims=True)
        powers = np.exp(logits - top)
        sums = powers.sum(axis=1, keepdims=True)
        chance = powers / sums
        value = scale * float((np.log(sums) + top).sum()) - float((own * stat).sum()) - float((goal * (base + shift)).sum())
        value += 0.5 * float((ridge * own * own).sum())
        slope = scale * (design.T @ chance) - stat + ridge * own
        slope[:, ~live] = 0.0
        slope_base = np.where(live, scale * chance.sum(axis=0) - goal, 0.0)
        return value / rows, np.r_[(slope * pace).ravel(), slope_base] / rows

    found = minimize(loss, np.zeros((total + 1) * levels), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    own, shift = found.x[: total * levels].reshape(total, levels) * pace, found.x[total * levels :]
    weight = {
        f: float((held[start[k] : start[k + 1], None] * own[start[k] : start[k + 1]] ** 2).sum())
        for k, f in enumerate(features)
    }
    order = tuple(f[0] for f in sorted((f for f in features if len(f) == 1), key=lambda f: -weight[f]))
    return Outcome(target, features, sizes, fewer, own, base + shift, order)
