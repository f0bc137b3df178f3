"""Judges synthetic rows against the patients they were learned from and patients held out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa

from galenic.evidence.tables.binning import bin_column
from galenic.evidence.tables.discriminator import measure_realism
from galenic.evidence.tables.fairness import measure_fairness
from galenic.evidence.tables.fidelity import measure_fidelity
from galenic.evidence.tables.membership_attacks import measure_membership
from galenic.evidence.tables.near_copies import measure_copying
from galenic.evidence.tables.regression_and_survival import measure_regression, measure_survival
from galenic.evidence.tables.utility import measure_utility
from galenic.schema import Constraint, Finding, NotMeasured, Report, Table

Progress = Callable[[str, float], None]


def evaluate_table(
    train: Table,
    test: Table,
    synthetic: Table,
    *,
    subject: str = "synthetic table",
    private: bool = False,
    held_out: bool | None = True,
    target: str | None = None,
    times: tuple[str, str] | None = None,
    groups: tuple[str, ...] = (),
    constraints: tuple[Constraint, ...] = (),
    rng: np.random.Generator | None = None,
    progress: Progress | None = None,
) -> Report:
    """Fidelity, realism, utility, fairness and privacy attacks, in that order.

    times: (column of the time until an event, column that says whether it happened). groups: columns that make groups (else those
    whose names say so). constraints: what must hold of each row.
    held_out: whether `test` holds patients that the maker never saw; otherwise copies are sought, not members; None: no attacks.
    private: the findings are internal (computed from real rows, they are not covered by the privacy guarantee); otherwise
    public. The three tables must share their columns. Levels are cut by the training rows.
    """
    rng = rng or np.random.default_rng(0)
    tell = progress or (lambda _what, _share: None)
    columns = tuple(bin_column(train, c) for c in synthetic.columns)
    tell("fidelity", 0.05)
    found: list[Finding | NotMeasured] = list(measure_fidelity(train, test, synthetic, columns, rng))
    tell("realism", 0.2)
    found += measure_realism(train, test, synthetic, columns, rng, constraints)
    tell("utility", 0.3)
    found += measure_utility(train, test, synthetic, columns, rng, target=target)
    found += measure_regression(train, test, synthetic, columns, rng, target)
    found += measure_survival(train, test, synthetic, columns, rng, times)
    tell("fairness", 0.5)
    found += measure_fairness(train, test, synthetic, columns, rng, target=target, groups=groups)
    tell("attacks", 0.6)
    if held_out:
        found += measure_membership(train, test, synthetic, columns, rng)
    elif held_out is not None:
        found += measure_copying(concatenate(train, test), synthetic, columns, rng)
    tell("judged", 1.0)
    audience: Literal["public", "internal"] = "internal" if private else "public"
    found = [replace(f, audience=audience) for f in found]
    if held_out is False:
        halves = "the other half of the real patients, whom the maker may have seen"
        found = [
            replace(f, method=f.method.replace("held-out patients", halves)) if isinstance(f, Finding) else f for f in found
        ]
    return Report(subject, tuple(found))


def concatenate(a: Table, b: Table) -> Table:
    """The rows of both."""
    return replace(a, frame=pa.concat_tables([a.frame, b.frame]))
