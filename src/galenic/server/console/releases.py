"""Pages of releases: the runs, their evidence and signatures, download and recall."""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from galenic.errors import GalenicError
from galenic.release import (
    MEANING,
    Run,
    RunStatus,
    recall_release,
    reject_run,
    run_status,
    run_statuses,
    sign_off,
    write_release,
)
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import REPORT_POLICY, Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
SIGNERS = ("researcher", "data-scientist", "privacy-officer", "clinician", "ethics-board", "auditor")


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
                ("POST", "/releases/{run}/sign", self.sign),
                ("POST", "/releases/{run}/reject", self.reject),
                ("POST", "/releases/{run}/download", self.download),
                ("POST", "/releases/{run}/recall", self.recall),
            ]
        )

    def list_runs(self, request: Request, state: str = "", page: int = 1) -> Response:
        """All runs, or those in one state."""
        user = self.console.require_user(request, *SIGNERS)
        runs, more = page_of((r for r in run_statuses(self.installation) if not state or r.state == state), page)
        return self.console.render(request, "releases.html", user=user, runs=runs, state=state, page=page, more=more)

    def _render(self, request: Request, user: CurrentUser, run: RunStatus, message: Message | None) -> Response:
        readable = run.state != "unreadable"
        stored = Run(self.installation, run.run)
        may_sign = run.state == "signing" and run.by != user.account.name
        return self.console.render(
            request,
            "release.html",
            message=message,
            user=user,
            run=run,
            mine=[r for r in run.missing if r in user.roles] if may_sign else [],
            meaning=MEANING,
            items=(stored.public_decision or stored.sheet["decision"])["items"] if readable else [],
            report=readable and stored.report_page.is_file(),
        )

    def show_run(self, request: Request, run: str, message: SignedMessage = "") -> Response:
        """One run with its evidence and signatures."""
        user = self.console.require_user(request, *SIGNERS)
        return self._render(request, user, run_status(self.installation, run), read_message(message))

    def show_report(self, request: Request, run: str) -> Response:
        """The evidence of a run, as a document that runs no script."""
        self.console.require_user(request, *SIGNERS)
        page = Run.open(self.installation, run_status(self.installation, run).run).report_page
        headers = {"Content-Security-Policy": REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        return HTMLResponse(page.read_text(encoding="utf-8"), headers=headers)

    def sign(self, request: Request, run: str, csrf: Text, role: Text, digest: Text) -> Response:
        """Signs a run in one of the user's roles."""
        user = self.console.require_form(request, csrf, *SIGNERS)
        self.console.require_step_up(user, f"/releases/{run}")
        try:
            sign_off(self.installation, user.session, run, role, digest)
        except GalenicError as error:
            return self._render(request, user, run_status(self.installation, run), Message.of_error(error))
        return redirect_to(f"/releases/{run}", f"Signed as {role}.")

    def reject(self, request: Request, run: str, csrf: Text, reason: Text) -> Response:
        """Rejects a run as one of its signers."""
        user = self.console.require_form(request, csrf, *SIGNERS)
        try:
            reject_run(self.installation, user.session, run, reason)
        except GalenicError as error:
            return self._render(request, user, run_status(self.installation, run), Message.of_error(error))
        return redirect_to(f"/releases/{run}", "Rejected. It stays inside.")

    def download(self, request: Request, run: str, csrf: Text) -> Response:
        """The release folder as a ZIP file; writes the folder the first time."""
        user = self.console.require_form(request, csrf, *SIGNERS)
        self.console.require_step_up(user, f"/releases/{run}")
        status = run_status(self.installation, run)
        try:
            folder = Run(self.installation, status.run).released_folder
            target, _lines = write_release(self.installation, status.run, folder, actor=user.account.name)
        except GalenicError as error:
            return self._render(request, user, status, Message.of_error(error))
        self.installation.audit.append("release.downloaded", status.run, actor=user.account.name, digest=status.digest)
        name = f"galenic-{status.run}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(_zip(target), media_type="application/zip", headers=headers)

    def recall(self, request: Request, run: str, csrf: Text, reason: Text) -> Response:
        """Recalls a release."""
        user = self.console.require_form(request, csrf, "privacy-officer")
        self.console.require_step_up(user, f"/releases/{run}")
        status = run_status(self.installation, run)
        try:
            recall_release(self.installation, status.run, reason, self.installation.home / "recalls" / f"{status.run}.json")
        except GalenicError as error:
            return self._render(request, user, status, Message.of_error(error))
        return redirect_to(f"/releases/{run}", "Recalled. The signed notice is in the installation's folder recalls.")


def _zip(folder: Path) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, f"{folder.name}/{file.name}")
    return buffer.getvalue()
