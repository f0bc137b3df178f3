"""Conversion of valid R4 resources to events of one patient. Elements without a matching event are dropped and counted."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from galenic.schema import BIRTH, DEATH, Event

Resource = dict[str, Any]
Find = Callable[[str], Resource | None]
SYSTEMS = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/atc": "ATC",
    "http://www.whocc.no/atc": "ATC",
    "http://www.ama-assn.org/go/cpt": "CPT",
    "http://unitsofmeasure.org": "UCUM",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
    "urn:oid:2.16.840.1.113883.6.238": "CDCREC",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class EventElements:
    """Elements of a type that an event is made of. time, end: in the order of preference, choice elements by their stem."""

    subject: str
    code: tuple[str, ...]
    time: tuple[str, ...]
    end: tuple[str, ...] = ()
    encounter: str = "encounter"
    text: tuple[str, ...] = ()


EVENT_ELEMENTS = {
    "AllergyIntolerance": EventElements("patient", ("code",), ("onset", "recordedDate"), text=("criticality",)),
    "CarePlan": EventElements("subject", ("category",), ("period", "created"), text=("status",)),
    "CareTeam": EventElements("subject", ("category",), ("period",), text=("status",)),
    "Claim": EventElements("patient", ("type",), ("billablePeriod", "created")),
    "ClinicalImpression": EventElements("subject", ("code",), ("effective", "date")),
    "Communication": EventElements("subject", ("category",), ("sent", "received")),
    "Condition": EventElements("subject", ("code",), ("onset", "recordedDate"), ("abatement",)),
    "Consent": EventElements("patient", ("scope",), ("dateTime",), text=("status",)),
    "Coverage": EventElements("beneficiary", ("type",), ("period",)),
    "Device": EventElements("patient", ("type",), ("manufactureDate",), ("expirationDate",)),
    "DeviceRequest": EventElements("subject", ("code",), ("occurrence", "authoredOn")),
    "DeviceUseStatement": EventElements("subject", ("bodySite",), ("timing", "recordedOn")),
    "DiagnosticReport": EventElements("subject", ("code",), ("effective", "issued"), text=("status",)),
    "DocumentReference": EventElements("subject", ("type", "category"), ("date",), text=("status",)),
    "Encounter": EventElements("subject", ("type", "class"), ("period",), text=("class",)),
    "EpisodeOfCare": EventElements("patient", ("type",), ("period",)),
    "ExplanationOfBenefit": EventElements("patient", ("type",), ("billablePeriod", "created")),
    "FamilyMemberHistory": EventElements("patient", ("relationship",), ("date",)),
    "Flag": EventElements("subject", ("code",), ("period",)),
    "Goal": EventElements("subject", ("description",), ("start", "statusDate"), text=("lifecycleStatus",)),
    "ImagingStudy": EventElements("subject", ("procedureCode", "modality"), ("started",)),
    "Immunization": EventElements("patient", ("vaccineCode",), ("occurrence",), text=("status",)),
    "MedicationAdministration": EventElements(
        "subject", ("medication",), ("effective",), encounter="context", text=("status",)
    ),
    "MedicationDispense": EventElements("subject", ("medication",), ("whenHandedOver", "whenPrepared"), encounter="context"),
    "MedicationRequest": EventElements("subject", ("medication",), ("authoredOn",), text=("status",)),
    "MedicationStatement": EventElements("subject", ("medication",), ("effective", "dateAsserted"), encounter="context"),
    "NutritionOrder": EventElements("patient", ("foodPreferenceModifier",), ("dateTime",)),
    "Observation": EventElements("subject", ("code",), ("effective", "issued")),
    "Procedure": EventElements("subject", ("code",), ("performed",), text=("status",)),
    "QuestionnaireResponse": EventElements("subject", (), ("authored",)),
    "RiskAssessment": EventElements("subject", ("code",), ("occurrence",)),
    "ServiceRequest": EventElements("subject", ("code",), ("occurrence", "authoredOn"), text=("status",)),
    "Specimen": EventElements("subject", ("type",), ("receivedTime",)),
    "SupplyDelivery": EventElements("patient", ("type",), ("occurrence",)),
}
ENTERED_IN_ERROR = "entered-in-error"


@dataclass
class ConvertedEvents:
    """Events of one resource. patient: reference to the patient; None for a resource about no patient (an organization, a
    location); dropped: number of elements without a matching event, by element."""

    patient: str | None
    events: list[Event] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, what: str) -> None:
        """Counts an element without a matching event."""
        self.dropped[what] = self.dropped.get(what, 0) + 1


def resource_to_events(
    resource: Resource,
    find: Find = lambda _reference: None,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> ConvertedEvents:
    """Events of one valid resource (numbers as text, as `parse(...).exact` has them).

    find: returns the target of a reference, if available, because a medication is often a separate resource. renamed: targets
    of references.
    """
    kind = resource["resourceType"]
    own = f"{kind}/{resource['id']}" if "id" in resource else kind
    if kind == "Patient":
        return _patient(resource, own)
    spec = EVENT_ELEMENTS.get(kind)
    if spec is None:
        found = ConvertedEvents(None)
        found.drop(kind)
        return found
    found = ConvertedEvents(resource.get(spec.subject, {}).get("reference"))
    if found.patient is None:
        found.drop(f"{kind} without a patient")
    elif _in_error(resource):
        found.drop(f"{kind} entered in error")
    else:
        base = _base_event(resource, own, spec, found, (find, renamed))
        found.events += _observed(resource, base, found) if kind == "Observation" else [base]
        if base.code.endswith("//text"):
            found.drop(f"{kind}: text without a code")
    return found


def _base_event(
    resource: Resource, own: str, spec: EventElements, found: ConvertedEvents, references: tuple[Find, Mapping[str, str]]
) -> Event:
    """The event of a resource without its value. references: find and renamed of resource_to_events."""
    (find, renamed), kind = references, resource["resourceType"]
    start, end, offset, precise = _when(resource, spec)
    if start is None:
        found.drop(f"{kind} without a time")
    elif not precise:
        found.drop(f"{kind}: month or day of the time")
    given = resource.get(spec.encounter)
    encounter = given.get("reference") if isinstance(given, dict) else None
    encounter = own if kind == "Encounter" else renamed.get(str(encounter), encounter)
    code, system = _code(resource, spec, lambda name: find(renamed.get(name, name)))
    text = next((_plain(resource[t]) for t in spec.text if t in resource), None)
    return Event(start, code, None, text, end, system, None, None, offset, encounter, own)


def _in_error(resource: Resource) -> bool:
    if resource.get("status") == ENTERED_IN_ERROR:
        return True
    codings = (
        resource.get("verificationStatus", {}).get("coding", ()) if isinstance(resource.get("verificationStatus"), dict) else ()
    )
    return any(c.get("code") == ENTERED_IN_ERROR for c in codings)


def _patient(resource: Resource, own: str) -> ConvertedEvents:
    found = ConvertedEvents(own)
    birth = _moment(resource.get("birthDate"))
    if birth is not None:
        found.events.append(Event(birth.start, BIRTH, source_ref=own))
    dead = _moment(resource.get("deceasedDateTime"))
    if dead is not None:
        found.events.append(Event(dead.start, DEATH, utc_offset=dead.offset, source_ref=own))
    elif resource.get("deceasedBoolean") is True:
        found.events.append(Event(None, DEATH, source_ref=own))
    if "gender" in resource:
        found.events.append(Event(None, f"GENDER//{resource['gender']}", source_ref=own))
    if "maritalStatus" in resource:
        code, system = _concept(resource["maritalStatus"], "MARITAL_STATUS")
        found.events.append(Event(None, code, code_system=system, source_ref=own))
    for extension in resource.get("extension", ()):
        _extension(extension, own, found)
    for name in ("name", "address", "telecom", "identifier", "contact", "communication", "photo"):
        if name in resource:
            found.drop(f"Patient.{name}")
    return found


def _extension(extension: Resource, own: str, found: ConvertedEvents) -> None:
    """US Core's race and ethnicity; other extensions are dropped and counted."""
    label = {"us-core-race": "RACE", "us-core-ethnicity": "ETHNICITY"}.get(str(extension.get("url", "")).rpartition("/")[2])
    if label is None:
        found.drop("Patient.extension")
        return
    for inner in extension.get("extension", ()):
        if inner.get("url") == "ombCategory" and "valueCoding" in inner:
            code, system = _concept({"coding": [inner["valueCoding"]]}, label)
            found.events.append(Event(None, f"{label}//{code}", code_system=system, source_ref=own))


