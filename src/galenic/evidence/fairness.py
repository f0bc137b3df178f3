"""Whether synthetic rows serve every group alike: is it there, and does a model trained on them fail some group?"""

import re

import numpy as np

from galenic.evidence.coding import code
from galenic.evidence.utility import SMALLEST_CLASS, choose_task, scores_of
from galenic.schema import Codes, Column, Finding, NotMeasured, Table

GROUPING = re.compile(r"(^|[_\W])(sex|gender|race|ethnic\w*|religion|insurance|payer\w*|language)($|[_\W])", re.I)
SMALLEST_GROUP = 200
MOST_LEVELS = 12


def grouping(columns: tuple[Column, ...], named: tuple[str, ...] = ()) -> tuple[int, ...]:
    """Places of the columns that make groups: the named ones, else those whose name says so."""
    found = [j for j, c in enumerate(columns) if (c.name in named if named else bool(GROUPING.search(c.name)))]
    return tuple(j for j in found if not columns[j].binned and columns[j].levels <= MOST_LEVELS + 2)


def fairness(
    train: Table,
    test: Table,
    synthetic: Table,
    columns: tuple[Column, ...],
    rng: np.random.Generator,
    *,
    target: str | None = None,
    groups: tuple[str, ...] = (),
) -> tuple[Finding | NotMeasured, ...]:
    """The largest shift of a group's share, and the largest AUROC that a group loses when the model is trained on synthetic rows."""
    places = grouping(columns, groups)
    names = ("fairness.representation", "fairness.gap")
    if not places:
        why = "no column is known to make groups (sex, race, insurance ...); name one"
        return tuple(NotMeasured(n, why) for n in names)
    real, held, made = (code(t, columns) for t in (train, test, synthetic))
    return _representation(real, held, made, columns, places), _gap(real, held, made, columns, places, target, rng)


def _representation(
    real: Codes, held: Codes, made: Codes, columns: tuple[Column, ...], places: tuple[int, ...]
) -> Finding | NotMeasured:
    shifts: dict[str, dict[str, float]] = {}
    worst, floor = 0.0, 0.0
    for j in places:
        shares = [np.bincount(t[:, j], minlength=columns[j].levels) / max(len(t), 1) for t in (real, held, made)]
        worst = max(worst, float(np.abs(shares[2] - shares[1]).max()))
        floor = max(floor, float(np.abs(shares[0] - shares[1]).max()))
        shifts[columns[j].name] = {_called(columns[j], k): float(shares[2][k] - shares[1][k]) for k in range(columns[j].levels)}
    method = "largest difference of a group's share from held-out patients"
    return Finding("fairness.representation", worst, method, detail={"floor": floor, "shift": shifts})


def _called(column: Column, level: int) -> str:
    if level < len(column.categories):
        return column.categories[level]
    return "other" if column.other and level == len(column.categories) else "missing"


def _gap(
    real: Codes,
    held: Codes,
    made: Codes,
    columns: tuple[Column, ...],
    places: tuple[int, ...],
    target: str | None,
    rng: np.random.Generator,
) -> Finding | NotMeasured:
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415

    task = choose_task(columns, real, target)
    if isinstance(task, NotMeasured):
        return NotMeasured("fairness.gap", task.why)
    j = [c.name for c in columns].index(task.column)
    by_real, by_made = (scores_of("boosting", t, held, j, task, rng) for t in (real, made))
    if by_real is None or by_made is None:
        return NotMeasured("fairness.gap", f"a class of {task.column!r} has fewer than {SMALLEST_CLASS} rows")
    truth = task.positive[held[:, j]]
    lost: dict[str, float] = {}
    for g in places:
        for level in range(columns[g].levels) if g != j else ():
            rows = held[:, g] == level
            if rows.sum() >= SMALLEST_GROUP and min(truth[rows].sum(), (~truth[rows]).sum()) >= SMALLEST_CLASS:
                by = [float(roc_auc_score(truth[rows], s[rows])) for s in (by_real, by_made)]
                lost[f"{columns[g].name}: {_called(columns[g], level)}"] = by[0] - by[1]
    if not lost:
        return NotMeasured("fairness.gap", f"no group has {SMALLEST_GROUP} held-out rows with {SMALLEST_CLASS} of each class")
    method = f"largest AUROC for {task.column!r} that a group loses by training on synthetic rows, of {len(lost)} groups"
    return Finding("fairness.gap", max(lost.values()), method, detail={"lost": lost})
