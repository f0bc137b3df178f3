"""Bundles taken apart: every reference names what it meant, and the same Bundle gives the same ids."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from galenic.errors import RecordError
from galenic.records.fhir import (
    compartment_of,
    open_bundle,
    parse,
    prepare_document,
    rename_references,
    resource_to_events,
    restore_resource,
    validate_resource,
    write_json,
)
from galenic.records.fhir.bundle import OpenedBundle

A, B = "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001", "urn:uuid:6f1a2b3c-0000-4000-8000-000000000002"


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"text": "a"}], **more}


def condition(subject: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": subject}, **more}


def opened(one: dict[str, Any], find: Any = None) -> Any:
    raw = json.dumps(one).encode()
    return resolved(open_bundle(copy.deepcopy(one), raw, *([find] if find else [])))


def resolved(found: OpenedBundle) -> OpenedBundle:
    for entry in found.entries:
        rename_references(entry.resource, entry.renamed)
    return found


def test_a_urn_becomes_the_type_and_id_of_what_it_names() -> None:
    one = bundle({"fullUrl": B, "resource": condition(A)}, {"fullUrl": A, "resource": patient()})
    found = opened(one)
    assert found.entries[0].resource["subject"] == {"reference": f"Patient/{A[9:]}"}
    assert [e.id for e in found.entries] == [B[9:], A[9:]]
    assert found.issues == []


def test_an_id_that_is_there_is_kept() -> None:
    found = opened(bundle({"fullUrl": A, "resource": patient(id="p7")}, {"fullUrl": B, "resource": condition(A)}))
    assert found.entries[1].resource["subject"] == {"reference": "Patient/p7"}


def test_relative_references_are_relative_to_their_entry() -> None:
    base = "https://hospital.example/fhir"
    one = bundle(
        {"fullUrl": f"{base}/Patient/1", "resource": patient(id="1")},
        {"fullUrl": f"{base}/Condition/2", "resource": condition("Patient/1", id="2")},
        {"fullUrl": "https://other.example/Condition/3", "resource": condition(f"{base}/Patient/1", id="3")},
        {"fullUrl": "https://other.example/Condition/4", "resource": condition("Patient/1", id="4")},
        kind="collection",
    )
    assert [e.resource["subject"]["reference"] for e in opened(one).entries[1:]] == ["Patient/1"] * 3


def test_conditional_references_are_looked_for_here_and_inside() -> None:
    doctor = {"resourceType": "Practitioner", "identifier": [{"system": "http://npi", "value": "7"}]}
    one = bundle(
        {"fullUrl": A, "resource": condition("Patient/1", recorder={"reference": "Practitioner?identifier=http://npi|7"})},
        {"fullUrl": B, "resource": doctor},
    )
    assert opened(one).entries[0].resource["recorder"]["reference"] == f"Practitioner/{B[9:]}"
    one["entry"].pop()
    found = opened(one)
    assert [i.rule for i in found.unresolved()] == ["reference-unresolved"]
    here = opened(one, lambda kind, search: "d9" if (kind, search) == ("Practitioner", "identifier=http://npi|7") else None)
    assert here.entries[0].resource["recorder"]["reference"] == "Practitioner/d9"


def test_a_conditional_create_finds_what_is_here() -> None:
    request = {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=x|1"}
    one = bundle({"fullUrl": A, "resource": patient(), "request": request}, {"fullUrl": B, "resource": condition(A)})
    found = opened(one, lambda _kind, _search: "p1")
    assert [e.made for e in found.entries] == [False, True]
    assert found.entries[1].resource["subject"]["reference"] == "Patient/p1"


def test_the_same_bundle_gives_the_same_ids() -> None:
    one = bundle({"resource": patient()}, {"resource": patient()}, kind="collection")
    first, second = ([e.id for e in opened(one).entries] for _ in range(2))
    assert first == second
    assert len(set(first)) == 2


@pytest.mark.parametrize("method", ["GET", "PATCH", "HEAD"])
def test_a_request_to_a_server_is_no_record(method: str) -> None:
    with pytest.raises(RecordError, match=method):
        opened(bundle({"request": {"method": method, "url": "Patient/1"}}))
    with pytest.raises(RecordError, match="responses without resources"):
        opened(bundle(kind="batch-response"))


def test_synthea_bundles_come_apart_and_every_patient_gets_its_events(data: Path) -> None:
    for path in sorted((data / "ehr" / "synthea-hiv-bundles").glob("*.json*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        document = parse(raw)
        found = resolved(open_bundle(document.exact, raw))
        assert found.issues == []
        known = {f"{e.kind}/{e.id}": e.resource for e in found.entries}
        patients = {name for name in known if name.startswith("Patient/")}
        people = {resource_to_events(e.resource, known.get).patient for e in found.entries} - {None}
        assert people == patients
        assert not any(
            i.level == "error" for e in found.entries for i in validate_resource(parse(write_json(e.resource)).resource)
        )


@pytest.mark.parametrize(
    ("more", "person"),
    [
        ({"subject": {"reference": "Patient/7/_history/2"}}, "Patient/7"),
        ({"subject": {"reference": "http://h.example/fhir/Patient/7"}}, "http://h.example/fhir/Patient/7"),
        (
            {"subject": {"reference": "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001"}},
            "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001",
        ),
        ({"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]}, "Observation/o#p"),
        ({"contained": [{"resourceType": "Patient", "id": "p"}], "focus": [{"reference": "#p"}]}, "Observation/o#contained"),
        ({"subject": {"identifier": {"system": "http://mrn", "value": "7"}}}, "Patient?identifier=http://mrn|7"),
        ({"subject": {"display": "somebody"}}, "Observation/o#subject"),
        ({"subject": {"reference": "Group/1"}, "performer": [{"reference": "Patient/7"}]}, "Patient/7"),
        ({"subject": {"reference": "Device/1"}}, None),
        ({"subject": {"reference": "Location/1"}, "performer": [{"reference": "Patient/7"}, {"reference": "Patient/8"}]}, None),
    ],
)
def test_whose_a_resource_is(more: dict[str, Any], person: str | None) -> None:
    found = compartment_of({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "a"}, **more})
    assert found.person == person
    assert set(found.patients) == ({"Patient/7", "Patient/8"} if "Location" in str(more) else set())


@pytest.mark.parametrize("indent", [None, 2], ids=["compact", "pretty"])
def test_links_beside_references_name_what_they_meant_when_a_document_is_restored(indent: int | None) -> None:
    """As in a transaction (R4, http.html, 3.1.0.11.2): Attachment.url and links in narrative."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{B}">x</a></div>'
    document = {
        "resourceType": "DocumentReference", "status": "current", "identifier": [{"value": B}],
        "text": {"status": "generated", "div": div}, "subject": {"reference": A}, "content": [{"attachment": {"url": B}}],
    }  # fmt: skip
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8="}
    entries = [{"resource": document}, {"fullUrl": A, "resource": patient()}, {"fullUrl": B, "resource": binary}]
    raw = json.dumps(bundle(*entries, kind="collection"), indent=indent).encode()
    (prepared,) = prepare_document([(0, raw)])
    assert not prepared.refused, prepared.issues
    part = next(p for p in prepared.parts if p.kind == "DocumentReference")
    found = restore_resource(part.raw.decode(), part.about)
    assert found["content"][0]["attachment"]["url"] == f"Binary/{B[9:]}"
    assert found["text"]["div"] == div.replace(B, f"Binary/{B[9:]}")
    assert found["subject"]["reference"] == f"Patient/{A[9:]}"
    assert found["identifier"][0]["value"] == B, "an identifier is no link"
