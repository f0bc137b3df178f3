"""Links and conditions between the entries of a transaction, and errors that name the entry (R4, http.html, 3.1.0.11)."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from server_made import Fhir, observation

Entry = dict[str, Any]
XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">'


def transaction(*entries: Entry) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, *, full: str = "", **request: str) -> Entry:
    found: Entry = {"request": {"method": method, "url": url, **request}}
    found |= {"resource": resource} if resource else {}
    return {**found, "fullUrl": full} if full else found


def patient(mark: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:ids", "value": mark}]}


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def places(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    found = [e["response"].get("location", "") for e in answer.json()["entry"]]
    return [p.partition("/fhir/")[2].partition("/_history")[0] for p in found]


BINARY = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8="}


def test_an_attachment_names_the_binary_that_the_transaction_makes(ehr: Fhir) -> None:
    full = urn()
    document = {
        "resourceType": "DocumentReference", "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "url": full}}],
    }  # fmt: skip
    made = places(
        ehr("POST", "", transaction(entry("POST", "DocumentReference", document), entry("POST", "Binary", BINARY, full=full)))
    )
    stored = ehr("GET", f"/{made[0]}").json()
    assert stored["content"][0]["attachment"]["url"] == made[1]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        pytest.param({"extension": [{"url": "http://x.example/1", "valueUri": "URN"}]}, "valueUri", id="uri"),
        pytest.param({"extension": [{"url": "http://x.example/1", "valueUrl": "URN"}]}, "valueUrl", id="url"),
        pytest.param({"extension": [{"url": "http://x.example/1", "valueUuid": "URN"}]}, "valueUri", id="uuid, which it is no longer"),
        pytest.param({"link": [{"other": {"reference": "URN"}, "type": "seealso"}]}, "reference", id="reference"),
        pytest.param(
            {"contained": [{"resourceType": "DocumentReference", "id": "d", "status": "current",
              "content": [{"attachment": {"url": "URN"}}]}],
             "extension": [{"url": "http://x.example/1", "valueReference": {"reference": "#d"}}]}, "url", id="in a contained resource"),
    ],
)  # fmt: skip
def test_every_type_of_link_is_replaced(ehr: Fhir, part: dict[str, Any], found: str) -> None:
    full = urn()
    text = str(part).replace("URN", full).replace("'", '"')
    about = {"resourceType": "Patient", **json.loads(text)}
    made = places(
        ehr("POST", "", transaction(entry("POST", "Patient", about), entry("POST", "Patient", patient("x"), full=full)))
    )
    stored = ehr("GET", f"/{made[0]}")
    assert full not in stored.text
    assert f'"{found}":"{made[1]}"' in stored.text
    assert all(i["severity"] != "error" for i in ehr("POST", "/Patient/$validate", stored.json()).json()["issue"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param('<p><a href="URN">x</a></p>', '<p><a href="NAME">x</a></p>', id="a link"),
        pytest.param(
            "<p><a title='x > y' href='URN'>x</a></p>", "<p><a title='x > y' href=\"NAME\">x</a></p>", id="in apostrophes"
        ),
        pytest.param('<img alt="x" src="URN"/>', '<img alt="x" src="NAME"/>', id="an image"),
        pytest.param('<p><a href="URN#part">x</a></p>', '<p><a href="NAME#part">x</a></p>', id="a link to a part"),
        pytest.param("<p>URN</p>", "<p>URN</p>", id="text, which is no link"),
    ],
)
def test_links_in_narrative_are_replaced(ehr: Fhir, given: str, expected: str) -> None:
    full = urn()
    div = f"{XHTML}{given}</div>".replace("URN", full)
    about = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    made = places(
        ehr("POST", "", transaction(entry("POST", "Patient", about), entry("POST", "Patient", patient("x"), full=full)))
    )
    assert ehr("GET", f"/{made[0]}").json()["text"]["div"] == f"{XHTML}{expected}</div>".replace("NAME", made[1]).replace(
        "URN", full
    )


def test_a_canonical_and_an_identifier_are_no_links(ehr: Fhir) -> None:
    full = urn()
    about = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": full}],
        "extension": [{"url": "http://x.example/1", "valueCanonical": full}],
    }
    made = places(
        ehr("POST", "", transaction(entry("POST", "Patient", about), entry("POST", "Patient", patient("x"), full=full)))
    )
    assert ehr("GET", f"/{made[0]}").text.count(full) == 2


def test_a_relative_reference_is_to_the_entry_of_the_same_base(ehr: Fhir) -> None:
    about = {**observation("p1"), "performer": [{"reference": "Organization/elsewhere"}]}
    made = places(
        ehr(
            "POST",
            "",
            transaction(
                entry("POST", "Observation", about, full="https://ehr.example/Observation/o1"),
                entry("POST", "Patient", patient("x"), full="https://ehr.example/Patient/p1"),
            ),
        )
    )
    stored = ehr("GET", f"/{made[0]}").json()
    assert stored["subject"]["reference"] == made[1]
    assert stored["performer"][0]["reference"] == "Organization/elsewhere"


def test_any_absolute_uri_names_an_entry(ehr: Fhir) -> None:
    """SMART Health Cards use resource:0 (HL7 SMART Health Cards, Modelling)."""
    about = {**observation("x"), "subject": {"reference": "resource:0"}}
    made = places(
        ehr(
            "POST",
            "",
            transaction(
                entry("POST", "Patient", patient("x"), full="resource:0"),
                entry("POST", "Observation", about, full="resource:1"),
            ),
        )
    )
    assert ehr("GET", f"/{made[1]}").json()["subject"]["reference"] == made[0]


# conditions


def test_two_creates_with_one_condition_make_one_resource(ehr: Fhir) -> None:
    mark = uuid.uuid4().hex
    create = entry("POST", "Patient", patient(mark), ifNoneExist=f"identifier=urn:ids|{mark}")
    other = entry("POST", "Patient", patient(mark), ifNoneExist=f"identifier={mark}")
    answer = ehr("POST", "", transaction(create, create, other))
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["201", "200", "200"]
    assert len(set(places(answer))) == 1
    assert len(ehr.found(f"Patient?identifier={mark}")) == 1


def test_two_creates_whose_resources_do_not_meet_their_own_condition_make_one(ehr: Fhir) -> None:
    mark = uuid.uuid4().hex
    create = entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist=f"identifier={mark}")
    assert len(set(places(ehr("POST", "", transaction(create, create))))) == 1


@pytest.mark.parametrize("second", ["identifier=urn:ids|MARK", "identifier=MARK"])
def test_two_conditional_updates_that_mean_one_resource_are_refused(ehr: Fhir, second: str) -> None:
    mark = uuid.uuid4().hex
    puts = [
        entry("PUT", f"Patient?{condition}".replace("MARK", mark), patient(mark))
        for condition in ("identifier=urn:ids|MARK", second)
    ]
    answer = ehr("POST", "", transaction(*puts))
    assert answer.status_code == 422
    issue = answer.json()["issue"][0]
    assert (issue["code"], issue["expression"]) == ("duplicate", ["Bundle.entry[1]"])
    assert ehr.found(f"Patient?identifier={mark}") == []
    assert ehr("POST", "", transaction(puts[0])).status_code == 200


def test_a_conditional_create_meets_what_the_same_transaction_creates_without_one(ehr: Fhir) -> None:
    mark = uuid.uuid4().hex
    conditional = entry("POST", "Patient", patient(mark), ifNoneExist=f"identifier={mark}")
    answer = ehr("POST", "", transaction(conditional, entry("POST", "Patient", patient(mark))))
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["200", "201"]
    assert len(set(places(answer))) == 1


def test_a_conditional_create_makes_what_the_same_transaction_deletes(ehr: Fhir) -> None:
    """Deletions come first (R4, http.html, 3.1.0.11.2)."""
    mark = uuid.uuid4().hex
    old = ehr.make(patient(mark))
    create = entry("POST", "Patient", patient(mark), ifNoneExist=f"identifier={mark}")
    answer = ehr("POST", "", transaction(create, entry("DELETE", f"Patient?identifier={mark}")))
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["201", "204"]
    assert ehr.found(f"Patient?identifier={mark}") != [old]


@pytest.mark.parametrize("condition", ["patient=URN&code=8480-6", "patient=urn%3Auuid%3AREST&code=8480-6", "subject=URN"])
def test_a_condition_may_name_another_entry(ehr: Fhir, condition: str) -> None:
    mark, full = uuid.uuid4().hex, urn()
    about = {**observation("x"), "subject": {"reference": full}}
    condition = condition.replace("URN", full).replace("REST", full.rpartition(":")[2])
    entries = (
        entry("POST", "Observation", about, ifNoneExist=condition),
        entry("POST", "Patient", patient(mark), full=full, ifNoneExist=f"identifier={mark}"),
    )
    first, again = places(ehr("POST", "", transaction(*entries))), places(ehr("POST", "", transaction(*entries)))
    assert first == again
    assert len(ehr.found(f"Observation?patient.identifier={mark}")) == 1
    twice = places(ehr("POST", "", transaction(*entries, entries[0])))
    assert twice == [*first, first[0]]


def test_conditions_that_depend_on_one_another_are_refused(ehr: Fhir) -> None:
    one, two = urn(), urn()
    entries = [
        entry("POST", "Encounter", {"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}},
              full=mine, ifNoneExist=f"part-of={other}")
        for mine, other in ((one, two), (two, one))
    ]  # fmt: skip
    answer = ehr("POST", "", transaction(*entries))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].request"]


def test_a_conditional_reference_may_mean_an_entry(ehr: Fhir) -> None:
    """Conditional references are resolved last (R4, http.html, 3.1.0.11.2)."""
    mark = uuid.uuid4().hex
    about = {**observation("x"), "subject": {"reference": f"Patient?identifier=urn:ids|{mark}"}}
    made = places(ehr("POST", "", transaction(entry("POST", "Observation", about), entry("POST", "Patient", patient(mark)))))
    assert ehr("GET", f"/{made[0]}").json()["subject"]["reference"] == made[1]


def test_a_conditional_reference_does_not_mean_what_is_changed_into_something_else(ehr: Fhir) -> None:
    mark = uuid.uuid4().hex
    own = ehr.make(patient(mark))
    about = {**observation("x"), "subject": {"reference": f"Patient?identifier={mark}"}}
    changed = entry("PUT", f"Patient/{own}", {**patient("other"), "id": own})
    assert ehr("POST", "", transaction(entry("POST", "Observation", about), changed)).status_code == 412


# errors


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        pytest.param(
            entry("POST", "Observation", {**observation("x"), "subject": {"reference": "Patient?identifier=none"}}),
            412, id="a reference",
        ),
        pytest.param(entry("DELETE", "Patient?shoe=1"), 400, id="a condition"),
        pytest.param(entry("POST", "Observation", observation("x"), ifNoneExist="shoe=1"), 400, id="a condition of a create"),
        pytest.param(entry("PATCH", "Patient/never-was", {**BINARY, "data": "W10="}), 404, id="a patch of nothing"),
        pytest.param(entry("PATCH", "Patient/never-was", {**BINARY, "data": "aGk="}), 404, id="no patch"),
        pytest.param(entry("GET", "Patient/never-was"), 404, id="a read of nothing"),
        pytest.param(entry("PUT", "Patient?identifier=xyz", patient("x"), ifMatch="no"), 400, id="no version"),
    ],
)  # fmt: skip
def test_an_error_of_an_entry_names_it(ehr: Fhir, bad: Entry, status: int) -> None:
    answer = ehr("POST", "", transaction(entry("POST", "Patient", patient("x")), bad))
    assert answer.status_code == status, answer.text
    assert "Bundle.entry[1]" in str(answer.json()["issue"])


def test_too_many_entries_are_refused_with_the_limit(ehr: Fhir) -> None:
    answer = ehr("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [{}] * 10_001})
    assert "10,001 entries; a Bundle may have at most 10,000" in answer.text


# versions


def test_a_patch_that_changes_nothing_makes_no_version(ehr: Fhir) -> None:
    own = ehr.make(patient("x"))
    for patch in (
        [],
        [{"op": "test", "path": "/resourceType", "value": "Patient"}],
        [{"op": "replace", "path": "/meta/versionId", "value": "7"}],
    ):
        answer = ehr("PATCH", f"/Patient/{own}", patch)
        assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"'), patch
        assert answer.json() == ehr("GET", f"/Patient/{own}").json()
    packed = entry("PATCH", f"Patient/{own}", {**BINARY, "data": "W10="})
    response = ehr("POST", "", transaction(packed)).json()["entry"][0]["response"]
    assert (response["status"], response["etag"]) == ("200", 'W/"1"')
    assert ehr("PATCH", f"/Patient/{own}", [{"op": "test", "path": "/resourceType", "value": "Group"}]).status_code == 400
    assert ehr("PATCH", f"/Patient/{own}", [], If_Match='W/"2"').status_code == 412
    assert ehr("PATCH", f"/Patient/{own}", [{"op": "add", "path": "/active", "value": True}]).headers["etag"] == 'W/"2"'


@pytest.mark.parametrize("kind", ["Patient", "Observation"])
def test_first_updates_of_one_id_at_once_all_become_versions(ehr: Fhir, kind: str) -> None:
    own = uuid.uuid4().hex
    body = patient("x") if kind == "Patient" else observation(f"of-{own}")
    if kind == "Observation":
        ehr("PUT", f"/Patient/of-{own}", {**patient("x"), "id": f"of-{own}"})
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: ehr("PUT", f"/{kind}/{own}", {**body, "id": own}), range(12)))
    assert sorted(a.status_code for a in answers) == [200] * 11 + [201]
    assert sorted(int(a.json()["meta"]["versionId"]) for a in answers) == list(range(1, 13))
