"""Batch and transaction over HTTP (R4, http.html, 3.1.0.11)."""

import base64
import uuid
from typing import Any

import orjson
import pytest

from server_made import Fhir, observation

PATIENT = {"resourceType": "Patient", "name": [{"family": "Muster"}]}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, *, full: str = "", **request: str) -> dict[str, Any]:
    found: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    found |= {"resource": resource} if resource else {}
    return {**found, "fullUrl": full} if full else found


def test_a_transaction_names_its_entries_by_the_ids_it_gives(ehr: Fhir) -> None:
    urn = f"urn:uuid:{uuid.uuid4()}"
    about = {**observation("x"), "subject": {"reference": urn}}
    answer = ehr(
        "POST", "", bundle("transaction", entry("POST", "Observation", about), entry("POST", "Patient", PATIENT, full=urn))
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["type"] == "transaction-response"
    assert [e["response"]["status"] for e in body["entry"]] == ["201", "201"]
    places = [e["response"]["location"].partition("/fhir/")[2].partition("/_history")[0] for e in body["entry"]]
    assert places[0].startswith("Observation/")
    assert ehr("GET", f"/{places[0]}").json()["subject"]["reference"] == places[1]
    assert ehr.found(f"Observation?patient={places[1]}") == [places[0].partition("/")[2]]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(entry("POST", "Patient", {"resourceType": "Patient", "gender": "purple"}), id="an invalid resource"),
        pytest.param(
            entry("PUT", "Patient/there", {**PATIENT, "id": "there"}, ifMatch='W/"999999"'), id="a version that is not"
        ),
        pytest.param(entry("PUT", "Patient/a", {**PATIENT, "id": "b"}), id="two ids"),
        pytest.param(entry("POST", "Observation", PATIENT), id="another type than its url"),
        pytest.param(
            entry("POST", "Observation", {**observation("x"), "subject": {"reference": "Patient?identifier=nobody"}}),
            id="a reference that means nobody",
        ),
        pytest.param({"resource": PATIENT}, id="no request"),
        pytest.param(entry("JUMP", "Patient", PATIENT), id="no such method"),
        pytest.param(entry("POST", "Patient"), id="no resource"),
        pytest.param(entry("DELETE", "Patient?shoe=1"), id="a condition that is not known"),
    ],
)
def test_a_transaction_is_whole_or_not_at_all(ehr: Fhir, bad: dict[str, Any]) -> None:
    ehr("PUT", "/Patient/there", {**PATIENT, "id": "there"})
    mark = uuid.uuid4().hex
    good = entry("POST", "Patient", {**PATIENT, "identifier": [{"value": mark}]})
    answer = ehr("POST", "", bundle("transaction", good, bad))
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert ehr.found(f"Patient?identifier={mark}") == []


def test_a_transaction_deletes_first_and_reads_last(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    mark = uuid.uuid4().hex
    answer = ehr(
        "POST", "",
        bundle(
            "transaction",
            entry("GET", f"Patient?identifier={mark}"),
            entry("POST", "Patient", {**PATIENT, "identifier": [{"value": mark}]}),
            entry("DELETE", f"Patient/{own}"),
            entry("DELETE", "Patient/never-was"),
        ),
    ).json()  # fmt: skip
    assert [e["response"]["status"] for e in answer["entry"]] == ["200", "201", "204", "204"]
    assert answer["entry"][0]["resource"]["total"] == 1
    assert ehr("GET", f"/Patient/{own}").status_code == 410


def test_conditions_in_a_transaction_mean_what_is_there(ehr: Fhir) -> None:
    mark = uuid.uuid4().hex
    one = {**PATIENT, "identifier": [{"system": "urn:ids", "value": mark}]}
    urn = f"urn:uuid:{uuid.uuid4()}"
    about = {**observation("x"), "subject": {"reference": urn}}
    create = entry("POST", "Patient", one, full=urn, ifNoneExist=f"identifier=urn:ids|{mark}")
    first = ehr("POST", "", bundle("transaction", create, entry("POST", "Observation", about))).json()
    again = ehr("POST", "", bundle("transaction", create, entry("POST", "Observation", about))).json()
    assert [e["response"]["status"] for e in first["entry"]] == ["201", "201"]
    assert [e["response"]["status"] for e in again["entry"]] == ["200", "201"]
    assert len(ehr.found(f"Patient?identifier={mark}")) == 1
    assert len(ehr.found(f"Observation?patient.identifier={mark}")) == 2
    by_search = {**observation("x"), "subject": {"reference": f"Patient?identifier={mark}"}}
    ehr("POST", "", bundle("transaction", entry("POST", "Observation", by_search)))
    assert len(ehr.found(f"Observation?patient.identifier={mark}")) == 3
    changed = entry("PUT", f"Patient?identifier={mark}", {**one, "active": True})
    assert ehr("POST", "", bundle("transaction", changed)).json()["entry"][0]["response"]["etag"] == 'W/"2"'


def test_a_name_that_is_changed_twice_is_refused(ehr: Fhir) -> None:
    twice = [entry("PUT", "Patient/twice", {**PATIENT, "id": "twice"}), entry("DELETE", "Patient/twice")]
    ehr("PUT", "/Patient/twice", {**PATIENT, "id": "twice"})
    answer = ehr("POST", "", bundle("transaction", *twice))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["code"] == "duplicate"


def test_each_entry_of_a_batch_stands_alone(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    patch = {"resourceType": "Binary", "contentType": "application/json-patch+json"}
    change = b'[{"op":"add","path":"/active","value":true}]'
    answer = ehr(
        "POST", "",
        bundle(
            "batch",
            entry("GET", f"Patient/{own}"),
            entry("GET", "Patient/never-was"),
            entry("POST", "Patient", {"resourceType": "Patient", "gender": "purple"}),
            entry("PATCH", f"Patient/{own}", {**patch, "data": base64.b64encode(change).decode()}),
            entry("DELETE", f"Patient/{own}", ifMatch='W/"1"'),
            entry("GET", f"Patient?_id={own}"),
        ),
    ).json()  # fmt: skip
    assert answer["type"] == "batch-response"
    assert [e["response"]["status"] for e in answer["entry"]] == ["200", "404", "422", "200", "412", "200"]
    assert answer["entry"][5]["resource"]["total"] == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"resourceType": "Bundle", "type": "collection"}, id="another type of Bundle"),
        pytest.param({"resourceType": "Patient"}, id="no Bundle"),
        pytest.param({"resourceType": "Bundle", "type": "batch", "entry": {}}, id="entries that are no list"),
        pytest.param({"resourceType": "Bundle", "type": "transaction", "entry": [1]}, id="an entry that is no object"),
        pytest.param({"resourceType": "Bundle", "type": "transaction", "entry": [{}] * 10_001}, id="too many entries"),
    ],
)
def test_what_is_no_batch_or_transaction_is_refused(ehr: Fhir, body: dict[str, Any]) -> None:
    assert ehr("POST", "", body).status_code == 422


