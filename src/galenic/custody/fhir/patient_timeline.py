"""A patient's record as a timeline, newest first."""

import json
from dataclasses import dataclass
from typing import Any

from galenic import store
from galenic.custody.fhir.messages import RequestContext, serialize
from galenic.custody.fhir.patient_everything import MOST, patient_everything
from galenic.custody.fhir.repository import FhirRepository, close_grants
from galenic.errors import AccessDeniedError
from galenic.schema import ReferenceCriterion, SearchCondition, SearchHit, SearchRequest, SortKey

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
    scope = repository.search_scope(context)
    condition = SearchCondition((ReferenceCriterion("patient", (f"Patient/{patient_id}",)),))
    hits: list[SearchHit] = []
    for resource_type in TYPES:
        key = SortKey(DATE_PARAMETERS.get(resource_type, "date"), "date", descending=True)
        sort = () if resource_type == "AllergyIntolerance" else (key,)
        hits += repository.first_matches(SearchRequest(resource_type, (condition,), sort, scope=scope), NEWEST // 2)
    grants = repository.grants(context, "read", {h.subject: h.is_patient for h in hits})
    if hits and not grants:
        raise AccessDeniedError("no rule lets you read this record.")
    try:
        documents = store.read_rows(repository.installation.db, repository.dataset, grants, [h.row for h in hits]).values()
        entries = [_entry(json.loads(serialize(d, repository.imported_at)), grants[d.subject].decision) for d in documents]
    finally:
        close_grants(grants.values())
    return _newest(entries)


def emergency_timeline(
    repository: FhirRepository, context: RequestContext, patient_id: str
) -> tuple[dict[str, Any], list[TimelineEntry]]:
    """(the patient, the newest entries) under one break-glass decision; the context's purpose is emergency and has a reason."""
    bundle = json.loads(patient_everything(repository, context, patient_id, [("_count", str(MOST))]).body)
    resources = [e["resource"] for e in bundle.get("entry", ())]
    decision = int(bundle["entry"][0]["extension"][0]["valueString"])
    patient = next(r for r in resources if r["resourceType"] == "Patient" and r["id"] == patient_id)
    return patient, _newest([_entry(r, decision) for r in resources if r["resourceType"] in TYPES])


def _newest(entries: list[TimelineEntry]) -> list[TimelineEntry]:
    return sorted(entries, key=lambda e: e.time, reverse=True)[:NEWEST]


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
