"""Autoregressive model: columns of a row are drawn one after another, each given the known and the earlier columns.

A mixture that weighs twenty known columns at once is too sure of the component it chose, and ties wash out from row to row; a
multinomial logistic model for each column agrees with the paid pairs whatever is known.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from galenic.generators.tables.coarsening import Integers, draw_fine_levels
from galenic.generators.tables.marginal_measurement import MeasuredMarginals
from galenic.generators.tables.mixture import Mixture
from galenic.generators.tables.sampling import Codes
from galenic.generators.tables.target_model import TargetModel, TargetProblem, fit_target_model

MODEL_ROWS = 20_000  # rows that a column's model is fitted on


@dataclass(frozen=True)
class AutoregressiveModel:
    """A model for each column that is drawn, in the order of drawing."""

    targets: tuple[TargetModel, ...]

    def fill(self, codes: Codes, groups: tuple[Integers, ...], mixture: Mixture, rng: np.random.Generator) -> Codes:
        """The rows with their gaps (-1) filled. codes: fine levels; a column is known in all rows or in none. groups: coarse level of
        each fine one. mixture: over fine levels, for the shares within a coarse one."""
        fine = codes.copy()
        coarse = np.stack([np.where(codes[:, j] < 0, 0, g[codes[:, j]]) for j, g in enumerate(groups)], axis=1)
        for model in self.targets:
            j = model.target
            if not codes.shape[0] or codes[0, j] >= 0:
                continue
            coarse[:, j] = model.draw(coarse, rng)
            fine[:, j] = draw_fine_levels(coarse[:, j], groups[j], mixture.one_way(j), rng)
        return fine


def fit_autoregressive(
    marginals: MeasuredMarginals,
    codes: Codes,
    targets: list[int],
    rows: float,
    rng: np.random.Generator,
    before: AutoregressiveModel | None = None,
) -> AutoregressiveModel:
    """The models of `targets`, each given all other columns except the targets after it. codes: coarse levels of rows that are like
    those that will be known when the columns are drawn, shape (rows, columns). before: earlier models, as a start."""
    codes = codes[rng.permutation(codes.shape[0])[:MODEL_ROWS]]
    sizes = marginals.sizes
    unmerged = tuple(np.arange(size) for size in sizes)
    singles = {m.columns[0]: np.maximum(m.counts, 0.0) + 1e-9 for m in marginals.pairs if len(m.columns) == 1}
    models: list[TargetModel] = []
    for place, j in enumerate(targets):
        later = set(targets[place + 1 :])
        pairs = tuple(m for m in marginals.pairs if len(m.columns) == 2 and j in m.columns and not later & set(m.columns))
        problem = TargetProblem(j, singles[j] / singles[j].sum(), sizes, unmerged, rows)
        start = before.targets[place] if before else None
        models.append(fit_target_model(codes, pairs, problem, scaled=True, before=start))
        codes[:, j] = models[-1].draw(codes, rng)  # later columns meet columns as they will be drawn
    return AutoregressiveModel(tuple(models))


def target_model_arrays(prefix: str, model: TargetModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """(JSON, arrays) of one model, for saving."""
    about = {"target": model.target, "features": model.features, "order": model.order}
    arrays = {
        f"{prefix}_coefficients": model.coefficients,
        f"{prefix}_base": model.base,
        f"{prefix}_sizes": model.sizes,
        f"{prefix}_fewer": np.concatenate(model.merged),
    }
    return about, arrays


def target_model_from_arrays(prefix: str, about: dict[str, Any], arrays: dict[str, Any]) -> TargetModel:
    """The model that `target_model_arrays` wrote."""
    features = tuple(tuple(f) for f in about["features"])
    sizes = arrays[f"{prefix}_sizes"]
    merged = tuple(np.split(arrays[f"{prefix}_fewer"], np.cumsum(sizes)[:-1]))
    order = tuple(about["order"])
    return TargetModel(
        about["target"], features, sizes, merged, arrays[f"{prefix}_coefficients"], arrays[f"{prefix}_base"], order
    )
