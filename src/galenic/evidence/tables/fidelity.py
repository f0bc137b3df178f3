"""Fidelity: marginals, correlations and subgroups of synthetic rows against held-out patients, each beside the real-vs-real floor."""

from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from galenic.evidence.tables.binning import encode_columns
from galenic.schema import Codes, Column, Finding, NotMeasured, Table

MOST_PAIRS, MOST_TRIPLES = 3_000, 300
SMALLEST_GROUP = 200
METHOD = "mean total variation over {what}, {n} synthetic rows against held-out patients; floor: as many training rows"


def shares(codes: Codes, columns: tuple[int, ...], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of each cell of a marginal, shape (product of sizes,)."""
    cell = np.zeros(codes.shape[0], dtype=np.int64)
    for j in columns:
        cell = cell * sizes[j] + codes[:, j]
    counts = np.bincount(cell, minlength=int(np.prod(sizes[list(columns)])))
    part: NDArray[np.float64] = counts / max(codes.shape[0], 1)
    return part


def tvd(a: Codes, b: Codes, columns: tuple[int, ...], sizes: NDArray[np.int64]) -> float:
    """Total variation between two tables' marginals on some columns, 0 to 1."""
    return 0.5 * float(np.abs(shares(a, columns, sizes) - shares(b, columns, sizes)).sum())


def mean_tvd(a: Codes, b: Codes, sets: list[tuple[int, ...]], sizes: NDArray[np.int64]) -> float:
    """Mean total variation over several marginals."""
    return float(np.mean([tvd(a, b, columns, sizes) for columns in sets]))


def column_sets(d: int, way: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """All sets of `way` columns, or a random choice of them where there are too many."""
    if way == 3:
        if d < 3:
            return []
        return [tuple(sorted(rng.choice(d, 3, replace=False).tolist())) for _ in range(MOST_TRIPLES)]
    every = list(combinations(range(d), way))
    if len(every) <= MOST_PAIRS:
        return every
    return [every[i] for i in rng.choice(len(every), MOST_PAIRS, replace=False)]


def measure_fidelity(
    train: Table, test: Table, synthetic: Table, columns: tuple[Column, ...], rng: np.random.Generator
) -> tuple[Finding | NotMeasured, ...]:
    """1-, 2- and 3-way total variation with floor and excess, correlation error, and the worst subgroup."""
    real, held, made = (encode_columns(t, columns) for t in (train, test, synthetic))
    # as many synthetic as real rows on both sides: more rows look better by sampling alone
    size = min(real.shape[0], made.shape[0])
    floor_rows, made = (t if t.shape[0] == size else t[rng.permutation(t.shape[0])[:size]] for t in (real, made))
    sizes = np.array([c.levels for c in columns])
    found: list[Finding | NotMeasured] = []
    for way, what in ((1, "all columns"), (2, "all pairs"), (3, "300 random triples")):
        name = f"fidelity.tvd{way}"
        sets = column_sets(len(columns), way, rng)
        if not sets or not made.shape[0]:
            found.append(
                NotMeasured(f"{name}.excess", f"{len(columns)} column(s) and {made.shape[0]} synthetic rows have none")
            )
            continue
        value, floor = mean_tvd(made, held, sets, sizes), mean_tvd(floor_rows, held, sets, sizes)
        method = METHOD.format(what=what, n=made.shape[0])
        found.append(Finding(name, value, method))
        found.append(Finding(f"{name}.floor", floor, method, "fact"))
        found.append(Finding(f"{name}.excess", value - floor, "total variation above the real-vs-real floor"))
    found.append(_correlation(held, made, real))
    found.append(_subgroups(held, made, real, columns, sizes))
    return tuple(found)


def _correlation(held: Codes, made: Codes, real: Codes) -> Finding | NotMeasured:
    varies = [j for j in range(held.shape[1]) if min(len(np.unique(t[:, j])) for t in (held, made, real)) > 1]
    if len(varies) < 2:
        return NotMeasured("fidelity.correlation", "fewer than two columns vary in all three tables")
    h, m, r = (np.corrcoef(t[:, varies].T) for t in (held, made, real))
    upper = np.triu_indices(len(varies), 1)
    value, floor = float(np.abs(m - h)[upper].mean()), float(np.abs(r - h)[upper].mean())
    method = "mean absolute difference of correlations between level numbers, all pairs, against held-out patients"
    return Finding("fidelity.correlation", value, method, detail={"floor": floor})


def _subgroups(
    held: Codes, made: Codes, real: Codes, columns: tuple[Column, ...], sizes: NDArray[np.int64]
) -> Finding | NotMeasured:
    """The subgroup (one level of a category column) with the worst reproduced columns, above its own floor. Each has a band: the excess
    by chance alone, from the known spread of sampled shares."""
    worst: tuple[float, str, int] | None = None
    every: dict[str, dict[str, float]] = {}
    singles: list[tuple[int, ...]] = [(j,) for j in range(len(columns))]
    for g, column in enumerate(columns):
        if column.binned and sizes[g] > 8:
            continue
        for level in range(int(sizes[g])):
            parts = [t[t[:, g] == level] for t in (held, made, real)]
            if min(len(parts[0]), len(parts[2])) < SMALLEST_GROUP:
                continue
            value = mean_tvd(parts[1], parts[0], singles, sizes) if len(parts[1]) else 1.0
            excess = value - mean_tvd(parts[2][: max(len(parts[1]), SMALLEST_GROUP)], parts[0], singles, sizes)
            band = _band(parts[0], min(len(parts[1]), len(parts[2])), sizes)
            every[f"{column.name}: {level_label(column, level)}"] = {
                "excess": excess,
                "band": band,
                "rows": float(len(parts[0])),
            }
            if worst is None or excess > worst[0]:
                worst = (excess, column.name, len(parts[0]))
    if worst is None:
        return NotMeasured("fidelity.subgroup", f"no subgroup has {SMALLEST_GROUP} patients in training and held-out rows")
    method = "largest excess of the mean 1-way total variation within one level of one column, over its own floor"
    beyond = sum(g["excess"] > g["band"] for g in every.values())
    detail = {"column": worst[1], "held_out_rows": worst[2], "beyond_band": beyond, "groups": every}
    return Finding(
        "fidelity.subgroup", worst[0], f"{method}; {beyond} of {len(every)} subgroups lie beyond their band", detail=detail
    )


def _band(held: Codes, made_rows: int, sizes: NDArray[np.int64]) -> float:
    """Twice the standard deviation of a mean 1-way total variation between samples of these sizes: shares of a cell vary by
    p (1 - p) / n, the absolute value of a normal by (1 - 2 / pi) of that; columns of one row are treated as independent."""
    variance = 0.0
    for j, size in enumerate(sizes):
        p = np.bincount(held[:, j], minlength=int(size)) / max(len(held), 1)
        variance += float((p * (1 - p)).sum()) * (1 / max(len(held), 1) + 1 / max(made_rows, 1)) * (1 - 2 / np.pi) / 4
    return float(2 * np.sqrt(variance) / len(sizes))


def level_label(column: Column, level: int) -> str:
    """Label of a level of an evaluated column."""
    if column.binned:
        return _bands(column)[level] if level < len(column.edges) - 1 else "missing"
    if level < len(column.categories):
        return column.categories[level]
    return "other" if column.other and level == len(column.categories) else "missing"


def _bands(column: Column) -> list[str]:
    """Names of bins: their range to two digits, so that no exact value is disclosed, or their number where labels would be equal."""
    edges = np.array(column.edges[1:-1])
    if not edges.size:
        return ["any value"]
    if column.low is not None and column.high is not None:  # few whole numbers
        first = [int(column.low), *np.ceil(edges).astype(int)]
        last = [*(np.ceil(edges).astype(int) - 1), int(column.high)]
        named = [f"{a} to {b}" if a < b else f"{a}" for a, b in zip(first, last, strict=True)]
    elif column.kind == "integer" and (np.abs(edges) < 100).all():
        last, first = np.ceil(edges).astype(int) - 1, np.ceil(edges).astype(int)  # a bin holds its left edge, not its right one
        inside = [f"{a} to {b}" if a < b else f"{a}" for a, b in zip(first[:-1], last[1:], strict=True)]
        named = [f"up to {last[0]}", *inside, f"{first[-1]} or more"]
    else:
        inner = [f"{float(f'{e:.2g}'):g}" for e in edges]
        named = [f"below {inner[0]}", *(f"{a} to {b}" for a, b in pairwise(inner)), f"{inner[-1]} or more"]
        named = named if len(set(inner)) == len(inner) else []
    return named or [f"bin {k + 1}" for k in range(edges.size + 1)]
