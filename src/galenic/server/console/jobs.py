"""Pages of background jobs."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.errors import UnknownNameError
from galenic.jobs import JobStatus, all_job_statuses, job_status, stop_job
from galenic.server.console.datasets import READERS
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import redirect_to
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
SEE_ALL = ("auditor", "security-officer")  # roles that see the jobs of all users
PAGE_SIZE = 50


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
        jobs = [j for j in all_job_statuses(self.installation, owner) if state in ("", j.state)]
        start = (max(page, 1) - 1) * PAGE_SIZE
        return self.console.render(
            request,
            "jobs.html",
            user=user,
            jobs=jobs[start : start + PAGE_SIZE],
            page=page,
            more=len(jobs) > start + PAGE_SIZE,
            state=state,
        )

    def _visible_job(self, request: Request, job: str) -> tuple[CurrentUser, JobStatus]:
        """The user and a job that the user may see. UnknownNameError if there is none."""
        user = self.console.require_user(request, *READERS, "security-officer")
        status = job_status(self.installation, job)
        if status.user != user.account.name and not user.holds(*SEE_ALL):
            raise UnknownNameError("there is no such job.")
        return user, status

    def show_job(self, request: Request, job: str) -> Response:
        """One job; the page updates itself."""
        user, status = self._visible_job(request, job)
        return self.console.render(request, "job.html", user=user, job=status)

    def show_status(self, request: Request, job: str) -> Response:
        """The status of a job now: the part of its page that changes."""
        user, status = self._visible_job(request, job)
        return self.console.render(request, "job_now.html", user=user, job=status)

    def stop(self, request: Request, job: str, csrf: Text) -> Response:
        """Stops a job of the user."""
        user = self.console.require_form(request, csrf, *READERS)
        stop_job(self.installation, user.session, job)
        return redirect_to(f"/jobs/{job}")
