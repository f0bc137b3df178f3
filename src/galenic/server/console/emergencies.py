"""Pages of emergency access: opening one record at once, and the review by somebody else."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic import custody
from galenic.custody import fhir
from galenic.errors import AccessDeniedError, GalenicError, NotFoundError, OptionError, StateError, UnknownNameError
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.patients import TYPE_NAMES, patient_summary
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
SHORTEST_REASON = 15  # characters
REVIEWERS = ("privacy-officer", "security-officer")
WORDS = {"justified": "Justified", "misuse": "Misuse", "escalated": "Escalated", "due": "To be reviewed"}


class EmergencyPages:
    """The pages of emergency access."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/emergency", self.show_form),
                ("POST", "/emergency", self.open_record),
                ("GET", "/reviews", self.list_reviews),
                ("GET", "/reviews/{decision}", self.show_review),
                ("POST", "/reviews/{decision}", self.review),
            ]
        )

    # opening a record

    def show_form(self, request: Request, patient: str = "") -> Response:
        """The form of an emergency access."""
        user = self.console.require_user(request, "clinician")
        place = f"/emergency?patient={patient}" if fhir.is_resource_id(patient) else "/emergency"
        self.console.require_step_up(user, place)
        typed = {"identifier": patient if "?" in place else "", "name": "", "birthdate": "", "why": ""}
        return self.console.render(request, "emergency.html", user=user, typed=typed, wrong="")

    def open_record(
        self, request: Request, csrf: Text, why: Text = "", identifier: Text = "", name: Text = "", birthdate: Text = ""
    ) -> Response:
        """Opens the record of the one patient who matches: shown at once, recorded, and reviewed afterwards."""
        user = self.console.require_form(request, csrf, "clinician")
        self.console.require_step_up(user, "/emergency")
        typed = {"identifier": identifier.strip(), "name": name.strip(), "birthdate": birthdate.strip(), "why": why.strip()}
        wrong = "why" if len(typed["why"]) < SHORTEST_REASON else "identifier"
        try:
            if wrong == "why":
                raise OptionError(f"the reason is too short. Write a sentence of at least {SHORTEST_REASON} characters.")
            if self.installation.gate.reviews.overdue(user.account.name):
                raise StateError("an earlier emergency access of yours was not reviewed in time. Call a privacy officer.")
            patient_id = self._one_patient(user, typed)
            context = fhir.RequestContext(user.session, "emergency", f"{self.console.base}/fhir", typed["why"])
            patient, events = fhir.emergency_timeline(self.console.repository, context, patient_id)
        except NotFoundError:
            message = Message("No patient matches. Check what you typed.", error=True)
            return self.console.render(request, "emergency.html", message=message, user=user, typed=typed, wrong=wrong)
        except GalenicError as error:
            message = Message.of_error(error)
            return self.console.render(request, "emergency.html", message=message, user=user, typed=typed, wrong=wrong)
        return self.console.render(
            request,
            "patient.html",
            user=user,
            patient=patient_summary(patient),
            events=events,
            page=1,
            more=False,
            type_names=TYPE_NAMES,
            emergency=typed["why"],
        )

    def _one_patient(self, user: CurrentUser, typed: dict[str, str]) -> str:
        """The id of the one patient who matches. Only the number of others is told. Each search is in the audit log."""
        repository = self.console.repository
        wanted = {k: typed[k] for k in ("identifier", "name", "birthdate") if typed[k]}
        if not wanted.get("identifier") and not {"name", "birthdate"} <= set(wanted):
            raise OptionError("enter a patient ID or MRN, or both the name and the date of birth.")
        found = fhir.patient_ids(repository, wanted)
        self.installation.audit.append("emergency.search", "patients", actor=user.account.name, matches=len(found))
        if not found:
            raise UnknownNameError("no patient matches. Check what you typed.")
        if len(found) > 1:
            raise OptionError("several patients match. Add the patient ID or MRN, or the date of birth.")
        return found[0]

    # review

    def list_reviews(self, request: Request, message: SignedMessage = "", page: int = 1) -> Response:
        """Emergency accesses that wait for their review, and the history of reviews."""
        user = self.console.require_user(request, *REVIEWERS)
        accesses = custody.emergency_accesses(self.installation)
        waiting = [a for a in accesses if a.review.state in ("due", "escalated")]
        closed, more = page_of((a for a in accesses if a.review.state not in ("due", "escalated")), page)
        return self.console.render(
            request,
            "reviews.html",
            message=read_message(message),
            user=user,
            waiting=waiting,
            closed=closed,
            page=page,
            more=more,
            words=WORDS,
            comment_of=self.installation.gate.reviews.comment,
        )

    def show_review(self, request: Request, decision: int) -> Response:
        """One emergency access for its reviewer."""
        user = self.console.require_user(request, *REVIEWERS)
        return self._render_review(request, user, decision, None)

    def _render_review(self, request: Request, user: CurrentUser, decision: int, message: Message | None) -> Response:
        reviews, accesses = self.installation.gate.reviews, custody.emergency_accesses(self.installation)
        access = next((a for a in accesses if a.decision == decision), None)
        if access is None:
            raise NotFoundError("there is no emergency access with this number.")
        sees_patient = user.holds("privacy-officer") or reviews.is_asked(user.session, access.review)
        try:
            access = custody.read_emergency(self.installation, user.session, decision) if sees_patient else access
        except AccessDeniedError as error:  # by the installation's own policy: the access can be reviewed without it
            sees_patient, message = False, message or Message.of_error(error)
        earlier = [a for a in accesses if a.who == access.who and a.decision < decision]
        officers = [p for p in self.installation.people.all() if "security-officer" in p.roles and p.state == "active"]
        return self.console.render(
            request,
            "review.html",
            message=message,
            user=user,
            access=access,
            account=self.installation.people.get(access.who),
            earlier=earlier,
            sees_patient=sees_patient,
            may_close=reviews.may_close(user.session, access.review),
            comment_of=reviews.comment,
            officers=[p for p in officers if p.name not in (user.account.name, access.who)],
            words=WORDS,
        )

    def review(self, request: Request, csrf: Text, decision: int, finding: Text, comment: Text = "", to: Text = "") -> Response:
        """Closes the review of one emergency access, or escalates it."""
        user = self.console.require_form(request, csrf, *REVIEWERS)
        self.console.require_step_up(user, f"/reviews/{decision}")
        try:
            self.installation.gate.review(user.session, decision, finding, comment=comment.strip(), to=to.strip())
        except GalenicError as error:
            return self._render_review(request, user, decision, Message.of_error(error))
        return redirect_to("/reviews", f"Emergency access {decision}: {WORDS[finding].lower()}.")
