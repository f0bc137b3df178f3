"""Registry of the kinds of jobs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from galenic.errors import UnknownNameError
from galenic.installation import Installation
from galenic.jobs.bulk_steps import COPY, RECORDS, advance_bulk, advance_copy
from galenic.jobs.cost import CostEstimate, estimate_from_rows
from galenic.jobs.quality import advance_quality
from galenic.jobs.synthesis import advance_synthesis, estimate_synthesis
from galenic.jobs.table_import import advance_import, estimate_import
from galenic.security import Session


class JobKind(Protocol):
    """Kind of job: its estimated cost and its steps."""

    @property
    def estimate(self) -> Callable[[Installation, Session, Mapping[str, Any]], CostEstimate]:
        """(installation, session, parameters) → cost, from sizes only, so that an estimate reveals nothing about a patient."""

    @property
    def advance(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """State → state after one step; `done` ends the job. An interrupted step is repeated, so it must detect work that was
        already done."""


@dataclass(frozen=True)
class JobFunctions:
    """Kind of job that consists of two functions."""

    estimate: Callable[[Installation, Session, Mapping[str, Any]], CostEstimate]
    advance: Callable[[dict[str, Any]], dict[str, Any]]


KINDS: dict[str, JobKind] = {
    "import": JobFunctions(estimate_import, advance_import),
    "synthesis": JobFunctions(estimate_synthesis, advance_synthesis),
    "quality": JobFunctions(estimate_from_rows, advance_quality),
    RECORDS: JobFunctions(estimate_from_rows, advance_bulk),
    COPY: JobFunctions(estimate_from_rows, advance_copy),
}
"""Kinds of jobs by the name that is stored with each job."""


def estimate_job(installation: Installation, session: Session, kind: str, parameters: Mapping[str, Any]) -> CostEstimate:
    """Cost of a job before it is submitted. Raise UnknownNameError for an unknown kind."""
    if kind not in KINDS:
        raise UnknownNameError(f"{kind!r} is not a kind of job. Expected one of {', '.join(KINDS)}.")
    return KINDS[kind].estimate(installation, session, parameters)
