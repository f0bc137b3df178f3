"""De-identification as a run: the copy is made, its residual risk decided by a policy, and the run waits for signatures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from galenic.installation import Installation
from galenic.privacy.deidentification import DeidentificationReport
from galenic.release.deidentified_artifact import DeidentifiedContent
from galenic.release.policy import Decision, load_policy
from galenic.release.run import Run
from galenic.schema import NO_DETAILS, Report, RunDetails


@dataclass(frozen=True)
class DeidentifiedRun:
    """Result of a run. An accepted copy leaves by `sign` and `release`."""

    run: str
    folder: Path
    decision: Decision
    report: Report
    deidentification: DeidentificationReport


@dataclass(frozen=True)
class CopyRequest:
    """Request for a de-identified copy. policy: the release policy. dataset: name of the copied data set, empty for files.
    requester: the signed-in person, if any. details: title, intended use and recipient."""

    policy: str = "deidentified"
    dataset: str = ""
    requester: str = ""
    details: RunDetails = NO_DETAILS

    @property
    def source(self) -> str:
        """Source of the records on the audit log."""
        return f"store/{self.dataset}" if self.dataset else "files"


def deidentify_run(
    installation: Installation, make: Callable[[Path], DeidentificationReport], request: CopyRequest
) -> DeidentifiedRun:
    """Makes a copy in a run and decides it by its residual risk; a refused copy is deleted, and the run keeps its report.

    make: writes the copy into a folder that does not exist yet.
    """
    rules, detail = load_policy(request.policy), {"source": request.source}
    start = Run.start(
        installation, "deidentified-copy", rules, requester=request.requester, details=request.details, detail=detail
    )
    with (
        start as run,
        run.workspace() as workspace,
    ):
        files = workspace / "copy"
        content = DeidentifiedContent.measure(run.id, files, make(files), request.dataset)
        folder, decision = run.decide_and_write(content)
    return DeidentifiedRun(run.id, folder, decision, content.report, content.deidentification)