def _code(resource: Resource, spec: EventElements, find: Callable[[str], Resource | None]) -> tuple[str, str | None]:
    kind = resource["resourceType"]
    for name in spec.code:
        value = resource.get(name)
        if name == "medication":
            value = _medication(resource, find)
        if isinstance(value, list):
            value = value[0]
        if isinstance(value, dict) and "code" in value and "coding" not in value and "text" not in value:
            value = {"coding": [value]}  # Encounter.class, ImagingStudy.modality
        if value:
            return _concept(value, kind)
    return kind, None


def _medication(resource: Resource, find: Callable[[str], Resource | None]) -> Any:
    if "medicationCodeableConcept" in resource:
        return resource["medicationCodeableConcept"]
    name = resource.get("medicationReference", {}).get("reference", "")
    if name.startswith("#"):
        inside = next((c for c in resource.get("contained", ()) if c.get("id") == name[1:]), None)
    else:
        inside = find(name) if name else None
    return (inside or {}).get("code") or ({"text": "unresolved"} if name else None)


def _concept(concept: Any, otherwise: str) -> tuple[str, str | None]:
    """SYSTEM//code of the first coding that has one, and its system's URI."""
    for coding in concept.get("coding", ()) if isinstance(concept, dict) else ():
        if "code" in coding:
            system = coding.get("system")
            return short_code(system, coding["code"], otherwise), system
    return f"{otherwise}//text", None


