"""$validate with profiles: each is checked, or the answer says that it was not (R4, resource-operation-validate.html)."""

from typing import Any

import pytest

from server_made import Fhir

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
PATIENT: dict[str, Any] = {"resourceType": "Patient"}


def issues(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(i["severity"], i["code"]) for i in answer.json()["issue"]]


def parameters(**more: str) -> dict[str, Any]:
    given = [{"name": "profile", k: v} for k, v in more.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": PATIENT}, *given]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(f"/Patient/$validate?profile={US_CORE}", PATIENT, id="by the address"),
        pytest.param(f"/$validate?profile={US_CORE}%7C6.1.0", PATIENT, id="with a version"),
        pytest.param("/Patient/$validate", parameters(valueUri=US_CORE), id="by a uri"),
        pytest.param("/Patient/$validate", parameters(valueCanonical=US_CORE), id="by a canonical"),
        pytest.param("/Patient/$validate", {**PATIENT, "meta": {"profile": [US_CORE]}}, id="claimed"),
        pytest.param("/Patient/$validate?profile=http://hl7.org/fhir/StructureDefinition/Patient%7C5.0.0", PATIENT, id="of R5"),
        pytest.param(
            "/$validate",
            {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": {**PATIENT, "meta": {"profile": [US_CORE]}}}],
            },
            id="claimed in a Bundle",
        ),
    ],
)
def test_a_profile_that_is_not_loaded_is_said_not_to_be_checked(ehr: Fhir, path: str, body: dict[str, Any]) -> None:
    answer = ehr("POST", path, body)
    assert issues(answer) == [("warning", "not-supported")]
    assert "no issues were found" not in answer.text


def test_the_definition_of_a_type_is_checked(ehr: Fhir) -> None:
    base = "http://hl7.org/fhir/StructureDefinition"
    for claim in (f"{base}/Patient", f"{base}/Patient|4.0.1"):
        assert issues(ehr("POST", f"/Patient/$validate?profile={claim.replace('|', '%7C')}", PATIENT)) == [
            ("information", "informational")
        ]
        assert issues(ehr("POST", "/Patient/$validate", {**PATIENT, "meta": {"profile": [claim]}})) == [
            ("information", "informational")
        ]
    assert issues(ehr("POST", f"/Patient/$validate?profile={base}/Observation", PATIENT))[0][0] == "error"


def test_a_name_that_is_no_url_is_not_repeated(ehr: Fhir) -> None:
    answer = ehr("POST", "/Patient/$validate?profile=Quillfeather%20Ottoline", PATIENT)
    assert issues(answer) == [("warning", "not-supported")]
    assert "Quillfeather" not in answer.text
