"""Conversion of one patient's events to valid R4 resources, tagged as derived. Events without a matching resource are counted."""

import base64
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np

from galenic.records.fhir.parsing import ExactNumber
from galenic.records.fhir.to_events import SYSTEMS
from galenic.schema import BIRTH, DEATH

Resource = dict[str, Any]
Row = dict[str, Any]  # one event: TIMELINE's columns
DAY = 86_400_000_000
OMOP = {
    "visit_occurrence": "Encounter", "condition_occurrence": "Condition", "drug_exposure": "MedicationStatement",
    "procedure_occurrence": "Procedure", "measurement": "Observation", "observation": "Observation",
}  # fmt: skip
RESOURCE_TYPES = frozenset(
    (
        "AllergyIntolerance",
        "Condition",
        "DocumentReference",
        "Encounter",
        "Immunization",
        "MedicationRequest",
        "MedicationStatement",
    )
) | {"Observation", "Procedure"}
URIS = {short: uri for uri, short in reversed(SYSTEMS.items())} | {"CVX": "http://hl7.org/fhir/sid/cvx"}
DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
OPERATORS = ("<", "<=", ">", ">=")
SYNTHETIC = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
    "display": "test health data",
}  # simulated or synthetic
MAPPED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "MAPPED",
    "display": "mapped",
}  # transformed from one encoding to another
CLASSES = {"AMB": "ambulatory", "IMP": "inpatient encounter", "EMER": "emergency", "HH": "home health", "VR": "virtual"}
ADMINISTRATIVE = {
    "M": "male",
    "F": "female",
    "male": "male",
    "female": "female",
    "other": "other",
    "8507": "male",
    "8532": "female",
}
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


@dataclass(frozen=True)
class Origin:
    """Provenance of the resources. agent: the model or program; entity: the data set and its version; label: the security tag;
    ucum: whether all units are UCUM units."""

    agent: str
    entity: str
    label: dict[str, str]
    recorded: datetime
    ucum: bool = False


def events_to_resources(
    patient: str, rows: Iterable[Row], origin: Origin, described: dict[str, str], dropped: Counter[str]
) -> list[Resource]:
    """The Patient, one resource per event in order, and a Provenance of them all.

    patient: the id of the Patient; described: display texts by code.
    """
    meta = {"security": [origin.label]}
    who: Resource = {"resourceType": "Patient", "id": patient, "meta": meta}
    made = [who]
    encounters: dict[str, str] = {}
    for number, row in enumerate(rows):
        if _of_patient(who, row):
            continue
        kind = _kind(row)
        if kind is None:
            dropped[f"{row['code'].partition('//')[0]}: no matching resource"] += 1
            continue
        one: Resource = {"resourceType": kind, "id": f"{patient}-{number}", "meta": meta}
        if kind == "Encounter" and row["encounter_id"]:
            encounters[row["encounter_id"]] = one["id"]
        made.append(_FILL[kind](one, row, {"reference": f"Patient/{patient}"}, _concept(row, described)))
        if origin.ucum and "unit" in one.get("valueQuantity", ()):
            one["valueQuantity"] |= {"system": "http://unitsofmeasure.org", "code": row["unit"]}
        if row["time"] is not None and row["utc_offset"] is None and row["time"] % DAY:
            dropped["time without an offset, written as UTC"] += 1
        if kind != "Encounter" and row["encounter_id"]:
            one["_encounter"] = row["encounter_id"]
    for one in made:
        _within(one, encounters.get(one.pop("_encounter", "")))
    return [*made, _provenance(patient, made, origin)]


def _within(one: Resource, encounter: str | None) -> None:
    """Sets the reference to the encounter, in the element that the type has for it."""
    if encounter is None:
        return
    reference = {"reference": f"Encounter/{encounter}"}
    if one["resourceType"] == "MedicationStatement":
        one["context"] = reference
    elif one["resourceType"] == "DocumentReference":
        one["context"] = {"encounter": [reference]}
    else:
        one["encounter"] = reference


def _provenance(patient: str, made: list[Resource], origin: Origin) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": f"{patient}-provenance",
        "target": [{"reference": f"{r['resourceType']}/{r['id']}"} for r in made],
        "recorded": origin.recorded.isoformat(timespec="seconds"),
        "agent": [{"type": {"text": "assembler"}, "who": {"display": origin.agent}}],
        "entity": [{"role": "source", "what": {"display": origin.entity}}],
    }


def _of_patient(who: Resource, row: Row) -> bool:
    """True if an event is written as part of the Patient resource."""
    code = str(row["code"])
    label, _, value = code.partition("//")
    if code == BIRTH and row["time"] is not None:
        who["birthDate"] = _time(row["time"], None)[:10]
    elif code == DEATH:
        if row["time"] is None:
            who.setdefault("deceasedBoolean", True)
        else:
            who.pop("deceasedBoolean", None)
            who["deceasedDateTime"] = _time(row["time"], row["utc_offset"])
    elif label in ("GENDER", "SEX"):
        who["gender"] = ADMINISTRATIVE.get(value or str(row["text_value"]), "unknown")
    elif label == "MARITAL_STATUS" or row["code_system"] == "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus":
        who["maritalStatus"] = {"text": value}
    elif label in ("RACE", "ETHNICITY"):
        url = f"http://hl7.org/fhir/us/core/StructureDefinition/us-core-{label.lower()}"
        who.setdefault("extension", []).append(
            {"url": url, "extension": [{"url": "text", "valueString": value.rpartition("//")[2]}]}
        )
    else:
        return False
    return True


