"""Fairness of synthetic rows: representation of every group, and performance of models trained on them in every group."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galenic.evidence.request import EvaluationRequest
from galenic.evidence.tables.binning import bin_column, encode_columns
from galenic.evidence.tables.fidelity import level_label
from galenic.evidence.tables.utility import SMALLEST_CLASS, PredictionTask, auroc, choose_task, scores_of
from galenic.schema import Codes, Column, Finding, NotMeasured, Table

GROUPING = re.compile(
    r"(^|[_\W])(sex|gender|female|male|race|hispanic|nationality|ethnic\w*|religion|insurance|payer\w*|language)($|[_\W])", re.I
)
SMALLEST_GROUP = 200
MOST_LEVELS = 12


def group_columns(columns: tuple[Column, ...], named: tuple[str, ...] = ()) -> tuple[int, ...]:
    """Places of the columns that define groups: the named ones, otherwise those with a typical name and few values."""
    found = [j for j, c in enumerate(columns) if (c.name in named if named else bool(GROUPING.search(c.name)))]
    return tuple(j for j in found if columns[j].levels <= MOST_LEVELS + 2)


def band_columns(columns: tuple[Column, ...], named: tuple[str, ...]) -> tuple[Column, ...]:
    """The evaluated columns, with four bands for named ones with many numbers: ages are compared by quarters."""

    def bands(c: Column) -> Column:
        every = np.array(c.edges)
        kept = np.unique(np.linspace(0, every.size - 1, 5).round().astype(int))
        return c.but(edges=tuple(every[kept].tolist()))

    return tuple(bands(c) if c.name in named and c.binned and c.levels > MOST_LEVELS + 2 else c for c in columns)


@dataclass(frozen=True)
class _EncodedTables:
    """Level numbers of the three tables, and the columns that they are levels of."""

    real: Codes
    held_out: Codes
    synthetic: Codes
    columns: tuple[Column, ...]

    def place(self, name: str) -> int:
        """Position of a column."""
        return [c.name for c in self.columns].index(name)


def measure_fairness(
    train: Table,
    test: Table,
    synthetic: Table,
    columns: tuple[Column, ...],
    rng: np.random.Generator,
    request: EvaluationRequest | None = None,
) -> tuple[Finding | NotMeasured, ...]:
    """The largest shift of a group's share, the largest AUROC that a group loses when the model is trained on synthetic rows, and how
    unequally such a model finds the positive cases of different groups. request: its target and groups are used."""
    request = request or EvaluationRequest()
    columns = band_columns(columns, request.groups)
    places = group_columns(columns, request.groups)
    names = ("fairness.representation", "fairness.gap", "fairness.opportunity")
    if not places:
        why = "no column is known to make groups of people (sex, race, insurance ...); name one (--group)"
        if request.groups:
            why = f"{', '.join(request.groups)}: more than {MOST_LEVELS} different values make no groups"
        return tuple(NotMeasured(n, why) for n in names)
    real, held_out, made = (encode_columns(t, columns) for t in (train, test, synthetic))
    tables = _EncodedTables(real, held_out, made, columns)
    task = choose_task(columns, tables.real, request.target)
    representation = _representation(tables, places)
    if isinstance(task, NotMeasured):
        return (representation, *(NotMeasured(n, task.why) for n in names[1:]))
    return (representation, _gap(tables, places, task, rng), _opportunity(tables, places, task, rng))


def _representation(tables: _EncodedTables, places: tuple[int, ...]) -> Finding | NotMeasured:
    columns = tables.columns
    shifts: dict[str, dict[str, float]] = {}
    worst, floor = 0.0, 0.0
    for j in places:
        real, held_out, synthetic = (
            np.bincount(t[:, j], minlength=columns[j].levels) / max(len(t), 1)
            for t in (tables.real, tables.held_out, tables.synthetic)
        )
        worst = max(worst, float(np.abs(synthetic - held_out).max()))
        floor = max(floor, float(np.abs(real - held_out).max()))
        shifts[columns[j].name] = {
            level_label(columns[j], k): float(synthetic[k] - held_out[k]) for k in range(columns[j].levels)
        }
    method = "largest difference of a group's share from held-out patients"
    return Finding("fairness.representation", worst, method, detail={"floor": floor, "shift": shifts})


def _gap(
    tables: _EncodedTables, places: tuple[int, ...], task: PredictionTask, rng: np.random.Generator
) -> Finding | NotMeasured:
    j, held, columns = tables.place(task.column), tables.held_out, tables.columns
    by_real, by_synthetic = (scores_of("boosting", t, held, j, task, rng) for t in (tables.real, tables.synthetic))
    if by_real is None or by_synthetic is None:
        return NotMeasured("fairness.gap", f"a class of {task.column!r} has fewer than {SMALLEST_CLASS} rows")
    truth = task.positive[held[:, j]]
    lost: dict[str, float] = {}
    for g in places:
        for level in range(columns[g].levels) if g != j else ():
            rows = held[:, g] == level
            if rows.sum() >= SMALLEST_GROUP and min(truth[rows].sum(), (~truth[rows]).sum()) >= SMALLEST_CLASS:
                real, synthetic = (auroc(truth[rows], scores[rows]) for scores in (by_real, by_synthetic))
                lost[f"{columns[g].name}: {level_label(columns[g], level)}"] = real - synthetic
    if not lost:
        return NotMeasured("fairness.gap", f"no group has {SMALLEST_GROUP} held-out rows with {SMALLEST_CLASS} of each class")
    method = f"largest AUROC for {task.column!r} that a group loses by training on synthetic rows, of {len(lost)} groups"
    return Finding("fairness.gap", max(lost.values()), method, detail={"lost": lost})


def _opportunity(
    tables: _EncodedTables, places: tuple[int, ...], task: PredictionTask, rng: np.random.Generator
) -> Finding | NotMeasured:
    """Equality of opportunity (Hardt, Price & Srebro 2016) of a model trained on synthetic rows, beside one trained on real rows and
    one trained on synthetic rows that were reweighed (Kamiran & Calders 2012) so that no group goes with an outcome."""
    name, j, held = "fairness.opportunity", tables.place(task.column), tables.held_out
    groups = [g for g in places if g != j]
    truth = task.positive[held[:, j]]
    reweighed = _reweighed(tables.synthetic, j, task, groups, rng)
    gaps: dict[str, float] = {}
    for kind, rows in (("real", tables.real), ("synthetic", tables.synthetic), ("reweighed", reweighed)):
        scores = scores_of("boosting", rows, held, j, task, rng) if groups else None
        gap = _tpr_gap(scores, truth, held, groups, tables.columns) if scores is not None else None
        if gap is None:
            return NotMeasured(
                name, f"no two groups have {SMALLEST_CLASS} positive held-out rows each, or a class is too small"
            )
        gaps[kind] = gap
    method = (
        f"largest difference between groups in the share of {task.column!r} cases found by a model trained on synthetic rows "
        "(as many rows called positive as there are)"
    )
    return Finding(name, gaps["synthetic"], method, detail=gaps)


def measure_balance_effect(
    train: Table,
    test: Table,
    balanced: Table,
    unbalanced: Table,
    rng: np.random.Generator,
    request: EvaluationRequest,
) -> Finding | NotMeasured:
    """Effect of making every value of a column (request.balance) equally frequent on the fairness of a model trained on the rows: the
    difference between groups in the share of cases found, with balanced rows less with rows as the model draws them."""
    name, by = "fairness.balance", str(request.balance)
    columns = tuple(bin_column(train, c) for c in balanced.columns)
    real, held = (encode_columns(t, columns) for t in (train, test))
    task, places = choose_task(columns, real, request.target), group_columns(columns, (by,))
    if isinstance(task, NotMeasured) or not places:
        return NotMeasured(name, task.why if isinstance(task, NotMeasured) else f"{by!r} makes no groups that can be compared")
    findings = [
        _opportunity(_EncodedTables(real, held, encode_columns(t, columns), columns), places, task, rng)
        for t in (balanced, unbalanced)
    ]
    if not isinstance(findings[0], Finding) or not isinstance(findings[1], Finding):
        return NotMeasured(name, next(f.why for f in findings if isinstance(f, NotMeasured)))
    method = f"difference between groups of {by!r} in the share of cases found: balanced rows less rows as drawn"
    detail = {"balanced": findings[0].value, "as_drawn": findings[1].value, "real": findings[0].detail["real"]}
    return Finding(name, findings[0].value - findings[1].value, method, detail=detail)


def _tpr_gap(
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    held: Codes,
    groups: list[int],
    columns: tuple[Column, ...],
) -> float | None:
    """Largest difference of true-positive rates between groups of one column; None where no column has two groups to compare."""
    called_positive = scores >= np.quantile(scores, 1 - truth.mean())
    widest = None
    for g in groups:
        rates = []
        for level in range(columns[g].levels):
            cases = truth & (held[:, g] == level)
            if cases.sum() >= SMALLEST_CLASS and (held[:, g] == level).sum() >= SMALLEST_GROUP:
                rates.append(float(called_positive[cases].mean()))
        if len(rates) > 1:
            widest = max(widest or 0.0, max(rates) - min(rates))
    return widest


def _reweighed(made: Codes, j: int, task: PredictionTask, groups: list[int], rng: np.random.Generator) -> Codes:
    """Rows drawn again with weights P(group) P(outcome) / P(group, outcome)."""
    if not groups or not len(made):
        return made
    group = np.unique(made[:, groups], axis=0, return_inverse=True)[1].reshape(-1)
    cell = group * 2 + task.positive[made[:, j]]
    both = np.bincount(cell, minlength=2 * (int(group.max()) + 1)) / len(made)
    by_group, by_outcome = both.reshape(-1, 2).sum(axis=1), both.reshape(-1, 2).sum(axis=0)
    weight = (by_group[:, None] * by_outcome[None]).reshape(-1)[cell] / both[cell]
    return made[rng.choice(len(made), len(made), p=weight / weight.sum())]
