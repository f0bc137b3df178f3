"""Level numbers of new rows by a fitted table model: mixture or forests, then the target by its own model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galenic.generators.tables.boosted import BoostedTrees
from galenic.generators.tables.coarsening import Integers, draw_fine_levels
from galenic.generators.tables.forest import ForestSequence
from galenic.generators.tables.mixture import Mixture
from galenic.generators.tables.sampling import condition_mixture, draw_rows
from galenic.generators.tables.target_model import TargetModel

OVERSAMPLING = 4  # rows drawn for each one that is used, when the target is given


@dataclass(frozen=True)
class RowSampler:
    """Fitted models that rows are drawn from. mixture: over fine levels. groups: coarse level of each fine one, for each column.
    forests, boosted: only of a fit without privacy."""

    mixture: Mixture
    groups: tuple[Integers, ...]
    target_model: TargetModel | None
    forests: ForestSequence | None
    boosted: BoostedTrees | None

    def draw(self, n: int, allowed: dict[int, Integers], rng: np.random.Generator) -> NDArray[np.int64]:
        """Fine levels of n new rows, shape (n, columns). allowed: levels that a column may take."""
        model = self.target_model
        if model is not None and model.target in allowed and self.forests is None and n:
            return self._with_given_target(model, n, allowed, rng)
        if self.forests is not None:
            codes = self.forests.draw(n, allowed, rng)
        else:
            codes = draw_rows(condition_mixture(self.mixture, allowed), n, rng, smooth=not allowed)
        if model is not None and model.target not in allowed and n:
            j = model.target
            level = model.draw(self.coarse(codes), rng)
            codes[:, j] = draw_fine_levels(level, self.groups[j], self.mixture.one_way(j), rng)
        if self.boosted is not None and self.boosted.target not in allowed and n:
            codes[:, self.boosted.target] = self.boosted.draw(codes, rng)
        return codes

    def coarse(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Coarse levels of fine ones, shape (rows, columns)."""
        return np.stack([group[codes[:, j]] for j, group in enumerate(self.groups)], axis=1)

    def _with_given_target(
        self, model: TargetModel, n: int, allowed: dict[int, Integers], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Rows with a given target. The mixture knows the target, too, so its draws are near; they are reweighted by the target's
        model."""
        target = model.target
        codes = draw_rows(condition_mixture(self.mixture, allowed), OVERSAMPLING * n, rng)
        free = {j: levels for j, levels in allowed.items() if j != target}
        by_model = model.chances(self.coarse(codes))[:, np.unique(self.groups[target][allowed[target]])].sum(axis=1)
        by_mixture = _chance_of(condition_mixture(self.mixture, free), codes, target, allowed[target])
        top = np.cumsum(by_model / np.maximum(by_mixture, 1e-9))
        kept = np.searchsorted(top, (np.arange(n) + rng.random()) / n * top[-1], side="right")
        return codes[rng.permutation(np.minimum(kept, codes.shape[0] - 1))]


def _chance_of(mixture: Mixture, codes: NDArray[np.int64], j: int, levels: Integers) -> NDArray[np.float64]:
    """P(x_j in levels | the other columns of each row) under a mixture, shape (rows,)."""
    o = mixture.offsets
    log_shares = np.log(np.maximum(mixture.shares, 1e-12))
    inside = mixture.shares[:, o[j] + levels].sum(axis=1)
    out = np.empty(codes.shape[0])
    for start in range(0, codes.shape[0], 4_096):
        rows = codes[start : start + 4_096]
        log_weight = np.repeat(np.log(np.maximum(mixture.weights, 1e-300))[None], rows.shape[0], axis=0)
        for other in range(rows.shape[1]):
            if other != j:
                log_weight += log_shares[:, o[other] + rows[:, other]].T
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        out[start : start + 4_096] = weight @ inside / weight.sum(axis=1)
    return out
