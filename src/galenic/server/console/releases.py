"""Pages of releases: the runs, their evidence, download and recall."""

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from galenic.errors import GalenicError
from galenic.jobs import JobStatus, all_job_statuses
from galenic.release import (
    MEANING,
    Run,
    RunStatus,
    may_be_asked,
    read_recall_notice,
    recall_release,
    run_status,
    run_statuses,
    trust_of_run,
    write_release,
)
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.release_view import ReleaseView, view_run
from galenic.server.console.rendering import REPORT_POLICY, Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
SIGNERS = ("researcher", "data-scientist", "privacy-officer", "clinician", "ethics-board", "auditor")
STATES = {
    "running": "running",
    "failed": "failed",
    "refused": "refused",
    "signing": "waiting for signatures",
    "signed": "signed",
    "rejected": "rejected",
    "released": "released",
    "recalled": "recalled",
    "unreadable": "damaged",
}
JOB_STATES = {"running": ("waiting", "running"), "failed": ("failed", "stopped")}
MAKING_RUNS = ("synthesis", "copy")  # kinds of jobs that make a run
KEY_HELP = """\
trusted-keys.json lists the public keys of this release: fingerprint and role.
Do not trust it only because it is in this file. Compare each fingerprint with the sender over
another channel, by telephone for instance. Then verify the release, offline:

    galenic verify {run} --trust trusted-keys.json

Without Galenic: python {run}/verify_release.py {run} --trust trusted-keys.json
"""


class ReleasePages:
    """The pages of releases."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/releases", self.list_runs),
                ("GET", "/releases/{run}", self.show_run),
                ("GET", "/releases/{run}/report", self.show_report),
                ("GET", "/releases/{run}/trusted-keys", self.download_keys),
                ("GET", "/releases/{run}/recall-notice", self.download_notice),
                ("POST", "/releases/{run}/download", self.download),
                ("POST", "/releases/{run}/recall", self.recall),
            ]
        )

    def list_runs(self, request: Request, state: str = "", find: str = "", page: int = 1) -> Response:
        """Runs, newest first, by state and words of the title; and jobs that have not made their run."""
        user = self.console.require_user(request, *SIGNERS)
        words = find.strip()[:200]
        found = (r for r in run_statuses(self.installation) if state in ("", r.state) and _contains(r, words))
        runs, more = page_of(found, page)
        jobs = list(self._jobs(user, state, words)) if page == 1 else []
        values: dict[str, Any] = {
            "runs": runs,
            "jobs": jobs,
            "state": state,
            "states": STATES,
            "find": words,
            "page": page,
            "more": more,
        }
        return self.console.render(request, "releases.html", user=user, **values)

    def _jobs(self, user: CurrentUser, state: str, words: str) -> Iterator[JobStatus]:
        """The user's jobs that make runs and are running, or ended without one; an auditor sees everybody's."""
        if state and state not in JOB_STATES:
            return
        wanted = JOB_STATES[state] if state else JOB_STATES["running"]
        for job in all_job_statuses(self.installation, "" if user.holds("auditor") else user.account.name):
            title = str(job.data.get("title") or job.data.get("dataset") or "")
            if job.kind in MAKING_RUNS and job.state in wanted and words.lower() in title.lower():
                yield job

    def show_run(self, request: Request, run: str, message: SignedMessage = "") -> Response:
        """One run with its evidence and signatures."""
        user = self.console.require_user(request, *SIGNERS)
        return show_release(self.console, request, user, run, read_message(message))

    def show_report(self, request: Request, run: str) -> Response:
        """The evidence of a run, as a document that runs no script."""
        self.console.require_user(request, *SIGNERS)
        page = Run.open(self.installation, run_status(self.installation, run).run).report_page
        headers = {"Content-Security-Policy": REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        return HTMLResponse(page.read_text(encoding="utf-8"), headers=headers)

    def download(self, request: Request, run: str, csrf: Text) -> Response:
        """The release folder and the file of trusted keys as a ZIP file; writes the folder the first time."""
        user = self.console.require_form(request, csrf, *SIGNERS)
        self.console.require_step_up(user, f"/releases/{run}")
        status = run_status(self.installation, run)
        stored = Run(self.installation, status.run)
        try:
            target, _lines = write_release(self.installation, status.run, stored.released_folder, actor=user.account.name)
        except GalenicError as error:
            return show_release(self.console, request, user, run, Message.of_error(error))
        self.installation.audit.append("release.downloaded", status.run, actor=user.account.name, digest=status.digest)
        packed = _zip(target, {"trusted-keys.json": _keys_file(stored), "VERIFY.txt": KEY_HELP.format(run=target.name)})
        return _attachment(packed, f"galenic-{status.run}.zip", "application/zip")

    def download_keys(self, request: Request, run: str) -> Response:
        """The public keys of a run's signers and of this installation: the file for `galenic verify --trust`."""
        self.console.require_user(request, *SIGNERS)
        stored = Run.open(self.installation, run_status(self.installation, run).run)
        return _attachment(_keys_file(stored).encode(), f"trusted-keys-{stored.id}.json", "application/json")

    def download_notice(self, request: Request, run: str) -> Response:
        """The signed notice of a recall, for the recipients of the release."""
        self.console.require_user(request, *SIGNERS)
        notice = read_recall_notice(self.installation, run_status(self.installation, run).run)
        return _attachment(notice.encode(), f"recall-{run}.json", "application/json")

    def recall(self, request: Request, run: str, csrf: Text, reason: Text) -> Response:
        """Recalls a release."""
        user = self.console.require_form(request, csrf, "privacy-officer")
        self.console.require_step_up(user, f"/releases/{run}")
        status = run_status(self.installation, run)
        place = self.installation.home / "recalls" / f"{status.run}.json"
        try:
            recall_release(self.installation, status.run, reason, place, actor=user.account.name)
        except GalenicError as error:
            return show_release(self.console, request, user, run, Message.of_error(error))
        done = (
            "Recalled. Everybody who downloaded the release has a notice. Send the signed notice below to all other recipients."
        )
        return redirect_to(f"/releases/{run}", done)


