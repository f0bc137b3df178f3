"""Nothing is cut in silence: what does not fit on a page is on the next one, or is named."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from server_made import Fhir, observation

MANY = 1_003


def pages(client: Fhir, query: str) -> list[dict[str, Any]]:
    """All pages of a search or a history."""
    found = [client("GET", f"/{query}").json()]
    while following := next((x["url"] for x in found[-1].get("link", ()) if x["relation"] == "next"), ""):
        found.append(client("GET", "/" + following.partition("/fhir/")[2]).json())
        assert len(found) < 50, "the pages come to an end"
    return found


def names(bundle: dict[str, Any], mode: str) -> list[str]:
    resources = [e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == mode]
    return [f"{r['resourceType']}/{r.get('id', '')}" for r in resources]


@pytest.fixture(scope="module", autouse=True)
def icu(ehr: Fhir) -> None:
    """A patient with more Observations than fit on a page, and another one; a chain of Observations."""
    for own in ("icu", "other"):
        assert ehr("PUT", f"/Patient/{own}", {"resourceType": "Patient", "id": own}).status_code == 201
    entries = [
        {"resource": observation("icu") | {"id": f"i{i}"}, "request": {"method": "PUT", "url": f"Observation/i{i}"}}
        for i in range(MANY)
    ]
    answer = ehr("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200
    for i in range(9):
        derived = {"derivedFrom": [{"reference": f"Observation/c{i - 1}"}]} if i else {}
        assert ehr("PUT", f"/Observation/c{i}", observation("other", **derived) | {"id": f"c{i}"}).status_code == 201


def test_included_resources_that_do_not_fit_are_on_the_next_page(ehr: Fhir) -> None:
    first, *others = pages(ehr, "Patient?_id=icu&_revinclude=Observation:patient")
    assert len(others) == 1
    assert names(first, "match") == ["Patient/icu"]
    assert names(first, "outcome") == ["OperationOutcome/"], "the page says that more is included"
    included = [n for page in (first, *others) for n in names(page, "include")]
    assert sorted(included) == sorted(f"Observation/i{i}" for i in range(MANY))
    assert (names(others[0], "match"), names(others[0], "outcome")) == ([], [])
    assert (first["total"], others[0]["total"]) == (1, 1)


def test_pages_of_included_resources_come_before_further_matches(ehr: Fhir) -> None:
    found = pages(ehr, "Patient?_id=icu,other&_count=1&_revinclude=Observation:patient")
    assert [names(page, "match") for page in found] == [["Patient/icu"], [], ["Patient/other"]]
    assert sorted(names(found[2], "include")) == sorted(f"Observation/c{i}" for i in range(9))


def test_an_include_that_iterates_goes_on_to_the_end(ehr: Fhir) -> None:
    for modifier in ("iterate", "recurse"):
        found = ehr.along(f"Observation?_id=c8&_include:{modifier}=Observation:derived-from")
        assert found == {f"Observation/c{i}" for i in range(8)}
    assert ehr.along("Observation?_id=c8&_include=Observation:derived-from") == {"Observation/c7"}


def test_everything_with_scopes_for_some_types_comes_to_its_end(ehr: Fhir, served: Callable[..., Fhir]) -> None:
    """A resource of another type in between made a page look like the last one."""
    assert ehr("PUT", "/Patient/mixed", {"resourceType": "Patient", "id": "mixed"}).status_code == 201
    for number in range(4):
        ehr.make(observation("mixed"))
        ehr.make({"resourceType": "Condition", "subject": {"reference": "Patient/mixed"}, "code": {"text": f"number {number}"}})
    reader = served("reader", scope="system/Patient.rs system/Observation.rs")
    found = pages(reader, "Patient/mixed/$everything?_count=2")
    assert [e["resource"]["resourceType"] for p in found for e in p["entry"]] == ["Patient", *["Observation"] * 4]
    assert len(pages(ehr, "Patient/mixed/$everything?_type=Patient&_type=Observation")[0]["entry"]) == 5
    assert ehr("GET", "/Patient/mixed/$everything?_type=Shoe").status_code == 400


def test_a_history_is_paged_with_its_total(ehr: Fhir) -> None:
    for number in range(7):
        body = {"resourceType": "Patient", "id": "often", "birthDate": f"19{number + 10}-01-01"}
        assert ehr("PUT", "/Patient/often", body).status_code in (200, 201)
    found = pages(ehr, "Patient/often/_history?_count=3")
    assert [p["total"] for p in found] == [7, 7, 7]
    versions = [e["resource"]["meta"]["versionId"] for p in found for e in p["entry"]]
    assert versions == [str(n) for n in range(7, 0, -1)]


def test_more_versions_than_fit_on_a_page_are_not_cut(ehr: Fhir) -> None:
    """201 versions; the history stated 200 as the total and had no further page."""
    for number in range(201):
        body = {"resourceType": "Patient", "id": "busy", "birthDate": f"{1800 + number}-01-01"}
        assert ehr("PUT", "/Patient/busy", body).status_code in (200, 201)
    found = pages(ehr, "Patient/busy/_history")
    assert [(p["total"], len(p["entry"])) for p in found] == [(201, 200), (201, 1)]


def test_a_history_since_or_at_a_time_has_the_versions_of_that_time(ehr: Fhir) -> None:
    for sex in ("female", "male", "other"):
        assert ehr("PUT", "/Patient/then", {"resourceType": "Patient", "id": "then", "gender": sex}).status_code in (200, 201)
    history = ehr("GET", "/Patient/then/_history").json()["entry"]
    written = [e["resource"]["meta"]["lastUpdated"] for e in history]
    assert len(set(written)) == 3, "each version has a time of its own"

    def versions(query: str) -> list[str]:
        bundle = ehr("GET", f"/Patient/then/_history?{query}").json()
        assert bundle["total"] == len(bundle.get("entry", ()))
        return [e["resource"]["meta"]["versionId"] for e in bundle.get("entry", ())]

    assert versions(f"_since={written[1]}") == ["3", "2"]
    assert versions(f"_at={written[1]}") == ["2"]
    assert versions(f"_at={datetime.now(UTC):%Y}") == ["3", "2", "1"]
    assert versions("_at=2001") == []


@pytest.mark.parametrize("query", ["_since=soon", "_at=never", "_count=-1", "_count=two", "_list=x", "_since=2001&_since=2002"])
def test_a_history_refuses_what_it_cannot_honor(ehr: Fhir, query: str) -> None:
    assert ehr("GET", f"/Patient/icu/_history?{query}").status_code == 400


@pytest.mark.parametrize("cursor", ["e30.00", "e30.é", "é", ".", "e30"])
def test_a_page_that_was_not_linked_is_refused(ehr: Fhir, cursor: str) -> None:
    for place in ("Observation", "Patient/icu/_history", "Patient/icu/$everything", "AuditEvent"):
        assert ehr("GET", f"/{place}?_cursor={cursor}").status_code == 403


def test_pages_of_a_history_belong_to_who_began_it(ehr: Fhir, served: Callable[..., Fhir]) -> None:
    for sex in ("female", "male"):
        assert ehr("PUT", "/Patient/hers", {"resourceType": "Patient", "id": "hers", "gender": sex}).status_code in (200, 201)
    first = ehr("GET", "/Patient/hers/_history?_count=1").json()
    following = next(x["url"] for x in first["link"] if x["relation"] == "next").partition("/fhir")[2]
    assert ehr("GET", following).status_code == 200
    assert served("another")("GET", following).status_code == 403
