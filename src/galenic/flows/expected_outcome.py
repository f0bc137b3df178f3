"""Expected outcome of a synthesis before it starts: distance to the real rows, and the chance that the policy accepts."""

import numpy as np

from galenic import records
from galenic.generators import SynthesisRequest
from galenic.generators.tables import MOST_LEVELS, ExpectedOutcome, TableSize, expected_quality, levels_of
from galenic.privacy import deidentify_columns, describe_table, domain_share
from galenic.records import Source
from galenic.release import load_policy

LIMITED = ("fidelity.tvd1.excess", "fidelity.tvd2.excess")
INSPECTED_ROWS = 10_000  # by which values of columns are counted


def expect_outcome(source: Source, request: SynthesisRequest) -> ExpectedOutcome | None:
    """The expected outcome of a private synthesis; None without privacy, or where the policy does not limit distances."""
    limits = {r.finding: r.at_most for r in load_policy(request.policy).rules if r.finding in LIMITED and r.at_most is not None}
    if not request.private or not limits or request.cap < 1:  # the run itself refuses such a cap
        return None
    described = describe_table(source, request.column_options, private=True)
    deidentify_columns(source, described.columns, undeclared=described.undeclared)  # refuses identifiers before anything else
    left_out = {c.name for c in described.columns if c.role != "value" or c.kind in ("identifier", "text")}
    inferred = tuple(
        c
        for c in records.describe(source.sample(INSPECTED_ROWS, np.random.default_rng(0)), described.patient)
        if c.name not in left_out
    )
    declared = tuple(c for c in described.columns if c.name not in left_out)
    levels = [levels_of(c) for c in inferred if c.role == "value"] or [1.0]
    patients = records.patient_numbers(source, described.patient).count
    average = sum(levels) / len(levels)
    size = TableSize(patients * request.cap, len(levels), average, min(float(domain_share(declared)) * 2, 1.0))
    quality = expected_quality(size, request.epsilon, delta=request.delta, cap=request.cap)
    many = tuple(c.name for c in inferred if not c.binned and c.role == "value" and levels_of(c) >= MOST_LEVELS)
    return ExpectedOutcome(size, quality, quality.chance(limits), limits, many)
