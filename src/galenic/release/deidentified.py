"""De-identification as a run: the copy is made, its residual risk decided by a policy, and the run waits for signatures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from galenic.installation import Installation
from galenic.privacy.deidentification import DeidentificationReport
from galenic.release.deidentified_artifact import DeidentifiedContent
from galenic.release.policy import Decision, load_policy
from galenic.release.run import Run
from galenic.schema import Report


@dataclass(frozen=True)
class DeidentifiedRun:
    """Result of a run. An accepted copy leaves by `sign` and `release`."""

    run: str
    folder: Path
    decision: Decision
    report: Report
    deidentification: DeidentificationReport


def deidentify_run(
    installation: Installation,
    make: Callable[[Path], DeidentificationReport],
    *,
    policy: str = "deidentified",
    population: str = "",
    source: str = "files",
    by: str = "",
) -> DeidentifiedRun:
    """Makes a copy in a run and decides it by its residual risk; a refused copy is deleted, and the run keeps its report.

    make: writes the copy into a folder that does not exist yet. population: name of the copied data set. by: the signed-in requester.
    """
    rules = load_policy(policy)
    with (
        Run.start(installation, "deidentified-copy", rules, requester=by, detail={"source": source}) as run,
        run.workspace() as workspace,
    ):
        files = workspace / "copy"
        content = DeidentifiedContent.measure(run.id, files, make(files), population)
        folder, decision = run.decide_and_write(content)
    return DeidentifiedRun(run.id, folder, decision, content.report, content.deidentification)
