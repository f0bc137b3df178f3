"""R4's profiles of vital signs, each with the smallest Observation that has it, and one change that it forbids."""

import copy
from typing import Any

import pytest

from galenic.records.fhir import check_profiles, validate_resource

BASE = "http://hl7.org/fhir/StructureDefinition/"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def concept(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}]}


def quantity(code: str) -> dict[str, Any]:
    return {"value": 1, "unit": code, "system": UCUM, "code": code}


def vital(profile: str, code: str, **more: Any) -> dict[str, Any]:
    category = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}
    return {
        "resourceType": "Observation", "meta": {"profile": [BASE + profile]}, "status": "final", "category": [category],
        "code": concept(code), "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2020-01-01", **more,
    }  # fmt: skip


WEIGHT = vital("bodyweight", "29463-7", valueQuantity=quantity("kg"))
BMI = vital("bmi", "39156-5", valueQuantity=quantity("kg/m2"))
PRESSURE = vital(
    "bp", "85354-9",
    component=[{"code": concept(c), "valueQuantity": quantity("mm[Hg]")} for c in ("8480-6", "8462-4")],
)  # fmt: skip
PANEL = vital("vitalspanel", "85353-1", hasMember=[{"reference": "Observation/1"}])
ANY = vital("vitalsigns", "8867-4", valueQuantity=quantity("/min"))


def rules(resource: dict[str, Any]) -> list[tuple[str, str]]:
    assert not validate_resource(resource)
    return [(i.rule, i.expression) for i in check_profiles(resource, is_valid=True)]


@pytest.mark.parametrize(
    "resource", [WEIGHT, BMI, PRESSURE, PANEL, ANY], ids=lambda r: r["meta"]["profile"][0].rpartition("/")[2]
)
def test_a_vital_sign_has_its_profile(resource: dict[str, Any]) -> None:
    assert rules(resource) == []


@pytest.mark.parametrize(
    ("resource", "path", "value", "rule", "where"),
    [
        (WEIGHT, "category", ..., "profile", "Observation.category"),
        (WEIGHT, "subject", ..., "profile", "Observation.subject"),
        (WEIGHT, "effectiveDateTime", ..., "profile", "Observation.effective"),
        (WEIGHT, "effectiveDateTime", "2020-01", "vs-1", "Observation.effectiveDateTime"),
        (WEIGHT, "valueQuantity", ..., "vs-2", "Observation"),
        (WEIGHT, "code/coding/0/code", "8302-2", "profile", "Observation.code"),
        (WEIGHT, "valueQuantity/unit", ..., "profile", "Observation.valueQuantity"),
        (WEIGHT, "valueQuantity/code", "cm", "profile", "Observation.valueQuantity.code"),
        (WEIGHT, "valueQuantity/system", "http://example.org", "profile", "Observation.valueQuantity.system"),
        (PRESSURE, "component/1", ..., "profile", "Observation.component"),
        (PRESSURE, "component/0/valueQuantity", ..., "vs-3", "Observation.component[0]"),
        (PRESSURE, "component/0/valueQuantity/code", "kPa", "profile", "Observation.component[0].valueQuantity.code"),
        (PRESSURE, "valueQuantity", quantity("mm[Hg]"), "profile", "Observation.valueQuantity"),
        (PANEL, "valueString", "x", "profile", "Observation.value"),
        (ANY, "category/0/coding/0/code", "laboratory", "profile", "Observation.category"),
    ],
)
def test_what_a_profile_forbids_is_named(resource: dict[str, Any], path: str, value: Any, rule: str, where: str) -> None:
    changed = copy.deepcopy(resource)
    *steps, last = [int(s) if s.isdigit() else s for s in path.split("/")]
    node: Any = changed
    for step in steps:
        node = node[step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    assert (rule, where) in rules(changed)


def test_a_body_mass_index_needs_its_value_and_a_weight_may_say_why_it_has_none() -> None:
    absent = {"dataAbsentReason": {"text": "refused"}}
    assert rules({**{k: v for k, v in WEIGHT.items() if k != "valueQuantity"}, **absent}) == []
    assert rules({**{k: v for k, v in BMI.items() if k != "valueQuantity"}, **absent}) == [
        ("profile", "Observation.valueQuantity")
    ]


def test_a_profile_is_for_its_own_type_and_is_checked_wherever_it_is_claimed() -> None:
    patient = {"resourceType": "Patient", "meta": {"profile": [BASE + "bodyweight"]}}
    assert rules(patient) == [("profile-type", "Patient")]
    inside = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {**WEIGHT, "subject": {"display": "x"}, "code": concept("1-8")}}],
    }
    assert rules(inside) == [("profile", "Bundle.entry[0].resource.code")]
    assert [i.rule for i in check_profiles({"resourceType": "Patient"}, [BASE + "bp"], is_valid=True)] == ["profile-type"]
