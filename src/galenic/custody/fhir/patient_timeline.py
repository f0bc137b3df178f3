"""A patient's record as a timeline: what was done and found, newest first, under one decision."""

import json
from dataclasses import dataclass
from typing import Any

from galenic import store
from galenic.custody.fhir.messages import RequestContext, serialize
from galenic.custody.fhir.patient_everything import MOST, patient_everything
from galenic.custody.fhir.repository import FhirRepository
from galenic.custody.fhir.searching import frame_of
from galenic.errors import AccessDeniedError

KINDS = (
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


@dataclass(frozen=True)
class TimelineEntry:
    """One thing of a record. time: as it was written; what: of which type; text: what it says; decision: by which it is shown."""

    time: str
    what: str
    text: str
    decision: int


def patient_timeline(repository: FhirRepository, context: RequestContext, own: str) -> list[TimelineEntry]:
    """The newest events of a patient."""
    hits: list[store.Hit] = []
    for kind in KINDS:
        frame = frame_of(repository, context, kind)
        name = store.OneOf((store.Link("patient", (f"Patient/{own}",)),))
        order = () if kind in ("AllergyIntolerance",) else (store.Order(DATES.get(kind, "date"), "date", down=True),)
        hits += repository.index.search(
            store.ResourceQuery(kind, (name,), order, frame.shown, frame.shown_as), limit=NEWEST // 2
        )
    subjects = {h.subject: h.patient for h in hits}
    opened = repository.installation.gate.open_many(
        context.session, "read", [repository.place(s, p) for s, p in subjects.items()], context.purpose
    )  # fmt: skip
    passes = {s: h for s, h in zip(subjects, opened, strict=True) if h is not None}
    if subjects and not passes:
        raise AccessDeniedError("no rule lets you read this record.")
    try:
        kept = store.read_rows(repository.installation.db, repository.known, passes, [h.row for h in hits])
        found = [_event(json.loads(serialize(k, repository.imported_at)), passes[k.subject].decision) for k in kept.values()]
    finally:
        for handle in passes.values():
            handle.__exit__(None, None, None)
    return sorted(found, key=lambda e: e.time, reverse=True)[:NEWEST]


def emergency_timeline(
    repository: FhirRepository, context: RequestContext, own: str
) -> tuple[dict[str, Any], list[TimelineEntry]]:
    """(a patient, the newest events) under one decision, which breaks the glass: asking is for an emergency and says why."""
    bundle = json.loads(patient_everything(repository, context, own, [("_count", str(MOST))]).body)
    found = [e["resource"] for e in bundle.get("entry", ())]
    decision = int(bundle["entry"][0]["extension"][0]["valueString"])
    events = [_event(r, decision) for r in found if r["resourceType"] in KINDS]
    patient = next(r for r in found if r["resourceType"] == "Patient" and r["id"] == own)
    return patient, sorted(events, key=lambda e: e.time, reverse=True)[:NEWEST]


DATES = {"Condition": "recorded-date", "MedicationRequest": "authoredon"}
TIMES = (
    "effectiveDateTime",
    "authoredOn",
    "recordedDate",
    "onsetDateTime",
    "occurrenceDateTime",
    "performedDateTime",
    "date",
    "recordedDate",
)


def _event(resource: dict[str, Any], decision: int) -> TimelineEntry:
    time = next((str(resource[t]) for t in TIMES if t in resource), str(resource.get("period", {}).get("start", "")))
    about = resource.get("code") or resource.get("medicationCodeableConcept") or resource.get("vaccineCode") or {}
    about = (
        about or next(iter(resource.get("type", [])), {}) if not isinstance(resource.get("type"), dict) else resource["type"]
    )
    text = _said(about) or _said(resource.get("class", {})) or resource["resourceType"]
    value = resource.get("valueQuantity")
    if value:
        text += f": {value.get('value')} {value.get('unit', '')}".rstrip()
    elif "valueCodeableConcept" in resource:
        text += f": {_said(resource['valueCodeableConcept'])}"
    elif "valueString" in resource:
        text += f": {resource['valueString']}"
    return TimelineEntry(time, resource["resourceType"], text, decision)


def _said(concept: dict[str, Any]) -> str:
    if "text" in concept:
        return str(concept["text"])
    coding = next(iter(concept.get("coding", [])), concept)
    return str(coding.get("display") or coding.get("code") or "")
