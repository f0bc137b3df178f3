"""The person that a resource belongs to, and the references that it holds."""

from typing import Any

import pytest

from galenic.records.fhir.compartment import Compartment, compartment_of, identifier_searches, normalize_reference, references


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o", **more}


@pytest.mark.parametrize("kind", ["Patient", "Practitioner", "Person"])
def test_a_person_belongs_to_itself(kind: str) -> None:
    resource = {"resourceType": kind, "id": "7", "link": [{"other": {"reference": "Patient/8"}}]}
    assert compartment_of(resource) == Compartment(f"{kind}/7")


@pytest.mark.parametrize("element", ["patient", "subject", "beneficiary", "individual", "for"])
def test_a_patient_may_be_named_by_any_of_these_elements(element: str) -> None:
    assert compartment_of(observation(**{element: {"reference": "Patient/7"}})).person == "Patient/7"


@pytest.mark.parametrize(
    ("element", "reference", "person"),
    [
        pytest.param("practitioner", "Practitioner/3", "Practitioner/3", id="a role belongs to its practitioner"),
        pytest.param("individual", "Practitioner/3", None, id="an individual that is a practitioner is nobody's"),
        pytest.param("subject", "Practitioner/3", None, id="a subject that is a practitioner is nobody's"),
        pytest.param("for", "urn:uuid:1", None, id="an unknown reference of a task is nobody's"),
        pytest.param("subject", "urn:uuid:1", "urn:uuid:1", id="an unknown reference of a subject is a patient's"),
        pytest.param("subject", "Patient?identifier=a|1", "Patient?identifier=a|1", id="a search for a patient"),
        pytest.param("subject", "Patient/7/_history/3", "Patient/7", id="of a version"),
    ],
)
def test_other_references(element: str, reference: str, person: str | None) -> None:
    assert compartment_of(observation(**{element: {"reference": reference}})).person == person


def test_the_stated_type_of_a_reference_counts_where_its_text_does_not_tell() -> None:
    assert compartment_of(observation(subject={"reference": "urn:uuid:1", "type": "Group"})).person is None
    assert compartment_of(observation(individual={"reference": "urn:uuid:1", "type": "Patient"})).person == "urn:uuid:1"
    assert compartment_of(observation(subject={"reference": "Patient/7", "type": "Group"})).person == "Patient/7"


def test_a_reference_is_read_as_what_it_was_renamed_to() -> None:
    renamed = {"urn:uuid:1": "Patient/7", "urn:uuid:2": "Group/1"}
    assert compartment_of(observation(subject={"reference": "urn:uuid:1"}), renamed).person == "Patient/7"
    assert compartment_of(observation(subject={"reference": "urn:uuid:2"}), renamed).person is None
    assert compartment_of(observation(focus=[{"reference": "urn:uuid:1"}]), renamed).person == "Patient/7"


@pytest.mark.parametrize(
    ("subject", "person"),
    [
        pytest.param({"identifier": {"value": "7"}}, "Patient?identifier=|7", id="an identifier without a system"),
        pytest.param({"identifier": {"system": "s"}}, "Observation/o#subject", id="an identifier without a value"),
        pytest.param({"type": "Patient", "display": "A"}, "Observation/o#subject", id="a name alone"),
        pytest.param({"type": "Group", "display": "A"}, None, id="the name of a group"),
        pytest.param({"reference": "#p"}, None, id="a contained resource that is absent"),
    ],
)
def test_a_subject_without_a_reference_is_somebody_of_their_own(subject: dict[str, Any], person: str | None) -> None:
    assert compartment_of(observation(subject=subject)).person == person


def test_a_practitioner_without_a_reference_is_nobody() -> None:
    assert compartment_of(observation(practitioner={"display": "A"})).person is None


def test_a_contained_resource_is_somebody_only_if_it_is_a_patient() -> None:
    device = [{"resourceType": "Device", "id": "p"}, {"resourceType": "Patient", "id": "q"}]
    assert compartment_of(observation(subject={"reference": "#q"}, contained=device)).person == "Observation/o#q"
    assert compartment_of(observation(subject={"reference": "#p"}, contained=device[:1])).person is None
    assert compartment_of(observation(contained=device)).person == "Observation/o#contained"


def test_one_patient_anywhere_owns_it_and_several_make_it_nobodys() -> None:
    one = observation(performer=[{"reference": "Patient/7"}, {"reference": "Device/1"}])
    assert compartment_of(one) == Compartment("Patient/7")
    several = observation(performer=[{"reference": "Patient/7"}, {"reference": "Patient/8"}, {"reference": "Device/1"}])
    assert compartment_of(several) == Compartment(None, ("Patient/7", "Patient/8"))
    contained = [{"resourceType": "Patient", "id": "q"}]
    assert compartment_of({**several, "contained": contained}).person is None
    nobodys = observation(performer=[{"reference": "Practitioner/3"}, {"reference": "Device/1"}, {"reference": "Device/1"}])
    assert compartment_of(nobodys) == Compartment(None, (), ("Device/1",))


def test_references_are_found_once_in_order_with_escapes_and_without_contained_ones() -> None:
    resource = observation(
        a=[{"reference": "Device/2"}, {"reference": "#c"}, {"reference": "Device/1"}, {"reference": "Device/2"}],
        b={"reference": 'odd"\\é', "display": '"reference":"Device/9'},
        big=2**70,
    )
    assert references(resource) == ["Device/2", "Device/1", 'odd"\\é']


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Patient/7", "Patient/7"),
        ("Patient/7/_history/2", "Patient/7"),
        ("Patient/7#part", "Patient/7"),
        (f"Patient/7/_history/{'9' * 64}", "Patient/7"),
        (f"Patient/7/_history/{'9' * 65}", f"Patient/7/_history/{'9' * 65}"),
        ("Patient/_history/7/x", "Patient/_history/7/x"),
    ],
)
def test_versions_and_parts_are_left_out_of_a_reference(reference: str, expected: str) -> None:
    assert normalize_reference(reference) == expected


def test_a_resource_is_meant_by_searches_for_its_identifiers() -> None:
    several = [{"system": "s", "value": "1"}, {"value": "2"}, {"system": "s"}, "odd", {"value": 3}]
    assert list(identifier_searches(observation(identifier=several))) == [
        "Observation?identifier=s|1",
        "Observation?identifier=1",
        "Observation?identifier=|2",
        "Observation?identifier=2",
    ]
    assert list(identifier_searches({"resourceType": "Bundle", "identifier": {"value": "1"}})) == [
        "Bundle?identifier=|1",
        "Bundle?identifier=1",
    ]
    assert list(identifier_searches(observation())) == []
