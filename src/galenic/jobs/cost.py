"""Cost of a job, estimated before it is submitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galenic import store
from galenic.installation import Installation
from galenic.jobs.expected_acceptance import ExpectedAcceptance
from galenic.security import Session


@dataclass(frozen=True)
class BudgetEstimate:
    """Effect on a population's privacy budget. limit, spent: ε, before the job; sufficient: True if the budget covers the job."""

    limit: float
    spent: float
    sufficient: bool


@dataclass(frozen=True)
class CostEstimate:
    """Cost of a job, from sizes alone. patients, consenting: patients in the data set, and those who consented; None
    where no consent is needed. expected: acceptance by the policy.
    seconds, megabytes: None for kinds of jobs that were not measured; budget: None for kinds
    that use no privacy budget."""

    rows: int
    columns: int = 0
    patients: int | None = None
    consenting: int | None = None
    expected: ExpectedAcceptance | None = None
    seconds: float | None = None
    megabytes: float | None = None
    budget: BudgetEstimate | None = None


def estimate_from_rows(installation: Installation, session: Session, parameters: Mapping[str, Any]) -> CostEstimate:
    """Size of the data set that the job reads. Time and memory of these kinds were not measured."""
    dataset = store.dataset(installation.db, str(parameters["dataset"]), session.tenant)
    return CostEstimate(rows=int(str(dataset["next_row"])))