def test_an_empty_transaction_does_nothing(ehr: Fhir) -> None:
    assert ehr("POST", "", {"resourceType": "Bundle", "type": "transaction"}).json()["type"] == "transaction-response"


def test_a_body_that_is_too_large_is_cut_off(ehr: Fhir) -> None:
    assert ehr("POST", "/Patient", b'{"resourceType":"Patient","id":"' + b"x" * (33 * 2**20) + b'"}').status_code == 413


def test_decimals_in_a_bundle_come_back_as_they_were_written(ehr: Fhir) -> None:
    raw = orjson.dumps(bundle("transaction", entry("POST", "Observation", observation("nobody", value=7))))
    answer = ehr("POST", "", raw.replace(b'"value":7', b'"value":7.00'))
    place = answer.json()["entry"][0]["response"]["location"].partition("/fhir")[2].partition("/_history")[0]
    assert '"value":7.00' in ehr("GET", place).text


def packed(changes: list[dict[str, Any]]) -> dict[str, Any]:
    data = base64.b64encode(orjson.dumps(changes)).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def test_a_transaction_patches_too_and_whole(ehr: Fhir) -> None:
    own = ehr.make({"resourceType": "Patient", "gender": "female"})
    entries = [
        {"resource": packed([{"op": "replace", "path": "/gender", "value": "other"}]), "request": {"method": "PATCH", "url": f"Patient/{own}"}},
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
    ]  # fmt: skip
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = ehr("POST", "", bundle)
    assert answer.status_code == 200, answer.text
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["200", "201"]
    assert ehr("GET", f"/Patient/{own}").json()["gender"] == "other"
    entries[0]["resource"] = packed([{"op": "replace", "path": "/gender", "value": "male"}])
    entries[1]["resource"] = {"resourceType": "Patient", "gender": "neither"}
    assert ehr("POST", "", bundle).status_code == 422
    assert ehr("GET", f"/Patient/{own}").json()["gender"] == "other"
    entries[1] = {
        "resource": packed([{"op": "remove", "path": "/gender"}]),
        "request": {"method": "PATCH", "url": f"Patient/{own}"},
    }
    assert ehr("POST", "", bundle).status_code == 422, "one resource is changed once"
    late = {"method": "PATCH", "url": f"Patient/{own}", "ifMatch": 'W/"1"'}
    assert ehr("POST", "", {**bundle, "entry": [{**entries[0], "request": late}]}).status_code == 412


def test_references_by_the_servers_own_address_are_to_what_is_here(ehr: Fhir) -> None:
    own = ehr.make({"resourceType": "Patient"})
    base = f"{str(ehr.web.base_url).rstrip('/')}/fhir"
    about = {**observation(own), "subject": {"reference": f"{base}/Patient/{own}"}}
    made = ehr.make(about)
    assert ehr("GET", f"/Observation/{made}").json()["subject"]["reference"] == f"Patient/{own}"
    assert ehr.found(f"Observation?subject=Patient/{own}") == [made]
    elsewhere = ehr.make({**observation(own), "performer": [{"reference": "https://other.example/fhir/Practitioner/1"}]})
    assert ehr("GET", f"/Observation/{elsewhere}").json()["performer"][0]["reference"].startswith("https://other.example/")
