"""Learning the target of a table: its model by pairs, then with triples that pairs do not explain."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from galenic.generators.tables.coarsening import merge_levels
from galenic.generators.tables.marginal_measurement import MeasuredMarginals, measure_triples
from galenic.generators.tables.mixture import Mixture
from galenic.generators.tables.sampling import draw_rows
from galenic.generators.tables.target_model import TargetModel, TargetProblem, fit_target_model
from galenic.privacy import Crosstab, PrivateRows
from galenic.schema import Column

MODEL_ROWS = 20_000  # rows of the mixture that represent it when the target's model is fitted
EXPECTED_ROWS = 200_000  # and, at most, when triples are compared with the counts that pairs lead to expect


@dataclass(frozen=True)
class MeasuredTable:
    """Measurements of a table before its target is learned. crosstab: over coarse levels. coarse: the mixture over them. rows: noisy
    number of rows. triple_bins: levels within triples, 0 where the plan pays for none."""

    columns: tuple[Column, ...]
    marginals: MeasuredMarginals
    crosstab: Crosstab
    coarse: Mixture
    rows: int
    target: int | None
    triple_bins: int


def learn_target(real: PrivateRows, table: MeasuredTable, rng: np.random.Generator) -> tuple[TargetModel | None, int]:
    """(the target's model, number of triples that were measured for it)."""
    target, marginals, coarse = table.target, table.marginals, table.coarse
    if target is None or len(marginals.sizes) < 2:
        return None, 0
    codes = draw_rows(coarse, MODEL_ROWS, rng)
    shares = [coarse.one_way(j) for j in range(len(marginals.sizes))]
    groups = marginals.groups
    merged = tuple(merge_levels(table.columns, list(groups), shares, table.triple_bins)) if table.triple_bins else tuple(groups)
    merged = (*merged[:target], np.arange(marginals.sizes[target]), *merged[target + 1 :])
    problem = TargetProblem(target, shares[target], marginals.sizes, merged, table.rows)
    by_pairs = fit_target_model(codes, marginals.pairs, problem)
    if not table.triple_bins or table.crosstab.target is None:
        return by_pairs, 0
    crosstab = table.crosstab.grouped(merged)
    many = draw_rows(coarse, min(max(table.rows, MODEL_ROWS), EXPECTED_ROWS), rng)
    expected = _expected_counts(many, by_pairs, crosstab.sizes, table.rows)
    triples = measure_triples(real, crosstab, expected, table.rows, many.shape[0])
    return fit_target_model(codes, (*marginals.pairs, *triples), problem), len(triples)


def _expected_counts(
    codes: NDArray[np.int64], model: TargetModel, sizes: NDArray[np.int64], rows: int
) -> dict[tuple[int, ...], NDArray[np.int64]]:
    """Whole counts of every pair of columns by the target, expected by the model of pairs; sizes: levels within triples."""
    chances = model.chances(codes) * (rows / codes.shape[0])
    target = model.target
    merged = np.stack([g[codes[:, j]] for j, g in enumerate(model.merged)], axis=1)
    expected: dict[tuple[int, ...], NDArray[np.int64]] = {}
    for i, j in combinations([j for j in range(len(sizes)) if j != target], 2):
        cell = merged[:, i] * sizes[j] + merged[:, j]
        by_level = [np.bincount(cell, chances[:, v], minlength=int(sizes[i] * sizes[j])) for v in range(int(sizes[target]))]
        counts = np.stack(by_level, axis=1).reshape(int(sizes[i]), int(sizes[j]), int(sizes[target]))
        expected[i, j, target] = np.rint(counts).astype(np.int64)
    return expected