def show_release(
    console: Console, request: Request, user: CurrentUser, run: str, message: Message | None = None, typed: str = ""
) -> Response:
    """The page of a run. typed: text of a field whose form was refused."""
    status = run_status(console.installation, run)
    view = None
    try:
        view = view_run(console.installation, status) if status.state != "unreadable" else None
    except (GalenicError, LookupError, TypeError, ValueError) as error:  # a sheet of an unknown version
        message = message or Message(f"Parts of this page are missing: {error}", error=True)
    signs = status.state == "signing" and status.by != user.account.name
    roles = [r for r in status.missing if r in user.roles] if signs else []
    already = user.account.name in status.signed.values()
    return console.render(
        request,
        "release.html",
        message=message,
        user=user,
        run=status,
        view=view,
        states=STATES,
        mine=[] if already else roles,
        may_ask=signs and user.holds(*status.roles) and may_be_asked(console.installation, status),
        answers=status.by == user.account.name,
        meaning=MEANING,
        typed=typed,
        report=_has_report(console, status, view),
    )


def _has_report(console: Console, status: RunStatus, view: ReleaseView | None) -> bool:
    return view is not None and Run(console.installation, status.run).report_page.is_file()


def _contains(run: RunStatus, words: str) -> bool:
    texts = (run.details.title, run.details.recipient, run.population, run.run)
    return not words or any(words.lower() in text.lower() for text in texts)


def _keys_file(run: Run) -> str:
    return json.dumps(trust_of_run(run), indent=1)


def _attachment(content: bytes, name: str, media_type: str) -> Response:
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _zip(folder: Path, beside: dict[str, str]) -> bytes:
    """A folder as a ZIP file, with further files beside it."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, f"{folder.name}/{file.name}")
        for name, text in beside.items():
            packed.writestr(name, text)
    return buffer.getvalue()
