"""FHIR de-identification fails closed: no identifier planted at any element of any resource type comes out; clinical values do."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from fhir_places_made import FORMS, STATED, found_in, places, planted
from galenic.privacy import deidentification, text
from galenic.privacy.deidentification import DeidentificationOptions, FhirRules, deidentify_resource

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"


def rules(policy: str = "safe-harbor") -> FhirRules:
    detector = text.load_detector("en")
    replacer = text.Replacer(text.read_policy(policy), b"k" * 32, text.state_names())
    return FhirRules(detector, replacer, b"t" * 32, text.StatedIdentifiers(STATED, detector.common))


def cleaned(resource: dict[str, Any], policy: str = "safe-harbor") -> dict[str, Any]:
    return deidentify_resource(resource, rules(policy))


def leaks(policy: str, start: int, step: int) -> tuple[int, list[tuple[str, ...]]]:
    own = rules(policy)
    tried, out = 0, []
    for number, (resource, trail, primitive) in itertools.islice(enumerate(places()), start, None, step):
        value = FORMS[primitive][(number // step + number) % len(FORMS[primitive])]
        found = found_in(deidentify_resource(planted(resource, trail, value), own))
        out += [(resource, *(name for name, _ in trail), found[0])] if found else []
        tried += 1
    return tried, out


@pytest.mark.parametrize("policy", ["safe-harbor", "expert"])
def test_no_identifier_planted_at_an_element_comes_out(policy: str) -> None:
    tried, out = leaks(policy, 0 if policy == "expert" else 3, 7)
    assert tried > 5_000
    assert out == []


@pytest.mark.slow
@pytest.mark.parametrize("start", range(4))
def test_no_identifier_planted_at_any_element_comes_out(start: int) -> None:
    tried, out = leaks("safe-harbor", start, 4)
    assert tried > 10_000
    assert out == []


def test_unknown_elements_extensions_and_extensions_of_primitives_are_left_out() -> None:
    race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
    secret = {"url": "http://example.org/qwexibor", "valueString": "Qwexibor"}
    known = {
        "url": race,
        "extension": [{"url": "ombCategory", "valueCoding": {"system": "urn:x:qwexibor", "code": "ZANTUVEL"}}],
    }
    known["extension"] += [{"url": "text", "valueString": "Qwexibor"}]
    patient = {
        "resourceType": "Patient",
        "qwexibor": "Zantuvel",
        "extension": [secret, known],
        "modifierExtension": [secret],
        "gender": "female",
        "_gender": {"id": "qwexibor", "extension": [secret]},
        "_birthDate": {"extension": [secret]},
        "contained": [{"resourceType": "Basic", "id": "zantuvel", "extension": [secret]}, {"resourceType": "Qwexibor"}],
    }
    own = rules()
    out = deidentify_resource(patient, own)
    assert found_in(out) == []
    assert out["gender"] == "female"
    assert sum(own.omissions.values()) >= 6
    assert not any("qwexibor" in path for path in own.omissions)


def test_a_reference_by_address_a_search_or_an_unknown_type_becomes_a_token() -> None:
    given = (
        "https://h/fhir/Patient/qwexibor",
        "Qwexibor/zantuvel",
        "Patient?identifier=Qwexibor",
        "urn:uuid:qwexibor",
        "#zantuvel",
    )
    out = [cleaned({"resourceType": "Observation", "subject": {"reference": r, "type": "Qwexibor"}}) for r in given]
    assert [found_in(one) for one in out] == [[]] * len(given)
    plain = cleaned({"resourceType": "Observation", "subject": {"reference": "Patient/qwexibor"}})
    assert out[0] == plain


def observation(code: str, **value: Any) -> dict[str, Any]:
    coding = {"system": LOINC, "code": code}
    return {"resourceType": "Observation", "status": "final", "code": {"coding": [coding]}, **value}


@pytest.mark.parametrize(
    "resource",
    [
        observation("30525-0", valueQuantity={"value": 94, "unit": "a", "system": UCUM, "code": "a"}),
        observation("21612-7", valueQuantity={"value": 1128, "unit": "mo", "system": UCUM, "code": "mo"}),
        observation("8302-2", valueQuantity={"value": 34128, "unit": "d", "system": UCUM, "code": "d"}),
        observation("29553-5", valueQuantity={"value": 94}),
        observation("30525-0", valueInteger=94),
        observation("30525-0", valueString="94"),
        observation("30525-0", component=[{"code": {"text": "Age"}, "valueQuantity": {"value": 94, "unit": "years"}}]),
        observation("30525-0", component=[{"code": {"text": "value"}, "valueInteger": 94}]),
        observation("30525-0", valueCodeableConcept={"coding": [{"code": "94", "display": "94 years"}]}),
        observation(
            "30525-0", valueSampledData={"origin": {"value": 94}, "period": 1, "dimensions": 1, "data": " ".join(["94"] * 12)}
        ),
        observation("8302-2", valueString="94 years"),
        observation("8302-2", valueString="94F with cough"),
        {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "AGE"}]}, "valueInteger": 94},
        {"resourceType": "Condition", "onsetAge": {"value": 94, "unit": "a", "system": UCUM, "code": "a"}},
        {"resourceType": "Condition", "abatementString": "ninety-four"},
        {"resourceType": "FamilyMemberHistory", "deceasedAge": {"value": 94}},
        {
            "resourceType": "FamilyMemberHistory",
            "ageRange": {"low": {"value": 94, "unit": "a"}, "high": {"value": 94.5, "unit": "years"}},
        },
    ],
)
def test_an_age_above_89_becomes_90_in_every_unit(resource: dict[str, Any]) -> None:
    out = json.dumps(cleaned(resource))
    assert "94" not in out and "1128" not in out and "34128" not in out and "ninety" not in out
    for one in cleaned(resource).values():
        assert not isinstance(one, dict) or one.get("value", 90) == 90


def test_an_age_of_89_and_a_weight_of_94_stay() -> None:
    age = {"value": 89, "unit": "a", "system": UCUM, "code": "a"}
    weight = {"value": 94, "unit": "kg", "system": UCUM, "code": "kg"}
    assert cleaned(observation("30525-0", valueQuantity=age))["valueQuantity"] == age
    assert cleaned(observation("29463-7", valueQuantity=weight))["valueQuantity"] == weight


@pytest.mark.parametrize(
    ("system", "code"),
    [
        pytest.param(LOINC, "80825-3", id="a LOINC number that looks like a ZIP code"),
        pytest.param(LOINC, "11585-7", id="another"),
        pytest.param(SNOMED, "73211009", id="SNOMED CT"),
        pytest.param("http://www.nlm.nih.gov/research/umls/rxnorm", "860975", id="RxNorm"),
        pytest.param("http://hl7.org/fhir/sid/icd-10-cm", "E11.9", id="ICD-10-CM"),
        pytest.param("http://hl7.org/fhir/sid/cvx", "140", id="CVX"),
        pytest.param("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB", id="HL7"),
    ],
)
def test_a_code_that_fits_its_system_is_kept(system: str, code: str) -> None:
    coding = {"system": system, "code": code}
    assert cleaned({"resourceType": "Observation", "code": {"coding": [coding]}})["code"]["coding"] == [coding]


@pytest.mark.parametrize("code", ["80825-4", "94612-5", "4155552671", "QWEXIBOR", "12345678"])
def test_a_code_that_does_not_fit_its_system_becomes_a_token_of_another_system(code: str) -> None:
    (coding,) = cleaned({"resourceType": "Observation", "code": {"coding": [{"system": LOINC, "code": code}]}})["code"][
        "coding"
    ]
    assert coding["system"].startswith("urn:uuid:")
    assert len(coding["code"]) == 32


@pytest.mark.parametrize(
    "value", ["4/4", "20/40", "EGFR L858R", "5.2 10*3/uL", "120/80", "Stage 2", "Type 2 diabetes mellitus", "80825-3"]
)
def test_a_clinical_value_in_words_is_kept(value: str) -> None:
    assert cleaned(observation("8302-2", valueString=value))["valueString"] == value


def test_a_concept_named_by_an_abbreviation_is_kept() -> None:
    assert cleaned({"resourceType": "Condition", "code": {"text": "NSTEMI"}})["code"]["text"] == "NSTEMI"


def test_a_mandatory_value_that_is_left_out_is_marked_as_masked() -> None:
    out = cleaned(
        {"resourceType": "Questionnaire", "status": "active", "item": [{"linkId": "1", "type": "string", "prefix": "Qwexibor"}]}
    )
    assert out["item"] == [{"linkId": "1", "type": "string"}]
    parameters = cleaned({"resourceType": "Parameters", "parameter": [{"name": "Qwexibor", "valueBoolean": True}]})
    assert parameters["parameter"][0]["_name"]["extension"][0]["valueCode"] == "masked"


def test_a_transaction_whose_patient_has_no_id_is_searched_for_the_patients_name(tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "Quastenbach", "given": ["Zerlina"]}]}
    note = {
        "resourceType": "Communication",
        "status": "completed",
        "payload": [{"contentString": "zerlina phoned and asked for a new date."}],
    }
    entries = [{"resource": r, "request": {"method": "POST", "url": r["resourceType"]}} for r in (patient, note)]
    (tmp_path / "t.json").write_text(
        json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}), encoding="utf-8"
    )
    deidentification.deidentify([tmp_path / "t.json"], tmp_path / "out")
    assert "zerlina" not in (tmp_path / "out" / "t.json").read_text(encoding="utf-8").casefold()


def test_an_absolute_reference_names_the_same_patient_as_a_relative_one(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [{"resourceType": "Patient", "id": "p1", "name": [{"family": "Quastenbach"}]}]
    for reference, day in (("https://h/fhir/Patient/p1", "2021-03-04"), ("Patient/p1", "2021-03-05")):
        note = [{"text": "quastenbach felt well"}]
        lines.append(observation("8302-2", subject={"reference": reference}, effectiveDateTime=day, note=note))
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    deidentification.deidentify([tmp_path / "a.ndjson"], tmp_path / "out", DeidentificationOptions(policy="expert"))
    _, one, two = map(json.loads, (tmp_path / "out" / "a.ndjson").read_text(encoding="utf-8").splitlines())
    assert one["subject"] == two["subject"]
    assert int(two["effectiveDateTime"][-2:]) - int(one["effectiveDateTime"][-2:]) in (1, -27, -28, -29, -30)
    assert "quastenbach" not in json.dumps([one, two])
