"""Pages of care relations: a form for patients or a ward, CSV with a preview, and changes that wait for a second person."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response

from galenic import custody
from galenic.custody import CareChange, fhir
from galenic.errors import GalenicError, OptionError
from galenic.server.console.csv_forms import RowError, parse_rows, read_upload
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
LongText = Annotated[str, Form(max_length=2**21)]
RECORDERS = ("integration-engineer",)
READERS = ("integration-engineer", "privacy-officer", "security-officer")
DAYS = 30  # of a relation by default
NOTHING_TYPED = {"clinician": "", "until": "", "patients": "", "ward": ""}


@dataclass(frozen=True)
class CarePreview:
    """Care relations of a CSV file: valid changes, and the errors of rows."""

    changes: list[CareChange]
    errors: list[RowError]


class CarePages:
    """The pages of care relations."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/care", self.list_relations),
                ("POST", "/care", self.record),
                ("POST", "/care/end", self.end),
                ("POST", "/care/csv", self.preview_csv),
                ("POST", "/care/csv/record", self.record_csv),
                ("POST", "/care/decide", self.decide),
            ]
        )

    def list_relations(self, request: Request, message: SignedMessage = "", account: str = "", page: int = 1) -> Response:
        """Care relations in force, and changes that wait for a second person."""
        user = self.console.require_user(request, *READERS)
        return self._render(request, user, read_message(message), {"account": account.strip(), "page": page})

    def _render(
        self, request: Request, user: CurrentUser, message: Message | None, values: dict[str, Any] | None = None
    ) -> Response:
        values = {"account": "", "page": 1, "typed": dict(NOTHING_TYPED), "wrong": "", **(values or {})}
        found = custody.current_care(self.installation, account=values["account"])
        shown, more = page_of(sorted(found, key=lambda f: (f.who, f.until)), values["page"])
        people = [p for p in self.installation.people.all() if p.state == "active" and set(p.roles) & custody.CARE_ROLES]
        return self.console.render(
            request,
            "care.html",
            message=message,
            user=user,
            relations=shown,
            total=len(found),
            more=more,
            proposals=custody.proposed_care(self.installation),
            people=people,
            records=user.holds(*RECORDERS),
            last_day=self._default_day(),
            **values,
        )

    def _default_day(self) -> str:
        return str((datetime.fromisoformat(self.installation.facts.now()) + timedelta(days=DAYS)).date())

    def record(
        self, request: Request, csrf: Text, clinician: Text, until: Text, patients: LongText = "", ward: Text = ""
    ) -> Response:
        """Records that a clinician treats patients, or the patients of a ward."""
        user = self.console.require_form(request, csrf, *RECORDERS)
        self.console.require_step_up(user, "/care")
        typed = {"clinician": clinician, "until": until, "patients": patients, "ward": ward}
        wrong = "clinician"
        try:
            custody.require_care_account(self.installation, clinician.strip())
            wrong = "until"
            end = custody.end_of_relation(self.installation, until)
            wrong = "ward" if ward.strip() else "patients"
            subjects = self._subjects(patients, ward)
            changes = [CareChange(clinician.strip(), s, end) for s in subjects]
            result = self._change(user, changes, f"ward {ward.strip()}" if ward.strip() else "form")
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error), {"typed": typed, "wrong": wrong})
        return redirect_to("/care", result)

    def _subjects(self, patients: str, ward: str) -> list[int]:
        if ward.strip():
            return fhir.subjects_in_ward(self.console.repository, ward)
        lines = [line.strip() for line in patients.splitlines() if line.strip()]
        if not lines:
            raise OptionError("enter at least one patient ID or MRN, or a ward.")
        if len(lines) > custody.MOST_CARE_ROWS:
            raise OptionError(f"enter at most {custody.MOST_CARE_ROWS:,} patients at once.")
        found: dict[int, None] = {}
        for number, line in enumerate(lines, 1):
            found[_at(f"line {number} of the patients", partial(self._subject, line))] = None
        return list(found)

    def _subject(self, text: str) -> int:
        return fhir.subject_by_identifier(self.console.repository, text)

    def _change(self, user: CurrentUser, changes: list[CareChange], source: str) -> str:
        """Records relations; returns the message for the user."""
        name = self.console.repository.name
        result = custody.change_care_relations(self.installation, user.session, name, changes, source)
        if result.proposal:
            return f"{len(changes):,} care relations are proposed. A second person has to approve them on this page."
        return f"{result.recorded:,} care relations are recorded. They take effect at once."

    def end(self, request: Request, csrf: Text, clinician: Text, subject: Annotated[int, Form(ge=1, le=2**63 - 1)]) -> Response:
        """Ends a care relation."""
        user = self.console.require_form(request, csrf, *RECORDERS)
        self.console.require_step_up(user, "/care")
        try:
            self._change(user, [CareChange(clinician, subject, ended=True)], "form")
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/care", "The care relation is ended. The clinician no longer sees the record.")

    # CSV

    def preview_csv(self, request: Request, csrf: Text, table: Annotated[UploadFile, File()]) -> Response:
        """Shows what a CSV file would record, with the errors of each row. Nothing is written."""
        user = self.console.require_form(request, csrf, *RECORDERS)
        try:
            text = read_upload(table)
            preview = self._parse(text)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error), {"wrong": "table"})
        return self.console.render(
            request,
            "care_preview.html",
            user=user,
            text=text,
            given=sum(not c.ended for c in preview.changes),
            ended=sum(c.ended for c in preview.changes),
            accounts=sorted({c.account for c in preview.changes}),
            errors=preview.errors[:50],
            error_count=len(preview.errors),
            status=400 if preview.errors else 200,
        )

    def record_csv(self, request: Request, csrf: Text, text: LongText) -> Response:
        """Records the care relations of a CSV file that was previewed: all of them, or none."""
        user = self.console.require_form(request, csrf, *RECORDERS)
        self.console.require_step_up(user, "/care")
        try:
            preview = self._parse(text)
            if preview.errors:
                raise OptionError("a row of the file is no longer valid. Upload the file again to see which one.")
            result = self._change(user, preview.changes, "CSV")
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/care", result)

    def _parse(self, text: str) -> CarePreview:
        changes: list[CareChange] = []
        errors: list[RowError] = []
        seen: set[tuple[str, int]] = set()
        for number, row in parse_rows(text, ("patient", "clinician"), ("until", "action")):
            try:
                change = self._parse_row(row)
                if (change.account, change.subject) in seen:
                    raise OptionError("the file has this clinician with this patient twice. Remove one of the rows.")
                seen.add((change.account, change.subject))
                changes.append(change)
            except GalenicError as error:
                errors.append(RowError(number, str(error)))
        return CarePreview(changes, errors)

    def _parse_row(self, row: dict[str, str]) -> CareChange:
        action = row.get("action", "") or "start"
        if action not in ("start", "end"):
            raise OptionError("the action is neither start nor end.")
        subject = self._subject(row["patient"])
        if action == "end":
            if not custody.current_care(self.installation, account=row["clinician"], subject=subject):
                raise OptionError("this clinician has no care relation with this patient that could end.")
            return CareChange(row["clinician"], subject, ended=True)
        custody.require_care_account(self.installation, row["clinician"])
        until = custody.end_of_relation(self.installation, row.get("until", "") or self._default_day())
        return CareChange(row["clinician"], subject, until)

    # second person

    def decide(self, request: Request, csrf: Text, key: Text, verb: Text) -> Response:
        """Approves or rejects proposed care relations, as the second person."""
        user = self.console.require_form(request, csrf, *READERS)
        self.console.require_step_up(user, "/care")
        try:
            if verb == "approve":
                count = custody.approve_care(self.installation, user.session, key)
                done = f"{count:,} care relations are approved. They take effect at once."
            else:
                custody.reject_care(self.installation, user.session, key)
                done = "The proposed care relations are rejected."
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/care", done)


def _at(place: str, work: Callable[[], int]) -> int:
    """The result of work; its error names the place."""
    try:
        return work()
    except GalenicError as error:
        raise OptionError(f"{place}: {error}") from None
