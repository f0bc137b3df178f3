"""Pages of background jobs."""

import contextlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.errors import GalenicError, UnknownNameError
from galenic.jobs import JobStatus, all_job_statuses, job_status, stop_job
from galenic.release import RunStatus, run_status
from galenic.server.console.datasets import READERS
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import redirect_to
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
SEE_ALL = ("auditor", "security-officer")  # roles that see the jobs of all users
PAGE_SIZE = 50
KIND_LABELS = {
    "synthesis": "Synthesis",
    "quality": "Quality report",
    "import": "Table import",
    "bulk": "Bulk export",
    "copy": "Bulk export",
}
STATES = ("waiting", "running", "failed", "stopped", "done", "refused", "signing", "signed", "released", "recalled", "rejected")
ADVICE = {
    "failed": "Nothing leaves after a failure. Read the message, then start the job again.",
    "refused": "The result stays inside. The run's page lists each missed limit.",
    "waiting for signatures": "Two people read the evidence and sign. You are told on your home page.",
    "signed": "All signatures are there. It can be released.",
}


@dataclass(frozen=True)
class JobRow:
    """A job as pages show it. state: of the job, or of its run once there is one; label: its title."""

    status: JobStatus
    state: str
    label: str
    kind: str
    run: RunStatus | None = None

    @property
    def advice(self) -> str:
        """One sentence on the next step; empty where there is none."""
        return ADVICE.get("waiting for signatures" if self.state == "signing" else self.state, "")


class JobPages:
    """The pages of background jobs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/jobs", self.list_jobs),
                ("GET", "/jobs/{job}", self.show_job),
                ("GET", "/jobs/{job}/now", self.show_status),
                ("POST", "/jobs/{job}/stop", self.stop),
            ]
        )

    def list_jobs(self, request: Request, page: int = 1, state: str = "") -> Response:
        """The user's jobs; auditors and security officers see all jobs."""
        user = self.console.require_user(request, *READERS, "security-officer")
        owner = "" if user.holds(*SEE_ALL) else user.account.name
        statuses = all_job_statuses(self.installation, owner)
        start = (max(page, 1) - 1) * PAGE_SIZE
        if not state:
            rows = [self._row(status) for status in statuses[start : start + PAGE_SIZE + 1]]
        else:  # the state is that of the job's run, so all of them are read
            rows = [row for row in map(self._row, statuses) if row.state == state][start:]
        return self.console.render(
            request,
            "jobs.html",
            user=user,
            jobs=rows[:PAGE_SIZE],
            page=page,
            more=len(rows) > PAGE_SIZE,
            state=state,
            states=STATES,
        )

    def _row(self, status: JobStatus) -> JobRow:
        run_id, run = str(status.data.get("run") or ""), None
        if run_id:
            with contextlib.suppress(GalenicError):  # the run was discarded, or lies in another home
                run = run_status(self.installation, run_id)
        dataset = str(status.data.get("dataset") or "records")
        kind = KIND_LABELS.get(status.kind, "Export")
        title = (run.details.title if run else "") or str(status.data.get("title") or "") or f"{kind} of {dataset}"
        return JobRow(status, run.state if run else status.state, title, kind, run)

    def _visible_job(self, request: Request, job: str) -> tuple[CurrentUser, JobStatus]:
        """The user and a job that the user may see. UnknownNameError if there is none."""
        user = self.console.require_user(request, *READERS, "security-officer")
        status = job_status(self.installation, job)
        if status.user != user.account.name and not user.holds(*SEE_ALL):
            raise UnknownNameError("this job does not exist.")
        return user, status

    def show_job(self, request: Request, job: str) -> Response:
        """One job; the page updates itself."""
        user, status = self._visible_job(request, job)
        return self.console.render(request, "job.html", user=user, job=status, row=self._row(status))

    def show_status(self, request: Request, job: str) -> Response:
        """The status of a job now: the part of its page that changes."""
        user, status = self._visible_job(request, job)
        return self.console.render(request, "job_now.html", user=user, job=status, row=self._row(status))

    def stop(self, request: Request, job: str, csrf: Text) -> Response:
        """Stops a job of the user."""
        user = self.console.require_form(request, csrf, *READERS)
        stop_job(self.installation, user.session, job)
        return redirect_to(f"/jobs/{job}")
