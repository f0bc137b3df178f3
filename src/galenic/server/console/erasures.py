"""Pages of erasure (GDPR article 17): preview, request, approval by a second person, erasure, and its receipt."""

from contextlib import AbstractContextManager
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic import custody, flows, store
from galenic.errors import GalenicError, NotFoundError, OptionError, StateError
from galenic.schema import ErasureResult
from galenic.server.console.consent import ConsentPages
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
OFFICER, OFFICERS = "privacy-officer", ("privacy-officer", "security-officer")
ROWS = {"originals": "stored rows and documents", "documents": "FHIR resources", "vault": "replaced values"}


class ErasurePages:
    """The pages of erasure."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation
        self.requests = console.installation.erasure_requests
        self.lookup = ConsentPages(console)

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/erasure", self.list_requests),
                ("POST", "/erasure/preview", self.preview),
                ("POST", "/erasure", self.request),
                ("GET", "/erasure/{name}", self.show_request),
                ("POST", "/erasure/{name}/decide", self.decide),
                ("POST", "/erasure/{name}/erase", self.erase),
                ("GET", "/erasure/{name}/receipt", self.show_receipt),
                ("POST", "/erasure/{name}/salt", self.show_salt),
            ]
        )

    def list_requests(self, request: Request, message: SignedMessage = "", page: int = 1) -> Response:
        """Erasure requests, newest first."""
        user = self.console.require_user(request, *OFFICERS)
        return self._render(request, user, read_message(message), page)

    def _render(
        self, request: Request, user: CurrentUser, message: Message | None, page: int = 1, *, salt: str = ""
    ) -> Response:
        shown, more = page_of(self.requests.all(), page)
        return self.console.render(
            request, "erasure.html", message=message, user=user, requests=shown, page=page, more=more, salt=salt
        )

    def preview(self, request: Request, csrf: Text, patient: Text) -> Response:
        """Shows what an erasure would reach, and what stays and why. Nothing is changed."""
        user = self.console.require_form(request, csrf, OFFICER)
        return self._render_preview(request, user, patient, None)

    def _render_preview(self, request: Request, user: CurrentUser, patient: str, message: Message | None) -> Response:
        self.console.require_step_up(user, "/consent")
        try:
            subject = self.lookup.subject_of(user, patient)
            found = custody.preview_erasure_of(self.installation, user.session, subject)
        except GalenicError as error:
            return self._render(request, user, message or Message.of_error(error))
        return self.console.render(
            request,
            "erasure_preview.html",
            message=message,
            user=user,
            patient=patient,
            **_reach(found),
        )

    def show_request(self, request: Request, name: str) -> Response:
        """A request for the second person: its reason, and what the erasure would reach."""
        user = self.console.require_user(request, *OFFICERS)
        self.console.require_step_up(user, f"/erasure/{name}")
        try:
            wanted = self.requests.get(name)
            if wanted.state not in ("requested", "approved") or wanted.request.subject is None:
                raise StateError("this erasure has begun or was decided already.")
            subject = wanted.request.subject
            with self.installation.gate.open(user.session, "approve", f"subject/{subject}", "erasure-request") as grant:
                reason = self.requests.reason(grant, name)
            found = custody.preview_erasure_of(self.installation, user.session, subject, "approve")
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return self.console.render(request, "erasure_request.html", user=user, r=wanted, reason=reason, **_reach(found))

    def request(self, request: Request, csrf: Text, patient: Text, reason: Text = "", sure: Text = "") -> Response:
        """Requests the erasure of a patient. A second person approves it."""
        user = self.console.require_form(request, csrf, OFFICER)
        self.console.require_step_up(user, "/consent")
        try:
            if sure != "yes" or not reason.strip():
                raise OptionError("write the reason, and tick the box to confirm that you have read the preview.")
            subject = self.lookup.subject_of(user, patient)
            with self.installation.gate.open(user.session, "access", f"subject/{subject}", "subject-access") as grant:
                name = self.requests.request(grant, subject, patient.strip(), reason.strip())
        except GalenicError as error:
            return self._render_preview(request, user, patient, Message.of_error(error))
        return redirect_to("/erasure", f"Erasure {name} is requested. A second person has to approve it.")

    def decide(self, request: Request, csrf: Text, name: str, verb: Text) -> Response:
        """Approves an erasure as the second person, rejects it, or takes over an interrupted one."""
        user = self.console.require_form(request, csrf, *OFFICERS)
        self.console.require_step_up(user, "/erasure")
        try:
            done = self._decide(user, name, verb)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/erasure", f"Erasure {name} {done}")

    def _decide(self, user: CurrentUser, name: str, verb: str) -> str:
        """Applies a decision; returns the end of the message."""
        if verb == "approve":
            self.requests.approve(user.session, name)
            return "is approved. A privacy officer can now erase the patient."
        with self._lock():
            if verb == "take-over":
                self.requests.take_over(user.session, name)
                return "is yours now. A second person has to approve it again."
            subject = self.requests.get(name).request.subject
            if subject is not None and not store.rows_left(self.installation.db, subject, user.session.tenant)["subjects"]:
                raise StateError("this erasure was decided already, or has erased rows and cannot be rejected. Finish it.")
            self.requests.reject(user.session, name)
        return "is rejected. Nothing is erased."

    def _lock(self) -> AbstractContextManager[None]:
        return store.only_erasure(self.installation.db, self.installation.home)

    def erase(self, request: Request, csrf: Text, name: str) -> Response:
        """Erases the patient of an approved request; shows the salt of the receipt."""
        user = self.console.require_form(request, csrf, OFFICER)
        self.console.require_step_up(user, "/erasure")
        try:
            erased = self._erase(user, name)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        message = Message(f"The patient is erased: {erased.facts['rows']:,} rows, and the key. Download the receipt now.")
        return self._render(request, user, message, salt=erased.salt)

    def _erase(self, user: CurrentUser, name: str) -> ErasureResult:
        """Erases the patient of an approved request, once, and records the receipt with it."""
        session, place = user.session, f"subject/{self.requests.get(name).request.subject}"
        with self._lock():
            with self.installation.gate.open(session, "access", place, "subject-access") as grant:
                subject = self.requests.subject_of(grant, name)
            self.requests.begin(session, name, subject)
            result = flows.erase(self.installation, session, subject)
            self.requests.finish(session, name, result.name)
        return result

    def show_salt(self, request: Request, csrf: Text, name: str) -> Response:
        """The salt of a receipt, again: for a patient who did not get it."""
        user = self.console.require_form(request, csrf, OFFICER)
        self.console.require_step_up(user, "/erasure")
        try:
            salt = self.requests.salt(name)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        self.installation.audit.append("erasure.salt", name, actor=user.account.name)
        return self._render(request, user, None, salt=salt)

    def show_receipt(self, request: Request, name: str) -> Response:
        """The signed receipt of an erasure, as a file."""
        self.console.require_user(request, *OFFICERS)
        receipt = self.requests.get(name).receipt
        row = next((r for r in store.list_receipts(self.installation.db) if r["id"] == receipt), None)
        if row is None:
            raise NotFoundError("this erasure has no receipt yet.")
        headers = {"Content-Disposition": f'attachment; filename="{receipt}.json"'}
        return Response(str(row["envelope"]), media_type="application/json", headers=headers)


def _reach(found: custody.ErasurePreview) -> dict[str, Any]:
    """The variables of a page that shows what an erasure reaches."""
    return {
        "rows": [(ROWS[name], count) for name, count in found.rows.items() if name in ROWS and count],
        "inside": [a for a in found.artifacts if a[2] == "inside"],
        "outside": [a for a in found.artifacts if a[2] != "inside"],
        "backups": found.backups,
        "references": [(name, count) for name, count in found.references.items() if count],
        "copies": found.copies,
    }
