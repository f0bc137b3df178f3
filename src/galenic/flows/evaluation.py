"""Judges anybody's synthetic data against the real data it imitates."""

from dataclasses import replace

import numpy as np

from galenic import records
from galenic.errors import RecordError
from galenic.evidence.tables import evaluate_table
from galenic.installation import Installation
from galenic.privacy import deidentify_columns
from galenic.records import Source
from galenic.schema import Column, Constraint, NotMeasured, Progress, Report, check_names, no_progress

JUDGED_ROWS = 60_000


def evaluate(
    installation: Installation,
    real: Source,
    synthetic: Source,
    *,
    holdout: Source | None = None,
    columns: tuple[Column, ...] | None = None,
    patient: str | None = None,
    target: str | None = None,
    times: tuple[str, str] | None = None,
    groups: tuple[str, ...] = (),
    constraints: tuple[Constraint, ...] = (),
    seed: int = 0,
    progress: Progress = no_progress,
) -> Report:
    """Fidelity, utility and privacy of synthetic rows.

    holdout: real patients that the maker never saw; with them membership is attacked, without them copies are sought and
    `real` is halved by patient to get a floor. Identifiers and free text are left out. constraints: those of which the synthetic
    table has every column are counted; a constraint that the others would need is said to be not measured.
    """
    rng = np.random.default_rng(seed)
    described = columns or records.describe(real, patient)
    patient = patient or next((c.name for c in described if c.role == "patient"), None)
    kept = deidentify_columns(real, described).columns
    shared = tuple(_judged(c) for c in kept if c.name in synthetic.names)
    if not shared:
        raise RecordError(f"{synthetic.name} has no column of {real.name}. Expected some of {[c.name for c in kept][:20]}.")
    made = synthetic.sample(JUDGED_ROWS, rng).table(shared)
    if holdout is not None:
        train, test = (s.sample(JUDGED_ROWS, rng).table(shared) for s in (real, holdout))
    else:
        split = records.split_by_patient(real, patient, rng, cap=10**9, test_share=0.5)
        train, test = (s.sample(JUDGED_ROWS, rng).table(shared) for s in (split.train, split.test))
    if not made.rows:
        raise RecordError(f"{synthetic.name} has no rows. Expected as many as {real.name} has.")
    check_names(constraints, tuple(c.name for c in kept))
    names = {c.name for c in shared}
    report = evaluate_table(
        train,
        test,
        made,
        subject=synthetic.name,
        held_out=holdout is not None,
        target=target,
        times=times,
        groups=groups,
        constraints=tuple(c for c in constraints if set(c.named) <= names),
        rng=rng,
        progress=progress,
    )
    why = f"{synthetic.name} lacks a column that it names"
    report = report.plus(
        *(NotMeasured(f"plausibility.{c.name}", why, "public") for c in constraints if not set(c.named) <= names)
    )
    lacking = [c.name for c in kept if c.name not in synthetic.names]
    if lacking:
        why = f"the synthetic table lacks {len(lacking)} of {len(kept)} columns: {lacking[:10]}; nothing below speaks of them"
        report = replace(report, findings=(NotMeasured("fidelity.columns", why, "public"), *report.findings))
    installation.audit.append("evaluated", synthetic.name, failures=len(report.failures))
    return report


def _judged(column: Column) -> Column:
    """Synthetic data of others writes integers as 3.0 and numbers where there were integers: compare them as numbers."""
    return (
        replace(column, kind="numeric", missing=True, step=None) if column.kind == "integer" else replace(column, missing=True)
    )