@lru_cache(100_000)
def short_code(system: str | None, code: str, otherwise: str = "") -> str:
    """SYSTEM//code, the form of codes in events."""
    return f"{SYSTEMS.get(system or '', _short(system)) or otherwise}//{code}"


def _short(system: str | None) -> str:
    return (system or "").rstrip("/").rpartition("/")[2].rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Moment:
    """A FHIR date or time: its first and last microsecond (UTC; days without a clock as they are), and the offset stated."""

    start: int
    end: int
    offset: int | None
    precise: bool  # at least to the day


def _moment(text: Any) -> Moment | None:
    return _read(text) if isinstance(text, str) else None


@lru_cache(100_000)  # events of one encounter often have the same time
def _read(text: str) -> Moment:
    if len(text) <= 10:
        parts = [int(p) for p in text.split("-")]
        first = date(parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1)
        if len(parts) == 1:
            after = date(min(parts[0] + 1, 9999), 1, 1)
        elif len(parts) == 2:
            after = date(min(parts[0] + parts[1] // 12, 9999), parts[1] % 12 + 1, 1)
        else:
            return Moment(start := _days(first), start + DAY - 1, None, True)
        return Moment(_days(first), _days(after) - 1, None, False)
    stated = datetime.fromisoformat(text.replace(":60", ":59", 1) if text[17:19] == "60" else text)
    shift = stated.utcoffset()
    since = stated.replace(tzinfo=UTC) - EPOCH if shift is None else stated - EPOCH
    at = since.days * DAY + since.seconds * 1_000_000 + since.microseconds
    return Moment(at, at, None if shift is None else shift.days * 1_440 + shift.seconds // 60, True)


def _days(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


@cache
def _names(stems: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """The elements of each stem that hold an instant, and those that hold a period."""
    return tuple(((s, s + "DateTime", s + "Date", s + "Instant"), (s, s + "Period")) for s in stems)


def _when(resource: Resource, spec: EventElements) -> tuple[int | None, int | None, int | None, bool]:
    """(start, end, offset, True if known to the day) from the first element of the spec that has a value."""
    for moments, periods in _names(spec.time):
        for name in moments:
            moment = _moment(resource.get(name))
            if moment is not None:
                return moment.start, _end(resource, spec), moment.offset, moment.precise
        for name in periods:
            period = resource.get(name)
            if isinstance(period, dict) and ("start" in period or "end" in period):
                start, end = _moment(period.get("start")), _moment(period.get("end"))
                first = start or end
                assert first is not None
                return first.start, end.end if end else _end(resource, spec), first.offset, first.precise
    return None, None, None, True


def _end(resource: Resource, spec: EventElements) -> int | None:
    for stem in spec.end:
        for name in (stem, stem + "DateTime"):
            moment = _moment(resource.get(name))
            if moment is not None:
                return moment.end
    return None


def _observed(resource: Resource, base: Event, found: ConvertedEvents) -> Iterator[Event]:
    parts, name = resource.get("component", ()), _value_of(resource)
    if name or not parts:
        yield _valued(resource, name, base, found)
    for part in parts:
        code, system = _concept(part["code"], "Observation")
        yield _valued(part, _value_of(part), base._replace(code=code, code_system=system), found)


def _value_of(node: Resource) -> str:
    """The name of the value[x] element; empty if there is none."""
    for name in node:
        if name[:5] == "value":
            return name
    return ""


def _valued(node: Resource, name: str, base: Event, found: ConvertedEvents) -> Event:
    if not name:
        reason = node.get("dataAbsentReason")
        return base._replace(text_value=f"absent: {_concept(reason, 'text')[0]}" if reason else None)
    value = node[name]
    if name == "valueQuantity":
        return _quantity(value, base)
    if name == "valueInteger":
        return base._replace(numeric_value=float(value), value_text=str(value))
    if name == "valueCodeableConcept":
        code, _system = _concept(value, "text")
        return base._replace(text_value=value.get("text") if code == "text//text" else code)
    if name == "valueRatio":
        return base._replace(text_value="/".join(str(value.get(p, {}).get("value", "?")) for p in ("numerator", "denominator")))
    if name == "valueRange":
        return base._replace(text_value="–".join(str(value.get(p, {}).get("value", "")) for p in ("low", "high")))
    if name == "valuePeriod":
        return base._replace(text_value=f"{value.get('start', '')}/{value.get('end', '')}")
    if name == "valueSampledData":
        found.drop("Observation.valueSampledData")
        return base
    return base._replace(text_value=_plain(value))


def _quantity(value: Resource, base: Event) -> Event:
    if "value" not in value:
        return base
    text = str(value["value"])
    unit = value.get("code") if value.get("system") == "http://unitsofmeasure.org" else None
    return base._replace(
        numeric_value=float(text), value_text=text, unit=unit or value.get("unit"), text_value=value.get("comparator")
    )


def _plain(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return value.get("code") or _concept(value, "text")[0]
    return str(value)
