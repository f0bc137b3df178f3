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
PAGE_ENTRIES = 50
MOST_PAGES = 20
RECENT_ROWS = 2_000  # newest rows of the audit log that recent patients are looked up in
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
    """One resource of a record. time: as written; what: its type; text: summary; decision: number of the access decision."""

    time: str
    what: str
    text: str
    decision: int


def patient_timeline(
    repository: FhirRepository, context: RequestContext, patient_id: str, page: int = 1
) -> tuple[list[TimelineEntry], bool]:
    """(a page of a patient's record, newest first; whether there are older entries). page: from 1."""
    repository.refresh()
    page = min(max(page, 1), MOST_PAGES)
    hits = _newest_hits(repository, patient_id, repository.search_scope(context), page * PAGE_ENTRIES + 1)
    grants = repository.grants(context, "read", {h.subject: h.is_patient for h in hits})
    if hits and not grants:
        raise AccessDeniedError("no rule lets you read this record.")
    try:
        entries = _timeline(repository, [h.row for h in hits], grants)
    finally:
        close_grants(grants.values())
    start, end = (page - 1) * PAGE_ENTRIES, page * PAGE_ENTRIES
    return entries[start:end], len(entries) > end and page < MOST_PAGES


def _newest_hits(
    repository: FhirRepository, patient_id: str, scope: SearchScope | None, most: int = 2 * PAGE_ENTRIES
) -> list[SearchHit]:
    """The newest resources of each type, at most so many of one."""
    condition = SearchCondition((ReferenceCriterion("patient", (f"Patient/{patient_id}",)),))
    hits: list[SearchHit] = []
    for resource_type in TYPES:
        key = SortKey(DATE_PARAMETERS.get(resource_type, "date"), "date", descending=True)
        sort = () if resource_type == "AllergyIntolerance" else (key,)
        hits += repository.first_matches(SearchRequest(resource_type, (condition,), sort, scope=scope), most)
    return hits


def _timeline(repository: FhirRepository, rows: list[int], grants: dict[int, Grant]) -> list[TimelineEntry]:
    documents = store.read_rows(repository.installation.db, repository.dataset, grants, rows).values()
    shown = [d for d in documents if d.type in TYPES]
    entries = [_entry(json.loads(serialize(d, repository.imported_at)), grants[d.subject].decision) for d in shown]
    return sorted(entries, key=lambda e: e.time, reverse=True)


def emergency_timeline(
    repository: FhirRepository, context: RequestContext, patient_id: str
) -> tuple[dict[str, Any], list[TimelineEntry]]:
    """(patient, newest entries) under one emergency access decision. The context's purpose is emergency and has a reason."""
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
        except IndexBehindError:  # emergency access does not wait for it
            rows = store.current_rows(repository.installation.db, grant, repository.dataset, subject)
        patient = json.loads(serialize(documents[location.row], repository.imported_at))
        return patient, _timeline(repository, rows, grants)[: 2 * PAGE_ENTRIES]


def recent_patients(repository: FhirRepository, context: RequestContext, most: int = 5) -> list[dict[str, Any]]:
    """The patients whose records the account read last and may still read, newest first."""
    prefix, who = f"record/{repository.name}/", context.session.who
    size = repository.installation.audit.head()[0]
    recent: dict[int, None] = {}
    entries = list(repository.installation.audit.entries_of(("gate.opened",), max(size - RECENT_ROWS, 0), size))
    for entry in reversed(entries):
        number = entry.resource.removeprefix(prefix)
        if entry.actor == who and entry.detail.get("verb") == "read" and number.isdecimal():
            recent.setdefault(int(number))
    scope = repository.search_scope(context)
    wanted = [s for s in recent if scope is None or s in scope.subjects][:most]
    if not wanted:
        return []
    hits = repository.first_matches(SearchRequest("Patient", scope=SearchScope(frozenset(wanted), f"recent/{wanted}")), most)
    grants = repository.grants(context, "search", {h.subject: h.is_patient for h in hits})
    try:
        documents = store.read_rows(repository.installation.db, repository.dataset, grants, [h.row for h in hits]).values()
        found = {d.subject: json.loads(serialize(d, repository.imported_at)) for d in documents if d.type == "Patient"}
    finally:
        close_grants(grants.values())
    return [found[s] for s in wanted if s in found]


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
    """Concept that describes the subject of the resource."""
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
