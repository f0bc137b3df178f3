"""Pages of erasure (GDPR article 17): preview, request, approval by a second person, erasure, and its receipt."""

from typing import Annotated

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
                ("POST", "/erasure/{name}/decide", self.decide),
                ("POST", "/erasure/{name}/erase", self.erase),
                ("GET", "/erasure/{name}/receipt", self.show_receipt),
            ]
        )

    def list_requests(self, request: Request, message: SignedMessage = "", page: int = 1) -> Response:
        """Erasure requests, newest first."""
        user = self.console.require_user(request, *OFFICERS)
        return self._render(request, user, read_message(message), page)

    def _render(self, request: Request, user: CurrentUser, message: Message | None, page: int = 1) -> Response:
        shown, more = page_of(self.requests.all(), page)
        return self.console.render(
            request, "erasure.html", message=message, user=user, requests=shown, page=page, more=more, salt=""
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
            rows=[(ROWS[name], count) for name, count in found.rows.items() if name in ROWS and count],
            inside=[a for a in found.artifacts if a[2] == "inside"],
            outside=[a for a in found.artifacts if a[2] != "inside"],
            backups=found.backups,
            references=[(name, count) for name, count in found.references.items() if count],
        )

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
        """Approves an erasure as the second person, or rejects it."""
        user = self.console.require_form(request, csrf, *OFFICERS)
        self.console.require_step_up(user, "/erasure")
        approved = verb == "approve"
        try:
            (self.requests.approve if approved else self.requests.reject)(user.session, name)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        done = "is approved. A privacy officer can now erase the patient." if approved else "is rejected. Nothing is erased."
        return redirect_to("/erasure", f"Erasure {name} {done}")

    def erase(self, request: Request, csrf: Text, name: str) -> Response:
        """Erases the patient of an approved request; shows the salt of the receipt once."""
        user = self.console.require_form(request, csrf, OFFICER)
        self.console.require_step_up(user, "/erasure")
        try:
            erased = self._erase(user, name)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        shown, more = page_of(self.requests.all(), 1)
        message = Message(f"The patient is erased: {erased.facts['rows']:,} rows, and the key. Download the receipt now.")
        return self.console.render(
            request, "erasure.html", message=message, user=user, requests=shown, page=1, more=more, salt=erased.salt
        )

    def _erase(self, user: CurrentUser, name: str) -> ErasureResult:
        """Erases the patient of an approved request, once, and records the receipt with it."""
        request, session = self.requests.get(name).request, user.session
        subject = request.subject
        if subject is None:
            raise StateError("this erasure request names no patient. Make a new one.")
        self.requests.begin(session, name)
        with self.installation.gate.open(session, "access", f"subject/{subject}", "subject-access") as grant:
            patient = grant.unseal(subject, f"{request.key}/patient", str(request.get("patient", "")))
        result = flows.erase(self.installation, session, patient, known=subject)
        self.requests.finish(session, name, result.name)
        return result

    def show_receipt(self, request: Request, name: str) -> Response:
        """The signed receipt of an erasure, as a file."""
        self.console.require_user(request, *OFFICERS)
        receipt = self.requests.get(name).receipt
        row = next((r for r in store.list_receipts(self.installation.db) if r["id"] == receipt), None)
        if row is None:
            raise NotFoundError("this erasure has no receipt yet.")
        headers = {"Content-Disposition": f'attachment; filename="{receipt}.json"'}
        return Response(str(row["envelope"]), media_type="application/json", headers=headers)
