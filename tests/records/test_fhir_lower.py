"""From resources to events: what maps, what is dropped and counted, and times as the source stated them."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from galenic.records.fhir import parse, read_ndjson, resource_to_events, validate_resource
from galenic.records.fhir.to_events import EVENT_ELEMENTS
from galenic.schema import BIRTH, DEATH, TIMELINE, Event

MINUTE = 60_000_000
CODE = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def observation(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": CODE,
        "subject": {"reference": "Patient/p"},
        **more,
    }


def test_a_measurement_keeps_its_number_unit_time_and_offset() -> None:
    raw = (
        b'{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},'
        b'"subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/e"},"effectiveDateTime":"2020-06-01T10:00:00+02:00",'
        b'"valueQuantity":{"value":120.50,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}'
    )
    document = parse(raw)
    assert not validate_resource(document.resource)
    found = resource_to_events(document.exact)
    assert found.patient == "Patient/p"
    assert found.events == [
        Event(
            at("2020-06-01T08:00:00"), "LOINC//8480-6", 120.5, None, None, "http://loinc.org", "mm[Hg]", "120.50", 120,
            "Encounter/e", "Observation/o",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stated", "start", "dropped"),
    [
        ("2020", "2020-01-01T00:00:00", True),
        ("2020-02", "2020-02-01T00:00:00", True),
        ("2020-02-29", "2020-02-29T00:00:00", False),
        ("2020-02-29T23:59:60Z", "2020-02-29T23:59:59", False),
        ("1890-02-28T12:00:00-05:00", "1890-02-28T17:00:00", False),
    ],
)
def test_a_time_is_the_first_moment_of_what_was_stated(stated: str, start: str, dropped: bool) -> None:
    found = resource_to_events(observation(effectiveDateTime=stated))
    assert found.events[0].time == at(start)
    assert bool(found.dropped) == dropped


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        ({"valueQuantity": {"value": 5, "comparator": "<", "unit": "mg"}}, 5.0, "<"),
        ({"valueInteger": 7}, 7.0, None),
        ({"valueString": "cloudy"}, None, "cloudy"),
        ({"valueBoolean": True}, None, "true"),
        (
            {"valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "260373001"}]}},
            None,
            "SNOMED//260373001",
        ),
        ({"valueCodeableConcept": {"text": "positive"}}, None, "positive"),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 32}}}, None, "1/32"),
        ({"valueRange": {"low": {"value": 1}, "high": {"value": 3}}}, None, "1–3"),
        ({"dataAbsentReason": {"coding": [{"code": "unknown"}]}}, None, "absent: text//unknown"),
        ({}, None, None),
    ],
)
def test_values_of_every_form(value: dict[str, Any], number: float | None, text: str | None) -> None:
    (event,) = resource_to_events(observation(effectiveDateTime="2020-01-01", **value)).events
    assert (event.numeric_value, event.text_value) == (number, text)


def test_components_are_events_of_their_own() -> None:
    parts = [
        {"code": {"coding": [{"system": "http://loinc.org", "code": c}]}, "valueInteger": v} for c, v in (("a", 1), ("b", 2))
    ]
    found = resource_to_events(observation(effectiveInstant="2020-01-01T00:00:00Z", component=parts))
    assert [(e.code, e.numeric_value) for e in found.events] == [("LOINC//a", 1.0), ("LOINC//b", 2.0)]


def test_a_condition_ends_when_it_abates() -> None:
    found = resource_to_events(
        {
            "resourceType": "Condition",
            "subject": {"reference": "Patient/p"},
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
            "onsetDateTime": "2019-01-01",
            "abatementDateTime": "2020-02",
        }
    )
    assert found.events[0].code == "SNOMED//44054006"
    assert found.events[0].end_time == at("2020-03-01T00:00:00") - 1


def test_a_medication_is_found_where_it_stands() -> None:
    drug = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]}
    request = {
        "resourceType": "MedicationRequest",
        "subject": {"reference": "Patient/p"},
        "authoredOn": "2020-01-01",
        "status": "active",
    }
    inside = {
        **request,
        "contained": [{"resourceType": "Medication", "id": "m", "code": drug}],
        "medicationReference": {"reference": "#m"},
    }
    beside = {**request, "medicationReference": {"reference": "Medication/m"}}
    known = {"Medication/m": {"resourceType": "Medication", "id": "m", "code": drug}}
    assert [
        resource_to_events(r, known.get).events[0].code
        for r in ({**request, "medicationCodeableConcept": drug}, inside, beside)
    ] == ["RxNorm//860975"] * 3
    assert resource_to_events(beside).dropped == {"MedicationRequest: text without a code": 1}


def test_a_patient_is_born_and_dies_and_identifiers_stay_behind() -> None:
    found = resource_to_events(
        {
            "resourceType": "Patient",
            "id": "p",
            "name": [{"family": "Quillfeather"}],
            "birthDate": "1950-05-05",
            "deceasedDateTime": "2020-01-01T00:00:00Z",
            "gender": "female",
        }
    )
    assert [e.code for e in found.events] == [BIRTH, DEATH, "GENDER//female"]
    assert found.dropped == {"Patient.name": 1}
    assert "Quillfeather" not in str(found)


def test_what_is_nobodys_or_an_error_makes_no_event() -> None:
    assert resource_to_events({"resourceType": "Organization", "name": "x"}).dropped == {"Organization": 1}
    wrong = {"coding": [{"code": "entered-in-error"}]}
    assert not resource_to_events(
        {"resourceType": "Condition", "subject": {"reference": "Patient/p"}, "verificationStatus": wrong}
    ).events
    assert not resource_to_events(observation(status="entered-in-error")).events
    assert resource_to_events({"resourceType": "Observation", "status": "final", "code": CODE}).dropped == {
        "Observation without a patient": 1
    }


def test_the_timeline_is_meds_with_columns_beside() -> None:
    meds = pytest.importorskip("meds")
    for field in meds.DataSchema.schema():
        assert TIMELINE.field(field.name).type == field.type
    assert [f for f in TIMELINE.names if f not in ("subject_id", "ingest_id")] == list(
        dict.fromkeys(n for n in TIMELINE.names if n in Event._fields)
    )
    assert pa.types.is_timestamp(TIMELINE.field("time").type)


def test_every_resource_of_a_patient_in_synthea_becomes_events(data: Path) -> None:
    counted: Counter[str] = Counter()
    made: Counter[str] = Counter()
    for path in sorted((data / "ehr" / "synthea-bulk-10").glob("*.ndjson*")):
        for line in read_ndjson(path):
            assert line.document is not None
            kind = line.document.resource["resourceType"]
            found = resource_to_events(line.document.exact)
            counted[kind] += 1
            made[kind] += bool(found.events)
            if found.events and kind != "Patient":
                assert all(e.code and "//" in e.code for e in found.events)
                assert kind == "Device" or all(e.time is not None for e in found.events)
    nobodys = {"Location", "Organization", "Practitioner", "PractitionerRole"}
    assert {k: n for k, n in made.items() if n} == {k: n for k, n in counted.items() if k not in nobodys}


def test_the_published_table_says_what_maps() -> None:
    page = (
        (Path(__file__).parents[2] / "docs" / "mapping.md")
        .read_text(encoding="utf-8")
        .partition("## Conversion from events")[0]
    )
    rows = {
        cells[1]: cells
        for line in page.splitlines()
        if line.startswith("| ") and (cells := [c.strip() for c in line.split("|")])
    }
    for kind, spec in EVENT_ELEMENTS.items():
        cells = rows[kind]
        assert cells[2] == spec.subject
        assert cells[3] == (", ".join(spec.code) or "(the type)")
        assert cells[4] == ", ".join(spec.time)
    assert set(EVENT_ELEMENTS) <= set(rows)
