"""Answers to questions about an age, a birth, a name or a place do not come out, in several languages and units."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from galenic.privacy import text
from galenic.privacy.deidentification import FhirRules, deidentify_resource
from galenic.privacy.deidentification.rules.ccda import deidentify_ccda
from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules


def fhir(resource: dict[str, Any]) -> str:
    detector = text.load_detector("en")
    replacer = text.Replacer(text.read_policy("safe-harbor"), b"k" * 32, text.state_names())
    return json.dumps(deidentify_resource(resource, FhirRules(detector, replacer, b"t" * 32)))


def answered(question: str, **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": "1", "text": question, "answer": [value]}],
    }


def observed(question: str, **value: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": question}, **value}


def coded(code: str, **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        **value,
    }


@pytest.mark.parametrize("make", [answered, observed])
@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("Age", {"valueInteger": 94}),
        ("Edad", {"valueInteger": 94}),
        ("Alter", {"valueQuantity": {"value": 94, "unit": "Jahre"}}),
        ("Âge", {"valueDecimal": 94.5}),
        ("Patient age", {"valueString": "94"}),
        ("Year of birth", {"valueInteger": 1931}),
        ("Year of birth", {"valueString": "1931"}),
        ("Geburtsjahr", {"valueInteger": 1931}),
    ],
)
def test_an_age_above_89_or_such_a_year_of_birth_does_not_come_out(make: Any, question: str, value: dict[str, Any]) -> None:
    out = fhir(make(question, **value))
    assert "94" not in out
    assert "1931" not in out


def test_a_unit_in_another_language_hides_no_age() -> None:
    assert "94" not in fhir(coded("30525-0", valueQuantity={"value": 94, "unit": "Jahre"}))


@pytest.mark.parametrize(
    ("question", "number"),
    [("Age", 88), ("Year of birth", 1988), ("BMI percentile per age", 95), ("Weight", 94), ("Average score", 95)],
)
def test_other_numbers_stay(question: str, number: int) -> None:
    assert str(number) in fhir(observed(question, valueInteger=number))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Name of your mother", "Hope Young"),
        ("City", "Reading"),
        ("Place of birth", "Mobile"),
        ("Nombre", "Rosa"),
        ("Wohnort", "Essen"),
    ],
)
def test_an_answer_about_a_person_or_place_is_left_out(question: str, answer: str) -> None:
    assert answer not in fhir(answered(question, valueString=answer))
    assert answer not in fhir(observed(question, valueCodeableConcept={"text": answer}))


def test_an_answer_about_a_drugs_name_stays() -> None:
    assert "Metformin" in fhir(answered("Name of medication", valueString="Metformin"))


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ('code="30525-0" codeSystem="2.16.840.1.113883.6.1"', '<value xsi:type="ST">94</value>'),
        ('code="30525-0" codeSystem="2.16.840.1.113883.6.1"', '<value xsi:type="PQ" value="94" unit="Jahre"/>'),
        ('displayName="Edad"', '<value xsi:type="INT" value="94"/>'),
        ('displayName="Year of birth"', '<value xsi:type="ST">1931</value>'),
        ('displayName="Year of birth"', '<value xsi:type="INT" value="1931"/>'),
        ('displayName="City"', '<value xsi:type="ST">Reading</value>'),
    ],
)
def test_a_value_of_a_c_cda_observation_that_tells_an_age_or_a_place_does_not_come_out(code: str, value: str) -> None:
    head = '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    root = ElementTree.fromstring(f"{head}<observation><code {code}/>{value}</observation></ClinicalDocument>")
    detector = text.load_detector("en")
    replacer = text.Replacer(text.read_policy("safe-harbor"), b"k" * 32, text.state_names())
    out = ElementTree.tostring(deidentify_ccda(root, CcdaRules(detector, replacer, b"t" * 32)), encoding="unicode")
    assert not any(one in out for one in ('"94"', ">94<", "1931", "Reading"))


@pytest.mark.parametrize(("system", "code"), [("umls/rxnorm", "4155552"), ("sid/ndc", "04155552671")])
def test_a_telephone_number_is_no_code_of_a_drug(system: str, code: str) -> None:
    address = {"umls/rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm", "sid/ndc": "http://hl7.org/fhir/sid/ndc"}[system]
    assert code not in fhir({"resourceType": "Medication", "code": {"coding": [{"system": address, "code": code}]}})


@pytest.mark.parametrize("value", [{"valueDecimal": 90210.5}, {"valueQuantity": {"value": 90210, "unit": "kg"}}])
def test_a_number_of_five_digits_is_no_weight(value: dict[str, Any]) -> None:
    assert "90210" not in fhir(answered("Result", **value))


def test_drugs_and_counts_keep_their_numbers() -> None:
    assert "0071-0155-23" in fhir(
        {"resourceType": "Medication", "code": {"coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "0071-0155-23"}]}}
    )
    assert "150000" in fhir(observed("Platelets", valueQuantity={"value": 150000, "unit": "/uL"}))
