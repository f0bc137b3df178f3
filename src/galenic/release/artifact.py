"""Types of a release artifact: the content of a run, and the Protocol that each kind of artifact implements."""

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from galenic.installation import Installation
from galenic.privacy import Budget
from galenic.release.policy import Decision, ReleasePolicy
from galenic.schema import NO_DETAILS, Report, RunDetails, TrainingData


@dataclass(frozen=True)
class Engine:
    """Program that made the content of a run, as the attestation names it."""

    name: str
    version: str


class RunContent(Protocol):
    """Content of a run before it is decided. Each kind of artifact adds the fields that its own writer reads."""

    @property
    def report(self) -> Report:
        """All findings, for the decision and the signers."""

    @property
    def evidence(self) -> Report:
        """Findings that leave with the artifact."""

    @property
    def engine(self) -> Engine:
        """Program that made it."""

    @property
    def population(self) -> str:
        """Population in the attestation: the one that paid, or "none: " and the reason."""

    @property
    def budget(self) -> Budget | None:
        """Reservation that paid for it; a refused run counts as a refused attempt on its population."""


@dataclass(frozen=True)
class RunOutcome:
    """Decision on a run and its context, as writers of files and pages need them. refused_attempts: of the population so far.
    details: title, intended use and recipient, which are public."""

    id: str
    policy: ReleasePolicy
    decision: Decision
    refused_attempts: int
    details: RunDetails = NO_DETAILS


@dataclass(frozen=True)
class ResourceUsage:
    """CPU time of this process (all threads) and its peak memory. Internal: both may depend on rows."""

    cpu_seconds: float
    peak_megabytes: float

    @classmethod
    def until_now(cls) -> "ResourceUsage":
        """Usage since the process started."""
        return cls(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@dataclass(frozen=True, kw_only=True)
class WorkflowResult:
    """Result of the release workflow before its decision, for any kind.

    made: the generated data or the predictions, of the type that the artifact kind reads. training: the patients, whose held-out half
    is plotted for the signers. model: the fitted generator or predictor, with its `save`. sizes: internal figures for the signers'
    sheet.
    """

    made: Any
    training: TrainingData
    model: Any
    engine: Engine
    report: Report
    sizes: Mapping[str, float]
    budget: Budget | None
    usage: ResourceUsage

    @property
    def evidence(self) -> Report:
        """Public findings."""
        return self.report.only("public")

    @property
    def population(self) -> str:
        """Population whose budget paid."""
        return self.budget.population if self.budget else "none: no formal guarantee"


class StoredRun(Protocol):
    """Interface of a stored run, a `Run`, for artifact kinds when a patient in it is erased."""

    @property
    def id(self) -> str:
        """Id of the run."""

    @property
    def installation(self) -> Installation:
        """Installation that holds it."""

    def discard(self) -> None:
        """Deletes the folder."""

    def drop_model(self) -> None:
        """Deletes the fitted model."""


ContentT_contra = TypeVar("ContentT_contra", contravariant=True)


class ArtifactKind(Protocol[ContentT_contra]):
    """One kind of artifact that a run can make: how it is written, shown to people, and affected by an erasure.

    action: prefix of its audit actions, ACTION.requested and ACTION.ended. lineage_kind: kind of its row in store.lineage.
    """

    action: str
    lineage_kind: str

    def write(self, content: ContentT_contra, outcome: RunOutcome, folder: Path) -> None:
        """Writes the data files of an accepted artifact, and metadata about them, into an existing folder."""

    def save_model(self, content: ContentT_contra, folder: Path) -> None:
        """Saves the fitted model, which stays inside, to a folder that does not exist yet. Nothing where there is no model."""

    def card(self, content: ContentT_contra, outcome: RunOutcome) -> str:
        """Card of an accepted artifact (HTML), without anything internal."""

    def signers_report(self, content: ContentT_contra, outcome: RunOutcome) -> str:
        """Evidence for the signers (HTML); it never leaves."""

    def sheet(self, content: ContentT_contra) -> dict[str, Any]:
        """Entries of the signers' sheet (JSON) beside the report and the decision."""

    def forget(self, run: StoredRun, artifact: dict[str, Any]) -> str:
        """Applies an erasure to an artifact that holds the patient (its run, its row in store.lineage); returns its fate in words."""


@runtime_checkable
class ExtendsResult(Protocol):
    """An artifact kind whose content is more than the result of the release workflow."""

    def content(self, result: WorkflowResult, /) -> RunContent:
        """Content of a run, such as rows to plot, from the result."""
