"""Pages of consent and of a patient's rights: look-up, recording and withdrawal, CSV, and the data download of GDPR article 15."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel, Field

from galenic import custody, store
from galenic.custody import ConsentChange, fhir
from galenic.errors import GalenicError, OptionError, UnknownNameError
from galenic.server.console.csv_forms import RowError, parse_rows, read_upload
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
LongText = Annotated[str, Form(max_length=2**21)]
OFFICER = "privacy-officer"
DECISIONS = {"given": True, "withdrawn": False}


@dataclass(frozen=True)
class Lookup:
    """A look-up of a patient. patient: as it was typed; page, who: of the list of accesses; wrong: the field that a message is about."""

    patient: str = ""
    page: int = 1
    who: str = ""
    wrong: str = ""


class ConsentForm(BaseModel):
    """The form of a consent. decision: given or withdrawn; evidence: where it is documented."""

    csrf: str = Field(max_length=400)
    patient: str = Field(max_length=400)
    dataset: str = Field(max_length=200)
    purpose: str = Field(max_length=100)
    decision: str = Field(max_length=20)
    until: str = Field("", max_length=40)
    evidence: str = Field("", max_length=2_000)


class ConsentPages:
    """The pages of consent."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/consent", self.show_form),
                ("POST", "/consent", self.look_up),
                ("POST", "/consent/change", self.change),
                ("POST", "/consent/csv", self.preview_csv),
                ("POST", "/consent/csv/record", self.record_csv),
                ("POST", "/consent/download", self.download),
            ]
        )

    def subject_of(self, user: CurrentUser, patient: str) -> int:
        """The subject id of a patient by the identifier of the import, the record id or an identifier in the record."""
        try:
            return custody.find_patient(self.installation, user.session, patient.strip())
        except UnknownNameError as error:
            try:
                return fhir.subject_by_identifier(self.console.repository, patient)
            except GalenicError:
                raise error from None

    def show_form(self, request: Request, message: SignedMessage = "") -> Response:
        """The form of a look-up."""
        user = self.console.require_user(request, OFFICER)
        return self._render(request, user, Lookup(), read_message(message))

    def look_up(
        self, request: Request, csrf: Text, patient: Text, who: Text = "", page: Annotated[int, Form(ge=1)] = 1
    ) -> Response:
        """Consents of a patient, and accesses to the data. Each page is a look-up of its own and audited as one."""
        user = self.console.require_form(request, csrf, OFFICER)
        return self._render(request, user, Lookup(patient, page, who.strip()))

    def _render(self, request: Request, user: CurrentUser, lookup: Lookup, message: Message | None = None) -> Response:
        found, status = None, 0
        values: dict[str, Any] = {"looks": [], "more": False, "care": [], "datasets": []}
        if lookup.patient:
            try:
                subject = self.subject_of(user, lookup.patient)
                found = custody.subject_overview(self.installation, user.session, subject)
                uses = (u for u in reversed(found["looked at by"]) if lookup.who in ("", u["who"]))
                values["looks"], values["more"] = page_of(uses, lookup.page)
                values["care"] = custody.current_care(self.installation, subject=subject)
                values["datasets"] = list(found["rows"]) or [self.console.repository.name]
            except GalenicError as error:
                message, status = message or Message.of_error(error), 404
        known = store.list_datasets(self.installation.db, user.session.tenant)
        return self.console.render(
            request,
            "consent.html",
            message=message,
            status=status,
            user=user,
            found=found,
            lookup=lookup,
            purposes=custody.consent_purposes(self.installation),
            all_datasets=[str(d["name"]) for d in known],
            dataset_of={str(d["label"]): str(d["name"]) for d in known},
            served=self.console.repository.name,
            **values,
        )

    def change(self, request: Request, form: Annotated[ConsentForm, Form()]) -> Response:
        """Records that a patient gave or withdrew a consent."""
        user = self.console.require_form(request, form.csrf, OFFICER)
        self.console.require_step_up(user, "/consent")
        wrong = "until"
        try:
            given = _decision(form.decision)
            end = custody.end_of_consent(self.installation, form.until) if given else ""
            wrong = "evidence"
            if given and not form.evidence.strip():
                raise OptionError("a consent needs evidence. Write where it is documented, such as a form and its date.")
            wrong = "purpose"
            one = ConsentChange(self.subject_of(user, form.patient), form.purpose, given, end, form.evidence)
            custody.change_consents(self.installation, user.session, form.dataset, [one])
        except GalenicError as error:
            return self._render(request, user, Lookup(form.patient, wrong=wrong), Message.of_error(error))
        text = f"The consent to {form.purpose} is recorded as {form.decision}. It takes effect at once."
        return self._render(request, user, Lookup(form.patient), Message(text))

    def download(self, request: Request, csrf: Text, patient: Text) -> Response:
        """All data about a patient as a JSON file (GDPR article 15), for the patient."""
        user = self.console.require_form(request, csrf, OFFICER)
        self.console.require_step_up(user, "/consent")
        try:
            record = custody.own_record_of(self.installation, user.session, self.subject_of(user, patient))
        except GalenicError as error:
            return self._render(request, user, Lookup(), Message.of_error(error))
        headers = {"Content-Disposition": 'attachment; filename="patient-data.json"', "Cache-Control": "no-store"}
        return Response(custody.record_text(record), media_type="application/json", headers=headers)

    # CSV

    def preview_csv(self, request: Request, csrf: Text, dataset: Text, table: Annotated[UploadFile, File()]) -> Response:
        """Shows what a CSV file of consents would record, with the errors of each row. Nothing is written."""
        user = self.console.require_form(request, csrf, OFFICER)
        try:
            text = read_upload(table)
            changes, errors = self._parse(user, text)
        except GalenicError as error:
            return self._render(request, user, Lookup(wrong="table"), Message.of_error(error))
        return self.console.render(
            request,
            "consent_preview.html",
            user=user,
            text=text,
            dataset=dataset,
            given=sum(c.given for c in changes),
            withdrawn=sum(not c.given for c in changes),
            errors=errors[:50],
            error_count=len(errors),
            status=400 if errors else 200,
        )

    def record_csv(self, request: Request, csrf: Text, dataset: Text, text: LongText) -> Response:
        """Records the consents of a CSV file that was previewed: all of them, or none."""
        user = self.console.require_form(request, csrf, OFFICER)
        self.console.require_step_up(user, "/consent")
        try:
            changes, errors = self._parse(user, text)
            if errors:
                raise OptionError("a row of the file is no longer valid. Upload the file again to see which one.")
            count = custody.change_consents(self.installation, user.session, dataset, changes)
        except GalenicError as error:
            return self._render(request, user, Lookup(wrong="table"), Message.of_error(error))
        return redirect_to("/consent", f"{count:,} consents are recorded. They take effect at once.")

    def _parse(self, user: CurrentUser, text: str) -> tuple[list[ConsentChange], list[RowError]]:
        changes: list[ConsentChange] = []
        errors: list[RowError] = []
        seen: set[tuple[int, str]] = set()
        for number, row in parse_rows(text, ("patient", "purpose", "decision"), ("until", "evidence")):
            try:
                given = _decision(row["decision"])
                custody.require_consent_purpose(self.installation, row["purpose"])
                end = custody.end_of_consent(self.installation, row.get("until", "")) if given else ""
                subject = self.subject_of(user, row["patient"])
                if given and not row.get("evidence", ""):
                    raise OptionError("a consent needs evidence. Write where it is documented, such as a form and its date.")
                if (subject, row["purpose"]) in seen:
                    raise OptionError("the file has this patient with this purpose twice. Remove one of the rows.")
                seen.add((subject, row["purpose"]))
                changes.append(ConsentChange(subject, row["purpose"], given, end, row.get("evidence", "")))
            except GalenicError as error:
                errors.append(RowError(number, str(error)))
        return changes, errors


def _decision(text: str) -> bool:
    """Whether a consent is given. OptionError for neither given nor withdrawn."""
    if text not in DECISIONS:
        raise OptionError("the decision is neither given nor withdrawn.")
    return DECISIONS[text]
