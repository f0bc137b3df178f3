"""Evaluation of a synthetic table of any origin against the real table that it imitates."""

from dataclasses import dataclass, replace

import numpy as np

from galenic import records
from galenic.errors import RecordError
from galenic.evidence.request import EvaluationRequest
from galenic.evidence.tables.evaluation import evaluate_table
from galenic.evidence.tables.table_evaluator import MAX_EVALUATED_ROWS
from galenic.privacy import deidentify_columns
from galenic.records import Source
from galenic.schema import Column, NotMeasured, Progress, Report, Table, check_names, no_progress


@dataclass(frozen=True)
class ComparedSources:
    """Sources of an evaluation. holdout: real patients that the maker never saw; without them `real` is halved by patient, and copies
    are searched for instead of members. columns: a description of the real table, inferred where None. patient: column that tells
    patients apart."""

    real: Source
    synthetic: Source
    holdout: Source | None = None
    columns: tuple[Column, ...] | None = None
    patient: str | None = None


def evaluate_sources(
    sources: ComparedSources, request: EvaluationRequest | None = None, progress: Progress = no_progress
) -> Report:
    """Fidelity, utility and privacy of synthetic rows.

    Identifiers and free text are left out. Constraints of the request are counted where the synthetic table has their columns; the
    others are NotMeasured.
    """
    request = request or EvaluationRequest()
    rng = np.random.default_rng(request.seed)
    synthetic = sources.synthetic
    described = sources.columns or records.describe(sources.real, sources.patient)
    kept = deidentify_columns(sources.real, described).columns
    shared = tuple(_comparable(c) for c in kept if c.name in synthetic.names)
    if not shared:
        expected = [c.name for c in kept][:20]
        raise RecordError(f"{synthetic.name} has no column of {sources.real.name}. Expected some of {expected}.")
    tolerant = tuple(
        c.but(strays="missing") for c in shared
    )  # a value of another kind, such as OTHER among numbers, counts as missing
    made = synthetic.sample(MAX_EVALUATED_ROWS, rng).table(tolerant)
    patient = sources.patient or next((c.name for c in described if c.role == "patient"), None)
    train, test = _halves(sources, patient, shared, rng)
    if not made.rows:
        raise RecordError(f"{synthetic.name} has no rows. Expected as many as {sources.real.name} has.")
    check_names(request.constraints, tuple(c.name for c in kept))
    names = {c.name for c in shared}
    measurable = replace(
        request,
        subject=synthetic.name,
        held_out=sources.holdout is not None,
        constraints=tuple(c for c in request.constraints if set(c.named) <= names),
    )
    report = evaluate_table(train, test, made, measurable, rng=rng, progress=progress)
    return _with_absent_columns(report, request, kept, synthetic)


def _halves(
    sources: ComparedSources, patient: str | None, columns: tuple[Column, ...], rng: np.random.Generator
) -> tuple[Table, Table]:
    """(real rows, held-out rows), samples of both."""
    halves = (sources.real, sources.holdout)
    if sources.holdout is None:
        split = records.split_by_patient(sources.real, patient, rng, cap=10**9, test_share=0.5)
        halves = (split.train, split.test)
    train, test = (half.sample(MAX_EVALUATED_ROWS, rng).table(columns) for half in halves if half is not None)
    return train, test


def _with_absent_columns(report: Report, request: EvaluationRequest, kept: tuple[Column, ...], synthetic: Source) -> Report:
    """The report with a NotMeasured for everything that the absent columns of the synthetic table leave open."""
    absent = [c.name for c in kept if c.name not in synthetic.names]
    why = f"{synthetic.name} lacks a column that it names"
    unmeasured = (c for c in request.constraints if set(c.named) & set(absent))
    report = report.plus(*(NotMeasured(f"plausibility.{c.name}", why, "public") for c in unmeasured))
    if not absent:
        return report
    why = f"the synthetic table lacks {len(absent)} of {len(kept)} columns: {absent[:10]}; nothing below speaks of them"
    return replace(report, findings=(NotMeasured("fidelity.columns", why, "public"), *report.findings))


def _comparable(column: Column) -> Column:
    """The column with integers compared as numbers: other makers write integers as 3.0, and numbers instead of integers."""
    if column.kind == "integer":
        return replace(column, kind="numeric", missing=True, step=None)
    return replace(column, missing=True)
