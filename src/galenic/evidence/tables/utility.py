"""Utility: prediction of held-out patients by models trained on synthetic rows, compared with models trained on real rows."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from galenic.evidence.tables.binning import encode_columns
from galenic.schema import Codes, Column, Finding, NotMeasured, Table

MOST_ROWS = 40_000
FAMILIES = ("logistic", "boosting", "bayes")
RESAMPLES = 200
FEW_ROWS = 10_000  # up to which models are trained twice more on resampled rows, above it once more
SMALLEST_CLASS = 30


@dataclass(frozen=True)
class PredictionTask:
    """Prediction task: the target column, and which of its levels are positive."""

    column: str
    positive: NDArray[np.bool_]  # shape (levels,): which levels of the target are positive


def choose_task(columns: tuple[Column, ...], real: Codes, target: str | None) -> PredictionTask | NotMeasured:
    """The declared target, or else the last column whose levels split the real rows into two classes of useful size."""
    names = [c.name for c in columns]
    if target is not None and target not in names:
        return NotMeasured("utility.tstr", f"the target {target!r} is not among the columns that were learned")
    order = [names.index(target)] if target is not None else list(range(len(names)))[::-1]
    for j in order:
        counts = np.bincount(real[:, j], minlength=columns[j].levels)
        if columns[j].binned:
            positive = np.arange(columns[j].levels) > np.searchsorted(np.cumsum(counts), counts.sum() / 2)
        else:
            positive = np.arange(columns[j].levels) != counts.argmax()
        share = counts[positive].sum() / max(counts.sum(), 1)
        if 0.1 <= share <= 0.9 or (
            target is not None and SMALLEST_CLASS < counts[positive].sum() < counts.sum() - SMALLEST_CLASS
        ):
            return PredictionTask(names[j], positive)
    return NotMeasured("utility.tstr", "no column splits the rows into two classes with at least 10 % of them each")


def measure_utility(
    train: Table,
    test: Table,
    synthetic: Table,
    columns: tuple[Column, ...],
    rng: np.random.Generator,
    *,
    target: str | None = None,
) -> tuple[Finding | NotMeasured, ...]:
    """AUROC on held-out patients of logistic regression, gradient boosting and naive Bayes trained on synthetic rows, and the gap to
    training on real rows, with 95 % intervals over held-out rows and over models trained on resampled rows."""
    real, held, made = (encode_columns(t, columns) for t in (train, test, synthetic))
    task = choose_task(columns, real, target)
    if isinstance(task, NotMeasured):
        return (task, *(NotMeasured(f"utility.gap.{f}", task.why) for f in FAMILIES))
    j = [c.name for c in columns].index(task.column)
    found: list[Finding | NotMeasured] = []
    truth = task.positive[held[:, j]]
    for family in FAMILIES:
        by_real, by_made = (_several(family, t, held, j, task, rng) for t in (real, made))
        found.extend(_compare(family, task, truth, by_real, by_made, rng))
    return tuple(found)


def _several(
    family: str, codes: Codes, held: Codes, j: int, task: PredictionTask, rng: np.random.Generator
) -> list[NDArray[np.float64]] | None:
    """Scores by a model trained on the rows, then by models trained on rows drawn from them with replacement."""
    codes = codes if codes.shape[0] <= MOST_ROWS else codes[rng.permutation(codes.shape[0])[:MOST_ROWS]]
    again = 2 if codes.shape[0] <= FEW_ROWS else 1
    rows = codes.shape[0]
    samples = [codes, *(codes[rng.integers(0, rows, rows)] for _ in range(again if rows else 0))]
    found = [scores_of(family, sample, held, j, task, rng) for sample in samples]
    return None if found[0] is None else [f for f in found if f is not None]


def scores_of(
    family: str, codes: Codes, held: Codes, j: int, task: PredictionTask, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """Scores of held-out rows by a model trained on `codes` to predict column j; None where a class is too small."""
    codes = codes if codes.shape[0] <= MOST_ROWS else codes[rng.permutation(codes.shape[0])[:MOST_ROWS]]
    return _scores(family, np.delete(codes, j, 1), task.positive[codes[:, j]], np.delete(held, j, 1))


def _scores(family: str, x: Codes, y: NDArray[np.bool_], held: Codes) -> NDArray[np.float64] | None:
    if x.shape[1] == 0 or min(y.sum(), (~y).sum()) < SMALLEST_CLASS:
        return None
    # sklearn takes two seconds to load: commands that measure nothing need not wait for it
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415

    if family == "bayes":
        return _naive_bayes(x, y, held)
    if family == "logistic":
        model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=300, C=0.3))
    else:
        model = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.1, random_state=0)
    with one_thread():
        return np.asarray(model.fit(x, y).predict_proba(held)[:, 1])


def one_thread() -> AbstractContextManager[object]:
    """Boosting on some thousand rows: threads that wait for each other cost more than they gain, far more on a busy machine."""
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="openmp")
    return limits


def _naive_bayes(x: Codes, y: NDArray[np.bool_], held: Codes) -> NDArray[np.float64]:
    """Log odds by single columns, with one pseudo-row per level."""
    odds = np.full(held.shape[0], np.log(y.mean() / (1 - y.mean())))
    for j in range(x.shape[1]):
        levels = int(max(x[:, j].max(), held[:, j].max())) + 1
        yes, no = (np.bincount(x[side, j], minlength=levels) + 1.0 for side in (y, ~y))
        odds += np.log((yes / yes.sum()) / (no / no.sum()))[held[:, j]]
    return odds


def _compare(
    family: str,
    task: PredictionTask,
    truth: NDArray[np.bool_],
    real: list[NDArray[np.float64]] | None,
    made: list[NDArray[np.float64]] | None,
    rng: np.random.Generator,
) -> list[Finding | NotMeasured]:
    if real is None or made is None or min(truth.sum(), (~truth).sum()) < SMALLEST_CLASS:
        why = f"a class of {task.column!r} has fewer than {SMALLEST_CLASS} rows, or no column is left to predict it from"
        return [NotMeasured(f"utility.tstr.{family}", why), NotMeasured(f"utility.gap.{family}", why)]
    tstr, gap = [], []
    for _ in range(RESAMPLES):
        pick = rng.integers(0, truth.size, truth.size)
        if truth[pick].all() or not truth[pick].any():
            continue
        by_made, by_real = (by[rng.integers(len(by))][pick] for by in (made, real))
        a, b = auroc(truth[pick], by_made), auroc(truth[pick], by_real)
        tstr.append(a)
        gap.append(b - a)
    value, ceiling = auroc(truth, made[0]), auroc(truth, real[0])
    method = f"AUROC for {task.column!r} on held-out patients, {family} trained on synthetic rows"
    detail = {"real": ceiling, "target": task.column}
    return [
        Finding(f"utility.tstr.{family}", value, method, "higher", _interval(tstr), detail=detail),
        Finding(f"utility.gap.{family}", ceiling - value, "AUROC lost by training on synthetic rows", "lower", _interval(gap)),
    ]


def auroc(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Area under the receiver operating characteristic: share of pairs of a case and a non-case that are ranked right, ties half."""
    ranks = scipy.stats.rankdata(score)
    cases = int(truth.sum())
    return float((ranks[truth].sum() - cases * (cases + 1) / 2) / (cases * (truth.size - cases)))


def _interval(values: list[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
