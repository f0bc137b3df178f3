"""Addresses, methods and formats that are not served, and Binary in its own format (R4, http.html and binary.html)."""

import base64

import pytest

from server_made import Fhir

CONTENT = b"%PDF-1.4 \x00\xff not really"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("POST", "/Patient/$match", 404, "not-supported", id="an operation on a type"),
        pytest.param("GET", "/Patient/$match", 404, "not-supported", id="an operation on a type by GET"),
        pytest.param("GET", "/ValueSet/$expand?url=x", 404, "not-supported", id="another operation"),
        pytest.param("POST", "/ValueSet/x/$expand", 404, "not-supported", id="an operation on an instance"),
        pytest.param("GET", "/Patient/x/$docref", 404, "not-supported", id="an operation on an instance by GET"),
        pytest.param("GET", "/Encounter/x/$everything", 404, "not-supported", id="an operation of another type"),
        pytest.param("POST", "/$convert", 404, "not-supported", id="an operation on the system"),
        pytest.param("GET", "/$convert", 404, "not-supported", id="an operation on the system by GET"),
        pytest.param("PUT", "/Patient/$match", 404, "not-supported", id="an operation by PUT"),
        pytest.param("GET", "/Patient/_history", 404, "not-supported", id="the history of a type"),
        pytest.param("GET", "/_history", 404, "not-supported", id="the history of the system"),
        pytest.param("GET", "/Patient/x/Observation", 404, "not-supported", id="a compartment"),
        pytest.param("GET", "/Patient/x/y/z", 404, "not-found", id="no address"),
        pytest.param("GET", "/Patient/", 404, "not-found", id="a slash too many"),
        pytest.param("GET", "/Nothing", 404, "not-found", id="no type"),
        pytest.param("GET", "/Nothing/1", 404, "not-found", id="no type of an instance"),
        pytest.param("PROPFIND", "/Nothing/1/2/3", 404, "not-found", id="no address by an unusual method"),
        pytest.param("GET", "/Patient/a_b", 400, "invalid", id="no id"),
    ],
)
def test_an_address_that_is_not_served_is_refused_in_fhir(ehr: Fhir, method: str, path: str, status: int, code: str) -> None:
    answer = ehr(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/fhir+json; fhirVersion=4.0")
    body = answer.json()
    assert (body["resourceType"], body["issue"][0]["code"]) == ("OperationOutcome", code)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        pytest.param("OPTIONS", "/Patient", {"GET", "HEAD", "POST", "PUT", "DELETE"}, id="a type"),
        pytest.param("OPTIONS", "/Patient/x", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}, id="an instance"),
        pytest.param("POST", "/Patient/x", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}, id="an instance by POST"),
        pytest.param("GET", "", {"POST"}, id="the system"),
        pytest.param("OPTIONS", "/", {"POST"}, id="the system with a slash"),
        pytest.param("GET", "/Patient/$validate", {"POST"}, id="an operation by GET"),
        pytest.param("GET", "/$validate", {"POST"}, id="an operation of the system by GET"),
        pytest.param("GET", "/Patient/_search", {"POST"}, id="a search by form"),
        pytest.param("POST", "/Patient/x/$everything", {"GET", "HEAD"}, id="an operation by POST"),
        pytest.param("DELETE", "/Patient/x/_history/1", {"GET", "HEAD"}, id="a version"),
        pytest.param("PUT", "/Patient/x/_history", {"GET", "HEAD"}, id="a history"),
        pytest.param("POST", "/metadata", {"GET", "HEAD"}, id="the capability statement"),
        pytest.param("TRACE", "/Patient", {"GET", "HEAD", "POST", "PUT", "DELETE"}, id="an unusual method"),
        pytest.param("PUT", "/AuditEvent/1", {"GET", "HEAD"}, id="an AuditEvent"),
    ],
)
def test_a_method_that_an_address_does_not_have_is_refused_with_those_that_it_has(
    ehr: Fhir, method: str, path: str, allowed: set[str]
) -> None:
    answer = ehr(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/fhir+json; fhirVersion=4.0")
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize(
    "given", ["json", "application/json", "application/fhir+json", "application/fhir%2Bjson", "json;fhirVersion=4.0"]
)
def test_json_is_served_by_each_of_its_names(ehr: Fhir, given: str) -> None:
    assert ehr("GET", f"/Patient?_format={given}").status_code == 200


@pytest.mark.parametrize(
    "given", ["foo", "html", "xml", "text/turtle", "application/fhir+xml", "ndjson", "json;fhirVersion=3.0", "json&_format=foo"]
)
def test_another_format_is_refused(ehr: Fhir, given: str) -> None:
    for path in (f"/Patient?_format={given}", f"/Patient/x?_format={given}", f"/metadata?_format={given}"):
        answer = ehr("GET", path)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (406, "not-supported"), path
    form = ehr("POST", "/Patient/_search", f"_format={given}".encode(), Content_Type="application/x-www-form-urlencoded")
    assert form.status_code == 406


def test_a_binary_comes_and_goes_as_itself(ehr: Fhir) -> None:
    made = ehr("POST", "/Binary", CONTENT, Content_Type="application/pdf", X_Security_Context="Patient/none")
    assert made.status_code == 201, made.text
    stored = made.json()
    assert stored["data"] == base64.b64encode(CONTENT).decode()
    assert (stored["contentType"], stored["securityContext"]["reference"]) == ("application/pdf", "Patient/none")
    for accept in ("application/pdf", "text/plain", "image/png, application/pdf;q=0.5"):
        answer = ehr("GET", f"/Binary/{stored['id']}", Accept=accept)
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, CONTENT, "application/pdf")
        assert answer.headers["x-security-context"] == "Patient/none"
        assert answer.headers["etag"] == 'W/"1"'
        assert answer.headers["content-disposition"] == "attachment"
        assert "sandbox" in answer.headers["content-security-policy"]
    assert ehr("GET", f"/Binary/{stored['id']}/_history/1", Accept="application/pdf").content == CONTENT
    assert ehr("GET", f"/Binary/{stored['id']}/_history", Accept="application/pdf").json()["resourceType"] == "Bundle"
    for accept in ("application/fhir+json", "application/json", "*/*", "text/plain, application/fhir+json"):
        assert ehr("GET", f"/Binary/{stored['id']}", Accept=accept).json() == stored
    assert ehr("GET", f"/Binary/{stored['id']}?_format=json", Accept="application/pdf").json() == stored
    changed = ehr("PUT", f"/Binary/{stored['id']}", b"text", Content_Type="text/plain; charset=utf-8")
    assert changed.status_code == 200, changed.text
    assert ehr("GET", f"/Binary/{stored['id']}", Accept="text/plain").headers["content-type"] == "text/plain; charset=utf-8"
    assert ehr("GET", "/Binary/never-was", Accept="application/pdf").json()["resourceType"] == "OperationOutcome"


def test_content_without_a_type_and_a_compressed_one_are_refused(ehr: Fhir) -> None:
    for kind in ("nonsense", ""):
        assert ehr("POST", "/Binary", CONTENT, Content_Type=kind).status_code == 415
    assert ehr("POST", "/Binary", CONTENT, Content_Type="application/pdf", Content_Encoding="gzip").status_code == 415
    assert ehr("POST", "/Patient", CONTENT, Content_Type="application/pdf").status_code == 415
