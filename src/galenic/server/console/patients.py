"""Pages of patients: search, recent patients, and one record as a timeline."""

import json
import re
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from galenic.custody import fhir
from galenic.errors import InputError, NotFoundError
from galenic.server.console.paging import PAGE_SIZE, router_of
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

READERS = ("clinician", "nurse", "pharmacist")
RESOURCE_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
TYPE_NAMES = {
    "Encounter": "Visit",
    "Condition": "Problem",
    "Observation": "Result",
    "MedicationRequest": "Medication order",
    "Immunization": "Immunization",
    "Procedure": "Procedure",
    "AllergyIntolerance": "Allergy",
    "DocumentReference": "Document",
}
"""Plain names of the types of resources in a timeline."""


class PatientPages:
    """The pages of patients."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/patients", self.list_patients), ("GET", "/patients/{own}", self.show_patient)])

    def _context(self, user: CurrentUser) -> fhir.RequestContext:
        return fhir.RequestContext(user.session, "treatment", f"{self.console.base}/fhir", "")

    def list_patients(
        self, request: Request, name: str = "", identifier: str = "", birthdate: str = "", cursor: str = ""
    ) -> Response:
        """Search among the patients in the user's care, and the records that the user read last."""
        user = self.console.require_user(request, *READERS)
        typed = {"name": name.strip(), "identifier": identifier.strip(), "birthdate": birthdate.strip()}
        wanted = [(k, v) for k, v in typed.items() if v]
        message = None
        try:
            patients, after = self._search(user, wanted, cursor)
        except InputError as error:
            patients, after, message = [], "", Message.of_error(error)
        recent = [] if wanted or cursor else fhir.recent_patients(self.console.repository, self._context(user))
        return self.console.render(
            request,
            "patients.html",
            message=message,
            user=user,
            patients=[patient_summary(p) for p in patients],
            recent=[patient_summary(p) for p in recent],
            typed=typed,
            after=after,
        )

    def _search(self, user: CurrentUser, wanted: list[tuple[str, str]], cursor: str) -> tuple[list[dict[str, Any]], str]:
        """(patients, cursor of the next page). An identifier is looked for among identifiers, then as the id of a record."""
        count = [("_count", str(PAGE_SIZE))]
        repository, context = self.console.repository, self._context(user)
        given = dict(wanted)
        ways = [wanted]
        if RESOURCE_ID.match(given.get("identifier", "")):
            ways.append([("_id" if k == "identifier" else k, v) for k, v in wanted])
        for way in ways:
            parameters = [*count, *way, *([("_cursor", cursor)] if cursor else [])]
            bundle = json.loads(fhir.search(repository, context, "Patient", parameters).body)
            if bundle.get("entry"):
                break
        following = next((x["url"] for x in bundle["link"] if x["relation"] == "next"), "")
        return [e["resource"] for e in bundle.get("entry", ())], following.partition("_cursor=")[2]

    def show_patient(self, request: Request, own: str, page: int = 1) -> Response:
        """One patient's record as a timeline."""
        user = self.console.require_user(request, *READERS)
        context = self._context(user)
        try:
            patient = json.loads(fhir.read(self.console.repository, context, "Patient", own).body)
        except NotFoundError:
            message = Message("This patient does not exist, or is not in your care.", error=True)
            breaks = user.holds("clinician")
            return self.console.render(request, "hidden.html", message=message, status=404, user=user, own=own, breaks=breaks)
        events, more = fhir.patient_timeline(self.console.repository, context, own, page)
        return self.console.render(
            request,
            "patient.html",
            user=user,
            patient=patient_summary(patient),
            events=events,
            page=page,
            more=more,
            type_names=TYPE_NAMES,
            emergency="",
        )


def display_name(patient: dict[str, Any]) -> str:
    """The name of a patient on a page."""
    for name in patient.get("name", ()):
        text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
        if text:
            return str(text)
    return f"Patient {patient['id']}"


def patient_summary(patient: dict[str, Any]) -> dict[str, str]:
    """The facts by which a reader recognizes a patient: id, name, sex, birth date, age, identifiers."""
    born, died = str(patient.get("birthDate", "")), str(patient.get("deceasedDateTime", ""))
    age = age_in_years(born, died)
    values = [str(i["value"]) for i in patient.get("identifier", ()) if i.get("value")]
    return {
        "id": str(patient["id"]),
        "name": display_name(patient),
        "sex": str(patient.get("gender", "")),
        "born": born,
        "age": "" if age is None else str(age),
        "died": died[:10] or ("yes" if patient.get("deceasedBoolean") else ""),
        "identifiers": ", ".join(values[:3]),
    }


def age_in_years(born: str, died: str = "", today: date | None = None) -> int | None:
    """Age at death, or today; None without a full birth date."""
    try:
        birth = date.fromisoformat(born)
        end = date.fromisoformat(died[:10]) if died else today or date.today()
    except ValueError:
        return None
    return end.year - birth.year - ((end.month, end.day) < (birth.month, birth.day))
