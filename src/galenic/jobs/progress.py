"""Progress of a job: its status, and the file in which the worker reports the current step."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galenic import store
from galenic.installation import Installation
from galenic.schema import Progress

STATES = {"ENQUEUED": "waiting", "DELAYED": "waiting", "PENDING": "running", "SUCCESS": "done", "CANCELLED": "stopped"}
"""Our state for each state of a DBOS workflow; every other state is a failure."""


@dataclass(frozen=True)
class JobStatus:
    """Status of a job. state: waiting, running, done, failed or stopped; message: the current step, or the reason of a failure;
    share: completed part of the work, 0 to 1; user: who requested it; data: its parameters and results."""

    id: str
    kind: str
    state: str
    message: str
    share: float
    user: str
    data: dict[str, Any]

    @property
    def ended(self) -> bool:
        """True if the state is final."""
        return self.state in ("done", "failed", "stopped")


def status_of(installation: Installation, job: store.jobs.Job, user: str) -> JobStatus:
    """Status of a job from its stored state and, while it runs, from the worker's reports."""
    state, data = STATES.get(job.state, "failed"), job.data
    if state == "done" and data.get("error"):
        state = "failed"
    message, share = str(data.get("error") or data.get("what") or ""), job.share
    if state == "running":
        with contextlib.suppress(OSError, ValueError):
            report = json.loads(_report_file(installation, str(data.get("ticket"))).read_text(encoding="utf-8"))
            message, share = report["what"], max(share, report["share"])
    return JobStatus(job.id, job.kind, state, message, 1.0 if state == "done" else share, user, data)


def _report_file(installation: Installation, ticket: str) -> Path:
    return installation.home / "jobs" / f"{ticket}.json"


def progress_writer(installation: Installation, state: dict[str, Any]) -> Progress:
    """Function that reports the progress of a step to everybody who may see the job. Reports contain no patient data."""
    file = _report_file(installation, state["ticket"])
    file.parent.mkdir(exist_ok=True, mode=0o700)

    def report(step: str, share: float) -> None:
        with store.file_aside(file) as temporary:
            temporary.write_text(json.dumps({"what": step, "share": share}), encoding="utf-8")

    return report


def already_started(installation: Installation, state: dict[str, Any]) -> bool:
    """True if an earlier worker started this step and stopped during it. Otherwise marks the step as started."""
    if _report_file(installation, state["ticket"]).exists():
        return True
    progress_writer(installation, state)("begun", 0.0)
    return False
