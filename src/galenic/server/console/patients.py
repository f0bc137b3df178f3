"""Pages of patients: list, record as a timeline, emergency access and its review."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.custody import fhir
from galenic.errors import NotFoundError, OptionError
from galenic.server.console.paging import PAGE_SIZE, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
READERS = ("clinician", "nurse", "pharmacist")


class PatientPages:
    """The pages of patients."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/patients", self.list_patients),
                ("GET", "/patients/{own}", self.show_patient),
                ("POST", "/patients/{own}/emergency", self.emergency),
                ("GET", "/reviews", self.list_reviews),
                ("POST", "/reviews", self.review),
            ]
        )

    def _context(self, user: CurrentUser, purpose: str, reason: str = "") -> fhir.RequestContext:
        return fhir.RequestContext(user.session, purpose, f"{self.console.base}/fhir", reason)

    def list_patients(self, request: Request, name: str = "", cursor: str = "") -> Response:
        """Patients whom the user treats."""
        user = self.console.require_user(request, *READERS)
        parameters = [("_count", str(PAGE_SIZE))]
        parameters += ([("name", name)] if name else []) + ([("_cursor", cursor)] if cursor else [])
        response = fhir.search(self.console.repository, self._context(user, "treatment"), "Patient", parameters)
        bundle = json.loads(response.body)
        following = next((x["url"] for x in bundle["link"] if x["relation"] == "next"), "")
        return self.console.render(
            request,
            "patients.html",
            user=user,
            patients=[e["resource"] for e in bundle.get("entry", ())],
            name=name,
            after=following.partition("_cursor=")[2],
            display_name=display_name,
        )

    def show_patient(self, request: Request, own: str) -> Response:
        """One patient's record as a timeline."""
        user = self.console.require_user(request, *READERS)
        context = self._context(user, "treatment")
        try:
            patient = json.loads(fhir.read(self.console.repository, context, "Patient", own).body)
        except NotFoundError:
            text = "There is no such patient, or none whom you treat."
            return self._hidden(request, user, own, text, breaks=user.holds("clinician"))
        events = fhir.patient_timeline(self.console.repository, context, own)
        return self.console.render(
            request, "patient.html", user=user, patient=patient, events=events, display_name=display_name, emergency=""
        )

    def _hidden(self, request: Request, user: CurrentUser, own: str, text: str, *, breaks: bool) -> Response:
        """The page of a patient whom the user may not see. breaks: it offers emergency access."""
        message = Message(text, error=True)
        return self.console.render(request, "hidden.html", message=message, status=404, user=user, own=own, breaks=breaks)

    def emergency(self, request: Request, own: str, csrf: Text, why: Text) -> Response:
        """Break-glass access to one patient's record: shown at once, reviewed afterwards."""
        user = self.console.require_form(request, csrf, "clinician")
        self.console.require_step_up(user, f"/patients/{own}")
        try:
            patient, events = fhir.emergency_timeline(self.console.repository, self._context(user, "emergency", why), own)
        except NotFoundError:
            text = "There is no such patient, or the reason says too little: a sentence, please."
            return self._hidden(request, user, own, text, breaks=True)
        return self.console.render(
            request, "patient.html", user=user, patient=patient, events=events, display_name=display_name, emergency=why
        )

    def list_reviews(self, request: Request, message: SignedMessage = "") -> Response:
        """Emergency accesses that wait for their review."""
        user = self.console.require_user(request, "privacy-officer")
        due = [f for f in self.installation.facts.of("review") if f.state == "due"]
        entries = {f"glass-{e.seq}": e for e in self.installation.audit.entries() if e.action == "gate.break-glass"}
        pairs = [(f, entries.get(f.key)) for f in due]
        return self.console.render(request, "reviews.html", message=read_message(message), user=user, due=pairs)

    def review(self, request: Request, csrf: Text, decision: Annotated[int, Form(ge=1)], finding: Text) -> Response:
        """Closes the review of one emergency access."""
        user = self.console.require_form(request, csrf, "privacy-officer")
        self.console.require_step_up(user, "/reviews")
        if finding not in ("justified", "misuse"):
            raise OptionError("a review finds the access justified, or misuse.")
        self.installation.gate.review(user.session, decision, finding)
        return redirect_to("/reviews", f"Decision {decision}: {finding}.")


def display_name(patient: dict[str, Any]) -> str:
    """The name of a patient on a page."""
    for name in patient.get("name", ()):
        text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
        if text:
            return str(text)
    return f"Patient {patient['id']}"
