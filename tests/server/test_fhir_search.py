"""FHIR search over HTTP, by R4's page on search: each kind of parameter, prefix and modifier against what must be found."""

from collections.abc import Callable
from typing import Any

import pytest

from galenic import store
from galenic.schema import SearchRequest
from server_made import Fhir, observation

TOM, ANN, ZOE = (
    {
        "resourceType": "Patient", "id": "tom", "active": True, "gender": "male", "birthDate": "1980-05-17",
        "name": [{"family": "Müller", "given": ["Tom", "Émile"]}], "deceasedBoolean": False,
        "identifier": [{"system": "urn:mrn", "value": "100",
                        "type": {"coding": [{"system": "urn:t", "code": "MR", "display": "x"}], "text": "Record"}}],
        "telecom": [{"system": "phone", "value": "555-1"}, {"system": "email", "value": "tom@example.org"}],
        "address": [{"city": "Ulm", "line": ["Hauptstraße 1"]}], "managingOrganization": {"reference": "Organization/org"},
    },
    {
        "resourceType": "Patient", "id": "ann", "active": False, "gender": "female", "birthDate": "1980",
        "name": [{"family": "van der Berg", "given": ["Ann"]}], "identifier": [{"system": "urn:mrn", "value": "200"}, {"value": "100"}],
        "generalPractitioner": [{"reference": "Practitioner/doc"}], "deceasedDateTime": "2021-03-04T10:00:00+01:00",
    },
    {"resourceType": "Patient", "id": "zoe", "birthDate": "2001-12-31", "name": [{"text": "Zoë Tomkins"}]},
)  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "org", "name": "Clinic on the Hill"},
    {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Weiss"}]},
    {**observation("tom", value=100), "id": "o1", "effectiveDateTime": "2020-01-02", "performer": [{"reference": "Practitioner/doc"}]},
    {**observation("tom", value=150), "id": "o2", "effectiveDateTime": "2020-01-02T23:30:00-02:00", "status": "amended"},
    {**observation("ann", value=5.4), "id": "o3", "effectivePeriod": {"start": "2019-12-30", "end": "2020-01-05"},
     "code": {"coding": [{"system": "urn:other", "code": "8480-6"}], "text": "Pressure, own code"}},
    {"resourceType": "Observation", "id": "o4", "status": "final", "subject": {"reference": "Patient/ann"},
     "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}, "effectiveDateTime": "2021",
     "component": [{"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
                    "valueQuantity": {"value": 131, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}}]},
    {"resourceType": "Observation", "id": "o5", "status": "final",
     
     "subject": {"reference": "Patient/zoe", "identifier": {"system": "urn:mrn", "value": "900"}},
     "code": {"text": "free"}, "valueString": "Positive reaction"},
    {"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"system": "urn:c", "code": "AMB"},
     "subject": {"reference": "Patient/tom"}, "period": {"start": "2020-01-02"}},
    {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/tom"}, "encounter": {"reference": "Encounter/e1"},
     "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}},
    {"resourceType": "ValueSet", "id": "v1", "status": "active", "url": "http://example.org/vs/a/b"},
    {"resourceType": "RiskAssessment", "id": "r1", "status": "final", "subject": {"reference": "Patient/tom"},
     "prediction": [{"probabilityDecimal": 0.8}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def full(served: Callable[..., Fhir]) -> Fhir:
    """A server with three patients and what is known of them."""
    client = served("ehr")
    for resource in (TOM, ANN, ZOE, *OTHERS):
        answer = client("PUT", f"/{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status_code == 201, answer.text
    return client


FOUND = [
    ("Patient?_id=tom", "tom"),
    ("Patient?_id=tom,zoe,nobody", "tom zoe"),
    ("Patient?name=tom", "tom"),
    ("Patient?name=mull", "tom"),
    ("Patient?name=MÜLLER", "tom"),
    ("Patient?name:contains=omk", "zoe"),
    ("Patient?name:exact=Tom", "tom"),
    ("Patient?name:exact=tom", ""),
    ("Patient?name=zoe", "zoe"),
    ("Patient?family=van der", "ann"),
    ("Patient?given=emile", "tom"),
    ("Patient?given=ann,tom", "tom ann"),
    ("Patient?given=tom&given=émile", "tom"),
    ("Patient?name=bergen", ""),
    ("Patient?address=haupt", "tom"),
    ("Patient?address-city=ulm", "tom"),
    ("Patient?gender=male", "tom"),
    ("Patient?gender=http://hl7.org/fhir/administrative-gender|male", "tom"),
    ("Patient?gender=|male", "tom"),
    ("Patient?gender=urn:x|male", ""),
    ("Patient?gender:not=male", "ann zoe"),
    ("Patient?gender:missing=true", "zoe"),
    ("Patient?gender:missing=false", "tom ann"),
    ("Patient?active=true", "tom"),
    ("Patient?deceased=true", "ann"),
    ("Patient?deceased=false", "tom zoe"),
    ("Patient?death-date=2021-03-04", "ann"),
    ("Patient?identifier=100", "tom ann"),
    ("Patient?identifier=urn:mrn|100", "tom"),
    ("Patient?identifier=|100", "ann"),
    ("Patient?identifier=urn:mrn|", "tom ann"),
    ("Patient?identifier:of-type=urn:t|MR|100", "tom"),
    ("Patient?identifier:text=rec", "tom"),
    ("Patient?phone=555-1", "tom"),
    ("Patient?email=tom@example.org", "tom"),
    ("Patient?telecom=555-1", "tom"),
    ("Patient?birthdate=1980-05-17", "tom"),
    ("Patient?birthdate=1980", "tom ann"),
    ("Patient?birthdate=ne1980", "zoe"),
    ("Patient?birthdate=gt1990", "zoe"),
    ("Patient?birthdate=lt1990", "tom ann"),
    ("Patient?birthdate=ge1980-06", "ann zoe"),
    ("Patient?birthdate=le1980-05-17", "tom ann"),
    ("Patient?birthdate=sa1980", "zoe"),
    ("Patient?birthdate=eb1981", "tom ann"),
    ("Patient?birthdate=ap1980-05", "tom ann"),
    ("Patient?birthdate=ge1980&birthdate=lt1981", "tom ann"),
    ("Patient?organization=Organization/org", "tom"),
    ("Patient?organization=org", "tom"),
    ("Patient?organization.name=clinic", "tom"),
    ("Patient?general-practitioner:Practitioner.family=weiss", "ann"),
    ("Patient?_has:Observation:patient:code=85354-9", "ann"),
    ("Patient?_has:Observation:patient:code-value-quantity=8480-6$gt140", "tom"),
    ("Patient?_has:Observation:patient:_has:RiskAssessment:encounter:probability=gt0.5", ""),
    ("Patient?_has:Encounter:subject:class=AMB", "tom"),
    ("Observation?code=8480-6", "o1 o2 o3"),
    ("Observation?code=http://loinc.org|8480-6", "o1 o2"),
    ("Observation?code=urn:other|", "o3"),
    ("Observation?code:text=systolic", "o1 o2"),
    ("Observation?code:text=pressure, own".replace(",", "\\,"), "o3"),
    ("Observation?combo-code=http://loinc.org|8480-6", "o1 o2 o4"),
    ("Observation?component-code=8480-6", "o4"),
    ("Observation?value-quantity=100", "o1"),
    ("Observation?value-quantity=gt100", "o2"),
    ("Observation?value-quantity=ge100", "o1 o2"),
    ("Observation?value-quantity=lt100", "o3"),
    ("Observation?value-quantity=5.4", "o3"),
    ("Observation?value-quantity=5", "o3"),
    ("Observation?value-quantity=5.40", "o3"),
    ("Observation?value-quantity=ap105", "o1"),
    ("Observation?value-quantity=100|http://unitsofmeasure.org|mm[Hg]", "o1"),
    ("Observation?value-quantity=100||mm[Hg]", "o1"),
    ("Observation?value-quantity=100||kg", ""),
    ("Observation?combo-value-quantity=gt120", "o2 o4"),
    ("Observation?value-string=positive", "o5"),
    ("Observation?code-value-quantity=8480-6$lt120", "o1 o3"),
    ("Observation?code-value-quantity=http://loinc.org|8480-6$lt120", "o1"),
    ("Observation?component-code-value-quantity=8480-6$131", "o4"),
    ("Observation?combo-code-value-quantity=8480-6$gt120", "o2 o4"),
    ("Observation?status=final", "o1 o3 o4 o5"),
    ("Observation?status:not=final", "o2"),
    ("Observation?subject=Patient/tom", "o1 o2"),
    ("Observation?subject=tom", "o1 o2"),
    ("Observation?subject:Patient=tom", "o1 o2"),
    ("Observation?patient=tom", "o1 o2"),
    ("Observation?subject:identifier=urn:mrn|900", "o5"),
    ("Observation?patient.name=tom", "o1 o2"),
    ("Observation?subject:Patient.birthdate=gt2000", "o5"),
    ("Observation?patient.organization.name=clinic", "o1 o2"),
    ("Observation?performer=Practitioner/doc", "o1"),
    ("Observation?date=2020-01-02", "o1"),
    ("Observation?date=2020-01-03", "o2"),
    ("Observation?date=2020", "o1 o2"),
    ("Observation?date=ge2020-01-03", "o2 o3 o4"),
    ("Observation?date=gt2020-01-03", "o3 o4"),
    ("Observation?date=lt2020-01-02", "o3"),
    ("Observation?date=2020-01-03T01:30:00Z", "o2"),
    ("Observation?date:missing=true", "o5"),
    ("Observation?patient=tom&value-quantity=gt120&status=amended", "o2"),
    ("Encounter?class=AMB&date=2020-01-02", ""),
    ("Encounter?class=AMB&date=ge2020-01-02", "e1"),
    ("Condition?clinical-status=active&encounter.date=ge2020", "c1"),
    ("ValueSet?url=http://example.org/vs/a/b", "v1"),
    ("ValueSet?url:below=http://example.org/vs/a", "v1"),
    ("ValueSet?url:below=http://example.org/v", ""),
    ("ValueSet?url:above=http://example.org/vs/a/b/c", "v1"),
    ("RiskAssessment?probability=gt0.5", "r1"),
    ("RiskAssessment?probability=0.8", "r1"),
    ("RiskAssessment?probability=lt0.5", ""),
    ("Patient?_lastUpdated=gt2020-01-01", "tom ann zoe"),
    ("Patient?_lastUpdated=lt2020-01-01", ""),
    ("Patient?name=", "tom ann zoe"),
]


@pytest.mark.parametrize(("query", "expected"), FOUND, ids=[q for q, _ in FOUND])
def test_a_search_finds_what_r4_says(full: Fhir, query: str, expected: str) -> None:
    assert sorted(full.found(query)) == sorted(expected.split())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient?_sort=birthdate&birthdate:missing=false", "ann tom zoe"),
        ("Patient?_sort=-birthdate", "zoe tom ann"),
        ("Patient?_sort=family", "tom ann zoe"),
        ("Patient?_sort=-family", "ann tom zoe"),
        ("Patient?_sort=_id", "ann tom zoe"),
        ("Patient?_sort=-_lastUpdated", "zoe ann tom"),
        ("Observation?_sort=-date", "o4 o2 o1 o3 o5"),
        ("Observation?_sort=value-quantity&value-quantity:missing=false", "o3 o1 o2"),
        ("Observation?_sort=status,-date&patient=tom", "o2 o1"),
    ],
)
def test_hits_come_in_the_order_that_was_asked(full: Fhir, query: str, expected: str) -> None:
    if "status" in query:
        assert full("GET", f"/{query}").status_code == 400  # a code has no order
    else:
        assert full.found(query) == expected.split()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Observation?_id=o1&_include=Observation:subject", "Patient/tom"),
        ("Observation?_id=o1&_include=Observation:*", "Patient/tom Practitioner/doc"),
        ("Observation?_id=o1&_include=Observation:performer:Practitioner", "Practitioner/doc"),
        ("Observation?_id=o1&_include=Observation:performer:Patient", ""),
        (
            "Observation?_id=o1&_include=Observation:subject&_include:iterate=Patient:organization",
            "Patient/tom Organization/org",
        ),
        ("Patient?_id=tom&_revinclude=Encounter:subject", "Encounter/e1"),
        ("Patient?_id=tom&_revinclude=Encounter:patient&_revinclude:iterate=Condition:encounter", "Encounter/e1 Condition/c1"),
        ("Patient?_id=tom&_revinclude=Observation:patient", "Observation/o1 Observation/o2"),
    ],
)
def test_what_is_asked_for_comes_along(full: Fhir, query: str, expected: str) -> None:
    assert full.along(query) == set(expected.split())


def test_pages_hold_every_hit_once(full: Fhir) -> None:
    for query in ("Observation?_count=2", "Observation?_count=2&_sort=-date"):
        answer, seen = full("GET", f"/{query}").json(), []
        assert answer["total"] == 5
        while True:
            seen += [e["resource"]["id"] for e in answer["entry"]]
            following = next((link["url"] for link in answer["link"] if link["relation"] == "next"), None)
            if following is None:
                break
            answer = full("GET", following.partition("/fhir")[2]).json()
        assert sorted(seen) == ["o1", "o2", "o3", "o4", "o5"]


def test_a_count_alone_holds_nobody(full: Fhir) -> None:
    for query in ("Observation?code=8480-6&_summary=count", "Observation?code=8480-6&_count=0"):
        answer = full("GET", f"/{query}").json()
        assert (answer["total"], "entry" in answer) == (3, False)


def test_parts_are_marked_as_parts(full: Fhir) -> None:
    summary = full("GET", "/Patient?_id=tom&_summary=true").json()["entry"][0]["resource"]
    text = full("GET", "/Patient?_id=tom&_summary=text").json()["entry"][0]["resource"]
    elements = full("GET", "/Observation?_id=o1&_elements=valueQuantity").json()["entry"][0]["resource"]
    assert "name" in summary
    assert "contact" not in summary
    assert set(text) <= {"resourceType", "id", "meta", "text"}
    assert set(elements) == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    for part in (summary, text, elements):
        assert {"SUBSETTED"} == {t["code"] for t in part["meta"]["tag"]}


def test_a_search_by_post_is_the_same_search(full: Fhir) -> None:
    answer = full("POST", "/Patient/_search", b"gender=male&_count=5", Content_Type="application/x-www-form-urlencoded")
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == ["tom"]


@pytest.mark.parametrize(
    "query",
    [
        "Patient?shoe-size=44",
        "Patient?name:phonetic=tom",
        "Patient?birthdate=yesterday",
        "Patient?birthdate=gt",
        "Observation?value-quantity=big",
        "Observation?value-quantity=1|2",
        "Observation?value-quantity=1e999999999",
        "Observation?code-value-quantity=8480-6",
        "Patient?_sort=shoe-size",
        "Observation?_sort=status",
        "Observation?_sort=subject",
        "Patient?_include=Patient:shoe",
        "Patient?_include=Shoe:patient",
        "Patient?_has:Observation:code:code=1",
        "Patient?_has:Shoe:patient:code=1",
        "Patient?_count=many",
        "Patient?_summary=all",
        "Patient?gender:missing=maybe",
        "Patient?_filter=name eq tom",
        "Patient?gender.name=x",
        "Patient?link.link.link.link.link.name=x",
    ],
)
def test_what_is_not_understood_is_refused(full: Fhir, query: str) -> None:
    answer = full("GET", f"/{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_what_is_not_known_is_passed_over_where_a_client_is_lenient(full: Fhir) -> None:
    answer = full("GET", "/Patient?gender=male&shoe-size=44", Prefer="handling=lenient").json()
    assert [e["resource"]["id"] for e in answer["entry"] if e["search"]["mode"] == "match"] == ["tom"]
    outcome = next(e["resource"] for e in answer["entry"] if e["search"]["mode"] == "outcome")
    assert "shoe-size" in outcome["issue"][0]["diagnostics"]
    assert "shoe-size" not in answer["link"][0]["url"]


def test_what_changed_is_found_by_what_it_is_now(full: Fhir) -> None:
    changed = {**ZOE, "name": [{"family": "Sommer"}]}
    assert full("PUT", "/Patient/zoe", changed).status_code == 200
    assert full.found("Patient?family=sommer") == ["zoe"]
    assert full.found("Patient?name=tomkins") == []
    full("PUT", "/Patient/zoe", ZOE)
    assert full.found("Patient?name=zoe") == ["zoe"]
    assert full.found("Patient?family=sommer") == []


class CountingIndex(store.ResourceIndex):
    """An index that counts how often a search is compiled."""

    compilations = 0

    def compile(self, request: SearchRequest) -> store.CompiledSearch:
        self.compilations += 1
        return super().compile(request)


@pytest.mark.parametrize("query", ["Patient?name=tom", "Observation?patient.name=tom&_sort=-date", "Patient?_summary=count"])
def test_a_page_compiles_its_search_once_for_the_total_and_the_matches(full: Fhir, query: str) -> None:
    before = full.repository.index
    counting = full.repository.index = CountingIndex(before.path, before.key)
    try:
        answer = full("GET", f"/{query}")
    finally:
        full.repository.index = before
        counting.close()
    assert answer.status_code == 200
    assert answer.json()["total"] >= 1
    assert counting.compilations == 1


def test_a_page_belongs_to_its_search(full: Fhir) -> None:
    answer = full("GET", "/Patient?_count=1").json()
    following = next(link["url"] for link in answer["link"] if link["relation"] == "next")
    page = following.partition("/fhir")[2]
    assert full("GET", page).status_code == 200
    for changed in (page[:-1] + ("0" if page[-1] != "0" else "1"), page + "%C3%A9", page + "%ff"):
        assert full("GET", changed).status_code == 403
