"""A patient's record as a timeline, newest first."""

import json
from dataclasses import dataclass
from typing import Any

from galenic import store
from galenic.custody.fhir.index_update import IndexBehindError
from galenic.custody.fhir.messages import RequestContext, serialize
from galenic.custody.fhir.reading import NOT_FOUND, open_for_reading
from galenic.custody.fhir.repository import FhirRepository, close_grants
from galenic.errors import AccessDeniedError, NotFoundError
from galenic.schema import ReferenceCriterion, SearchCondition, SearchHit, SearchRequest, SearchScope, SortKey
from galenic.security import Grant

TYPES = (
    "Encounter",
    "Condition",
    "Observation",
    "MedicationRequest",
    "Immunization",
    "Procedure",
    "AllergyIntolerance",
    "DocumentReference",
)
NEWEST = 100
DATE_PARAMETERS = {"Condition": "recorded-date", "MedicationRequest": "authoredon"}  # other types: date
TIME_ELEMENTS = (
    "effectiveDateTime",
    "authoredOn",
    "recordedDate",
    "onsetDateTime",
    "occurrenceDateTime",
    "performedDateTime",
    "date",
    "recordedDate",
)


@dataclass(frozen=True)
class TimelineEntry:
    """One resource of a record. time: as written; what: its type; text: a summary; decision: number of the access decision."""

    time: str
    what: str
    text: str
    decision: int


def patient_timeline(repository: FhirRepository, context: RequestContext, patient_id: str) -> list[TimelineEntry]:
    """The newest entries of a patient's record."""
    repository.refresh()
    hits = _newest_hits(repository, patient_id, repository.search_scope(context))
    grants = repository.grants(context, "read", {h.subject: h.is_patient for h in hits})
    if hits and not grants:
        raise AccessDeniedError("no rule lets you read this record.")
    try:
        return _timeline(repository, [h.row for h in hits], grants)
    finally:
        close_grants(grants.values())


def _newest_hits(repository: FhirRepository, patient_id: str, scope: SearchScope | None) -> list[SearchHit]:
    """The newest resources of each type."""
    condition = SearchCondition((ReferenceCriterion("patient", (f"Patient/{patient_id}",)),))
    hits: list[SearchHit] = []
    for resource_type in TYPES:
        key = SortKey(DATE_PARAMETERS.get(resource_type, "date"), "date", descending=True)
        sort = () if resource_type == "AllergyIntolerance" else (key,)
        hits += repository.first_matches(SearchRequest(resource_type, (condition,), sort, scope=scope), NEWEST // 2)
    return hits


def _timeline(repository: FhirRepository, rows: list[int], grants: dict[int, Grant]) -> list[TimelineEntry]:
    documents = store.read_rows(repository.installation.db, repository.dataset, grants, rows).values()
    shown = [d for d in documents if d.type in TYPES]
    entries = [_entry(json.loads(serialize(d, repository.imported_at)), grants[d.subject].decision) for d in shown]
    return sorted(entries, key=lambda e: e.time, reverse=True)[:NEWEST]


def emergency_timeline(
    repository: FhirRepository, context: RequestContext, patient_id: str
) -> tuple[dict[str, Any], list[TimelineEntry]]:
    """(the patient, the newest entries) under one break-glass decision; the context's purpose is emergency and has a reason."""
    location = repository.locate(f"Patient/{patient_id}")
    with open_for_reading(repository, context, location) as grant:
        if location is None or not location.is_live:
            raise NotFoundError(NOT_FOUND)
        subject, grants = location.subject, {location.subject: grant}
        documents = store.read_rows(repository.installation.db, repository.dataset, grants, [location.row])
        try:
            repository.refresh()
            hits = _newest_hits(repository, patient_id, SearchScope(frozenset({subject}), f"emergency/{subject}"))
            rows = [h.row for h in hits if h.subject == subject]
        except IndexBehindError:  # an emergency does not wait for it
            rows = store.current_rows(repository.installation.db, grant, repository.dataset, subject)
        patient = json.loads(serialize(documents[location.row], repository.imported_at))
        return patient, _timeline(repository, rows, grants)


def _entry(resource: dict[str, Any], decision: int) -> TimelineEntry:
    period_start = str(resource.get("period", {}).get("start", ""))
    time = next((str(resource[t]) for t in TIME_ELEMENTS if t in resource), period_start)
    text = _concept_text(_code_of(resource)) or _concept_text(resource.get("class", {})) or resource["resourceType"]
    value = resource.get("valueQuantity")
    if value:
        text += f": {value.get('value')} {value.get('unit', '')}".rstrip()
    elif "valueCodeableConcept" in resource:
        text += f": {_concept_text(resource['valueCodeableConcept'])}"
    elif "valueString" in resource:
        text += f": {resource['valueString']}"
    return TimelineEntry(time, resource["resourceType"], text, decision)


def _code_of(resource: dict[str, Any]) -> dict[str, Any]:
    """The concept that says what the resource is about."""
    resource_type = resource.get("type")
    if isinstance(resource_type, dict):
        return resource_type
    named = ("code", "medicationCodeableConcept", "vaccineCode")
    concept = next((resource[name] for name in named if resource.get(name)), None)
    found: dict[str, Any] = concept or next(iter(resource_type or []), {})
    return found


def _concept_text(concept: dict[str, Any]) -> str:
    if "text" in concept:
        return str(concept["text"])
    coding = next(iter(concept.get("coding", [])), concept)
    return str(coding.get("display") or coding.get("code") or "")
