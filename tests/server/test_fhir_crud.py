"""FHIR R4 over HTTP: one resource at a time, by R4's RESTful API (http.html)."""

import orjson
import pytest

from server_made import Fhir, observation

PATIENT = {"resourceType": "Patient", "name": [{"family": "Muster", "given": ["Anna"]}], "gender": "female"}


def test_what_is_created_is_read_back_with_id_version_and_time(ehr: Fhir) -> None:
    made = ehr("POST", "/Patient", PATIENT)
    assert made.status_code == 201
    own = made.json()["id"]
    assert made.headers["location"] == f"{ehr.web.base_url}/fhir/Patient/{own}/_history/1"
    read = ehr("GET", f"/Patient/{own}")
    assert read.status_code == 200
    assert read.headers["etag"] == 'W/"1"'
    assert read.headers["content-type"].startswith("application/fhir+json")
    assert int(read.headers["x-galenic-decision"]) > 0
    body = read.json()
    assert {k: body[k] for k in PATIENT} == PATIENT
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["lastUpdated"].endswith("Z")


def test_decimals_come_back_as_they_were_written(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    raw = orjson.dumps(observation(own)).replace(b'"value":120', b'"value":120.50')
    made = ehr("POST", "/Observation", raw)
    assert made.status_code == 201
    assert '"value":120.50' in ehr("GET", f"/Observation/{made.json()['id']}").text


def test_an_update_makes_a_version_and_each_can_be_read(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    second = ehr("PUT", f"/Patient/{own}", {**PATIENT, "id": own, "gender": "other"}, If_Match='W/"1"')
    assert second.status_code == 200
    assert second.headers["etag"] == 'W/"2"'
    assert ehr("GET", f"/Patient/{own}/_history/1").json()["gender"] == "female"
    assert ehr("GET", f"/Patient/{own}/_history/2").json()["gender"] == "other"
    assert ehr("GET", f"/Patient/{own}/_history/3").status_code == 404
    history = ehr("GET", f"/Patient/{own}/_history").json()
    assert history["type"] == "history"
    assert [e["response"]["etag"] for e in history["entry"]] == ['W/"2"', 'W/"1"']
    assert [e["request"]["method"] for e in history["entry"]] == ["PUT", "POST"]


def test_an_update_of_another_version_than_was_read_is_refused(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    ehr("PUT", f"/Patient/{own}", {**PATIENT, "id": own, "active": True})
    late = ehr("PUT", f"/Patient/{own}", {**PATIENT, "id": own, "active": False}, If_Match='W/"1"')
    assert late.status_code == 412
    assert ehr("GET", f"/Patient/{own}").json()["active"] is True


def test_an_update_may_name_an_id_that_is_new(ehr: Fhir) -> None:
    made = ehr("PUT", "/Patient/by-us-1", {**PATIENT, "id": "by-us-1"})
    assert made.status_code == 201
    assert ehr("GET", "/Patient/by-us-1").status_code == 200


def test_an_update_whose_ids_differ_is_refused(ehr: Fhir) -> None:
    assert ehr("PUT", "/Patient/by-us-2", {**PATIENT, "id": "by-us-3"}).status_code == 400
    assert ehr("PUT", "/Patient/by-us-2", PATIENT).status_code == 400
    assert ehr("GET", "/Patient/by-us-2").status_code == 404


def test_what_is_deleted_is_gone_but_its_versions_stay(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    assert ehr("DELETE", f"/Patient/{own}").status_code == 204
    assert ehr("GET", f"/Patient/{own}").status_code == 410
    assert ehr("GET", f"/Patient/{own}/_history/1").status_code == 200
    assert ehr("GET", f"/Patient/{own}/_history/2").status_code == 410
    assert own not in ehr.found("Patient?_id=" + own)
    assert ehr("DELETE", f"/Patient/{own}").status_code == 204
    history = ehr("GET", f"/Patient/{own}/_history").json()["entry"]
    assert [e["request"]["method"] for e in history] == ["DELETE", "POST"]
    again = ehr("PUT", f"/Patient/{own}", {**PATIENT, "id": own})
    assert again.status_code == 201
    assert again.headers["etag"] == 'W/"3"'


def test_a_patch_changes_what_it_names(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    done = ehr("PATCH", f"/Patient/{own}", [{"op": "replace", "path": "/gender", "value": "male"}])
    assert done.status_code == 200, done.text
    assert done.json()["gender"] == "male"
    assert ehr("GET", f"/Patient/{own}").headers["etag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        pytest.param([{"op": "replace", "path": "/id", "value": "x"}], 422, id="changes the id"),
        pytest.param([{"op": "replace", "path": "/resourceType", "value": "Person"}], 422, id="changes the type"),
        pytest.param([{"op": "add", "path": "/gender", "value": "purple"}], 422, id="leaves it invalid"),
        pytest.param([{"op": "remove", "path": "/nothing"}], 400, id="names what is not there"),
        pytest.param([{"op": "test", "path": "/gender", "value": "male"}], 400, id="its test fails"),
        pytest.param({"op": "remove"}, 400, id="is no list"),
        pytest.param([{"op": "jump", "path": "/gender"}], 400, id="has no such operation"),
    ],
)
def test_a_patch_that_does_not_fit_changes_nothing(ehr: Fhir, patch: object, status: int) -> None:
    own = ehr.make(PATIENT)
    assert ehr("PATCH", f"/Patient/{own}", patch).status_code == status
    assert ehr("GET", f"/Patient/{own}").headers["etag"] == 'W/"1"'


def test_a_conditional_create_makes_one(ehr: Fhir) -> None:
    one = {**PATIENT, "identifier": [{"system": "urn:ids", "value": "c-1"}]}
    first = ehr("POST", "/Patient", one, If_None_Exist="identifier=urn:ids|c-1")
    again = ehr("POST", "/Patient", one, If_None_Exist="identifier=urn:ids|c-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["location"].endswith(first.json()["id"])
    ehr.make(one)
    assert ehr("POST", "/Patient", one, If_None_Exist="identifier=urn:ids|c-1").status_code == 412


def test_a_conditional_update_and_delete_mean_one(ehr: Fhir) -> None:
    one = {**PATIENT, "identifier": [{"system": "urn:ids", "value": "u-1"}]}
    assert ehr("PUT", "/Patient?identifier=urn:ids|u-1", one).status_code == 201
    changed = ehr("PUT", "/Patient?identifier=urn:ids|u-1", {**one, "active": True})
    assert changed.status_code == 200
    assert changed.headers["etag"] == 'W/"2"'
    assert ehr("DELETE", "/Patient?identifier=urn:ids|u-1").status_code == 204
    assert ehr.found("Patient?identifier=urn:ids|u-1") == []
    assert ehr("DELETE", "/Patient?identifier=urn:ids|u-1").status_code == 204


def test_a_condition_that_is_not_known_is_refused_and_not_widened(ehr: Fhir) -> None:
    assert ehr("DELETE", "/Patient?shoe-size=44").status_code == 400
    assert ehr("POST", "/Patient", PATIENT, If_None_Exist="shoe-size=44").status_code == 400
    assert ehr("DELETE", "/Patient").status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        pytest.param({"resourceType": "Patient", "gender": "purple"}, 422, "Patient.gender", id="a code that is none"),
        pytest.param({"resourceType": "Patient", "shoe": 44}, 422, "Patient.shoe", id="an element that is none"),
        pytest.param({"resourceType": "Observation", "status": "final"}, 422, "resourceType", id="another type"),
        pytest.param({"resourceType": "Patient", "birthDate": "yesterday"}, 422, "Patient.birthDate", id="a date that is none"),
        pytest.param(b'{"resourceType": "Patient"', 400, "", id="JSON cut off"),
        pytest.param(b"[1]", 400, "", id="no object"),
        pytest.param(b"", 400, "", id="nothing"),
        pytest.param(b'{"resourceType":"Patient",' + b'"a":[' * 400 + b"]" * 400 + b"}", 400, "", id="nested too deep"),
    ],
)
def test_what_is_not_r4_is_refused_and_says_where(ehr: Fhir, body: object, status: int, where: str) -> None:
    answer = ehr("POST", "/Patient", body)
    assert answer.status_code == status, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    if where:
        assert any(where in e for i in outcome["issue"] for e in i.get("expression", [])), outcome


def test_a_check_alone_writes_nothing_and_finds_the_same(ehr: Fhir) -> None:
    good = ehr("POST", "/Patient/$validate", PATIENT).json()
    bad = ehr("POST", "/Patient/$validate", {**PATIENT, "gender": "purple"}).json()
    packed = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": {**PATIENT, "gender": "purple"}}]}
    assert good["issue"][0]["severity"] == "information"
    assert bad["issue"][0]["severity"] == "error"
    assert ehr("POST", "/Patient/$validate", packed).json() == bad


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("GET", "/Patient/x?_format=xml", {}, 406, id="XML by address"),
        pytest.param("GET", "/Patient/x", {"Accept": "application/fhir+xml"}, 406, id="XML by header"),
        pytest.param("POST", "/Patient", {"Content-Type": "text/plain"}, 415, id="a body that is no JSON"),
        pytest.param("GET", "/Shoe/x", {}, 404, id="a type that is none"),
        pytest.param("GET", "/Patient/x$y", {}, 400, id="an id that is none"),
        pytest.param("GET", "/Patient/" + "x" * 65, {}, 400, id="an id that is too long"),
        pytest.param("PUT", "/Patient/x", {"If-Match": "now"}, 400, id="a version that is none"),
        pytest.param("GET", "/Patient/..%2f..%2fetc", {}, 404, id="a path that climbs"),
    ],
)
def test_what_is_not_served_is_said_so(ehr: Fhir, method: str, path: str, headers: dict[str, str], status: int) -> None:
    body = None if method == "GET" else PATIENT
    answer = ehr(method, path, body, **{k.replace("-", "_"): v for k, v in headers.items()})
    assert answer.status_code == status, answer.text


def test_nobody_is_served_without_a_token_that_stands(ehr: Fhir) -> None:
    for token in ("x", "=", "a" * 40, ehr.token + "x"):
        other = Fhir(ehr.web, token, ehr.installation, ehr.repository)
        answer = other("GET", "/Patient")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_what_has_not_changed_is_not_sent_again(ehr: Fhir) -> None:
    own = ehr.make(PATIENT)
    answer = ehr("GET", f"/Patient/{own}", If_None_Match='W/"1"')
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_client_says_how_much_it_wants_back(ehr: Fhir) -> None:
    minimal = ehr("POST", "/Patient", PATIENT, Prefer="return=minimal")
    outcome = ehr("POST", "/Patient", PATIENT, Prefer="return=OperationOutcome")
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert outcome.json()["resourceType"] == "OperationOutcome"


def test_the_statement_says_what_is_served(ehr: Fhir) -> None:
    statement = ehr.web.get("/fhir/metadata").json()
    patient = next(r for r in statement["rest"][0]["resource"] if r["type"] == "Patient")
    assert {"read", "vread", "update", "patch", "delete", "create", "search-type"} <= {
        i["code"] for i in patient["interaction"]
    }
    for parameter in patient["searchParam"]:
        answer = ehr("GET", f"/Patient?{parameter['name']}:missing=true") if parameter["name"][0] != "_" else None
        assert answer is None or answer.status_code == 200, parameter
    assert ehr("POST", "/CapabilityStatement/$validate", statement).json()["issue"][0]["severity"] in ("information", "warning")
