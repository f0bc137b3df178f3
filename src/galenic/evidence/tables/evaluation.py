"""Evaluation of a synthetic table against the patients it was learned from and held-out patients."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa

from galenic.evidence.request import EvaluationRequest
from galenic.evidence.tables.binning import bin_column
from galenic.evidence.tables.discriminator import measure_realism
from galenic.evidence.tables.fairness import measure_fairness
from galenic.evidence.tables.fidelity import measure_fidelity
from galenic.evidence.tables.membership import measure_membership
from galenic.evidence.tables.near_copies import measure_copying
from galenic.evidence.tables.regression_and_survival import measure_regression, measure_survival
from galenic.evidence.tables.utility import measure_utility
from galenic.schema import Column, Finding, NotMeasured, Progress, Report, Table, no_progress

OTHER_HALF = "the other half of the real patients, whom the maker may have seen"


def evaluate_table(
    train: Table,
    test: Table,
    synthetic: Table,
    request: EvaluationRequest | None = None,
    *,
    rng: np.random.Generator | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Fidelity, realism, utility, fairness and privacy attacks, in that order.

    The three tables must share their columns. Levels are bins of the training rows. The default random generator is seeded by the
    request.
    """
    request = request or EvaluationRequest()
    rng = rng or np.random.default_rng(request.seed)
    columns = tuple(bin_column(train, c) for c in synthetic.columns)
    target = request.target
    progress("fidelity", 0.05)
    findings: list[Finding | NotMeasured] = list(measure_fidelity(train, test, synthetic, columns, rng))
    progress("realism", 0.2)
    findings += measure_realism(train, test, synthetic, columns, rng, request.constraints)
    progress("utility", 0.3)
    findings += measure_utility(train, test, synthetic, columns, rng, target=target)
    findings += measure_regression(train, test, synthetic, columns, rng, target)
    findings += measure_survival(train, test, synthetic, columns, rng, request.times)
    progress("fairness", 0.5)
    findings += measure_fairness(train, test, synthetic, columns, rng, request)
    progress("attacks", 0.6)
    findings += _attacks(train, test, synthetic, columns, rng, request.held_out)
    progress("evaluated", 1.0)
    return Report(request.subject, tuple(_addressed(finding, request) for finding in findings))


def _attacks(
    train: Table,
    test: Table,
    synthetic: Table,
    columns: tuple[Column, ...],
    rng: np.random.Generator,
    held_out: bool | None,
) -> tuple[Finding | NotMeasured, ...]:
    """Attacks that the held-out patients allow."""
    if held_out is None:
        return ()
    if held_out:
        return measure_membership(train, test, synthetic, columns, rng)
    return measure_copying(concatenate(train, test), synthetic, columns, rng)


def _addressed(finding: Finding | NotMeasured, request: EvaluationRequest) -> Finding | NotMeasured:
    """The finding with its audience, and a method that says which patients were held out."""
    finding = replace(finding, audience=audience_of(request))
    if request.held_out is False and isinstance(finding, Finding):
        return replace(finding, method=finding.method.replace("held-out patients", OTHER_HALF))
    return finding


def audience_of(request: EvaluationRequest) -> Literal["public", "internal"]:
    """Audience of findings that were computed from real rows."""
    return "internal" if request.private else "public"


def concatenate(a: Table, b: Table) -> Table:
    """Rows of both tables."""
    return replace(a, frame=pa.concat_tables([a.frame, b.frame]))
