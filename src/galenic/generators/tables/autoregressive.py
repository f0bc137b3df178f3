"""Columns of a row drawn one after another, each given what is known of the row and what was drawn before it.

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
from galenic.generators.tables.target_model import TargetModel, fit_target_model

MODEL_ROWS = 20_000  # rows that a column's model is fitted on


@dataclass(frozen=True)
class AutoregressiveModel:
    """A model for each column that is drawn, in the order of drawing."""

    outcomes: tuple[TargetModel, ...]

    def filled(self, codes: Codes, groups: tuple[Integers, ...], mixture: Mixture, rng: np.random.Generator) -> Codes:
        """The rows with their gaps (-1) filled. codes: fine levels; a column is known in all rows or in none. groups: coarse level of
        each fine one. mixture: over fine levels, for the shares within a coarse one."""
        fine = codes.copy()
        coarse = np.stack([np.where(codes[:, j] < 0, 0, g[codes[:, j]]) for j, g in enumerate(groups)], axis=1)
        for outcome in self.outcomes:
            j = outcome.target
            if not codes.shape[0] or codes[0, j] >= 0:
                continue
            coarse[:, j] = outcome.drawn(coarse, rng)
            fine[:, j] = draw_fine_levels(coarse[:, j], groups[j], mixture.one_way(j), rng)
        return fine


def fit_autoregressive(
    answers: MeasuredMarginals,
    codes: Codes,
    targets: list[int],
    rows: float,
    rng: np.random.Generator,
    before: AutoregressiveModel | None = None,
) -> AutoregressiveModel:
    """The models of `targets`, each given all other columns but the targets after it. codes: coarse levels of rows that stand for what
    will be known when the columns are drawn, shape (rows, columns). before: the models to go on from."""
    codes = codes[rng.permutation(codes.shape[0])[:MODEL_ROWS]]
    sizes = answers.sizes
    as_they_are = tuple(np.arange(size) for size in sizes)
    alone = {m.columns[0]: np.maximum(m.counts, 0.0) + 1e-9 for m in answers.pairs if len(m.columns) == 1}
    found = []
    for place, j in enumerate(targets):
        later = set(targets[place + 1 :])
        told = tuple(m for m in answers.pairs if len(m.columns) == 2 and j in m.columns and not later & set(m.columns))
        shares = alone[j] / alone[j].sum()
        found.append(
            fit_target_model(
                codes, told, shares, sizes, as_they_are, j, rows, scaled=True, before=before.outcomes[place] if before else None
            )
        )
        codes[:, j] = found[-1].drawn(codes, rng)  # what follows meets columns as they will be drawn
    return AutoregressiveModel(tuple(found))


def target_model_arrays(prefix: str, outcome: TargetModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """(JSON, arrays) of one outcome, for saving."""
    about = {"target": outcome.target, "features": outcome.features, "order": outcome.order}
    arrays = {
        f"{prefix}_coefficients": outcome.coefficients,
        f"{prefix}_base": outcome.base,
        f"{prefix}_sizes": outcome.sizes,
        f"{prefix}_fewer": np.concatenate(outcome.fewer),
    }
    return about, arrays


def target_model_from_arrays(prefix: str, about: dict[str, Any], arrays: dict[str, Any]) -> TargetModel:
    """What `outcome_arrays` gave."""
    features = tuple(tuple(f) for f in about["features"])
    sizes = arrays[f"{prefix}_sizes"]
    fewer = tuple(np.split(arrays[f"{prefix}_fewer"], np.cumsum(sizes)[:-1]))
    order = tuple(about["order"])
    return TargetModel(
        about["target"], features, sizes, fewer, arrays[f"{prefix}_coefficients"], arrays[f"{prefix}_base"], order
    )