def _kind(row: Row) -> str | None:
    source = str(row["source_ref"] or "").partition("/")[0]
    kind = OMOP.get(source, source)
    if kind in RESOURCE_TYPES:
        return kind
    return None if kind else "Observation"  # MEDS has no resource types: an observation


def _time(micros: int, offset: int | None) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    if offset is None and micros % DAY == 0:
        return at.date().isoformat()
    local = at.astimezone(timezone(timedelta(minutes=offset or 0)))
    return local.isoformat(timespec="microseconds" if local.microsecond else "seconds")


def _when(row: Row, name: str = "time") -> str | None:
    return None if row[name] is None else _time(row[name], row["utc_offset"])


def _concept(row: Row, described: dict[str, str]) -> Resource:
    code = str(row["code"])
    label, mark, value = code.partition("//")
    text = described.get(code)
    system = (
        row["code_system"]
        if "://" in str(row["code_system"]) or str(row["code_system"]).startswith("urn:")
        else URIS.get(label)
    )
    concept: Resource = {}
    if mark and value and value != "text" and system:
        concept["coding"] = [{"system": system, "code": value} | ({"display": text} if text else {})]
    concept["text"] = text or code
    return concept


def _period(row: Row) -> Resource:
    start, end = _when(row), _when(row, "end_time")
    return ({"start": start} if start else {}) | ({"end": end} if end else {})


def _span(one: Resource, row: Row, stem: str) -> None:
    """A time, or a period if the end is known."""
    if row["end_time"] is not None and row["time"] is not None and row["end_time"] > row["time"]:
        one[f"{stem}Period"] = _period(row)
    elif row["time"] is not None:
        one[f"{stem}DateTime"] = _when(row)


def _encounter(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    said = str(row["text_value"] or "")
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": said, "display": CLASSES.get(said)}
    unknown = {"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "UNK", "display": "unknown"}
    status = "finished" if row["end_time"] is not None else "unknown"
    one |= {"status": status, "class": coding if said in CLASSES else unknown, "type": [concept], "subject": patient}
    if row["time"] is not None:
        one["period"] = _period(row)
    return one


def _condition(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    state = "resolved" if row["end_time"] is not None else "active"
    one |= {"clinicalStatus": {"coding": [{"system": CLINICAL, "code": state}]}, "code": concept, "subject": patient}
    if row["time"] is not None:
        one["onsetDateTime"] = _when(row)
    if row["end_time"] is not None:
        one["abatementDateTime"] = _when(row, "end_time")
    return one


def _observation(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    one |= {"status": "unknown", "code": concept, "subject": patient}
    _span(one, row, "effective")
    number, text = row["numeric_value"], row["text_value"]
    if number is not None:
        written = str(row["value_text"] or "")
        value = (
            ExactNumber(written)
            if DECIMAL.fullmatch(written)
            else ExactNumber(np.format_float_positional(np.float32(number), trim="-"))
        )
        quantity: Resource = {"value": value}
        if row["unit"]:
            quantity["unit"] = row["unit"]
        if text in OPERATORS:
            quantity["comparator"] = text
        one["valueQuantity"] = quantity
    elif text:
        one["valueString"] = text
    return one


def _procedure(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    one |= {"status": "unknown", "code": concept, "subject": patient}
    _span(one, row, "performed")
    return one


def _request(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    one |= {"status": "unknown", "intent": "order", "medicationCodeableConcept": concept, "subject": patient}
    if row["time"] is not None:
        one["authoredOn"] = _when(row)
    return one


def _statement(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    one |= {"status": "unknown", "medicationCodeableConcept": concept, "subject": patient}
    _span(one, row, "effective")
    return one


def _immunization(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    one |= {"status": "completed", "vaccineCode": concept, "patient": patient}
    one |= {"occurrenceString": "unknown"} if row["time"] is None else {"occurrenceDateTime": _when(row)}
    return one


def _allergy(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
    one |= {"clinicalStatus": {"coding": [{"system": system, "code": "active"}]}, "code": concept, "patient": patient}
    if row["time"] is not None:
        one["onsetDateTime"] = _when(row)
    return one


def _document(one: Resource, row: Row, patient: Resource, concept: Resource) -> Resource:
    data = base64.b64encode(str(row["text_value"] or "").encode()).decode()
    attachment = {"contentType": "text/plain; charset=utf-8", "data": data} if data else {"title": "not kept"}
    one |= {"status": "current", "type": concept, "subject": patient, "content": [{"attachment": attachment}]}
    if row["time"] is not None:
        at = _when(row) or ""
        one["date"] = at if "T" in at else f"{at}T00:00:00Z"
    return one


_FILL = {
    "AllergyIntolerance": _allergy, "Condition": _condition, "DocumentReference": _document, "Encounter": _encounter,
    "Immunization": _immunization, "MedicationRequest": _request, "MedicationStatement": _statement,
    "Observation": _observation, "Procedure": _procedure,
}  # fmt: skip
