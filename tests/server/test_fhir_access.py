"""What the FHIR door tells, and to whom: one decision about one patient for each record, and nothing by the way."""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import pytest

from galenic.custody import server_session
from galenic.custody.access import end_care_relation
from galenic.security import token_name
from server_made import Fhir, observation, treats

DECISION = "https://galenic.dev/fhir/StructureDefinition/decision"
HIDDEN = "Geheimnis"


@pytest.fixture(scope="module")
def ward(served: Callable[..., Fhir]) -> tuple[Fhir, Fhir]:
    """(the hospital's system, a clinician who treats "mine" and not "theirs")."""
    ehr = served("ehr")
    for own, family, value in (("mine", "Offen", 120), ("theirs", HIDDEN, 190)):
        ehr("PUT", f"/Patient/{own}", {"resourceType": "Patient", "id": own, "name": [{"family": family}], "gender": "male"})
        ehr(
            "PUT",
            f"/Observation/of-{own}",
            {**observation(own, value=value), "id": f"of-{own}", "effectiveDateTime": "2024-05-01"},
        )
        ehr("PUT", f"/Encounter/in-{own}", {
            "resourceType": "Encounter", "id": f"in-{own}", "status": "finished", "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{own}"}, "period": {"start": "2024-05-01"},
            "location": [{"location": {"reference": "Location/room"}}]})  # fmt: skip
    ehr("PUT", "/Location/room", {"resourceType": "Location", "id": "room", "name": "Room 1"})
    ehr("PUT", "/Group/all", {
        "resourceType": "Group", "id": "all", "type": "person", "actual": True,
        "member": [{"entity": {"reference": f"Patient/{p}"}} for p in ("mine", "theirs")]})  # fmt: skip
    ehr(
        "PUT",
        "/Observation/ours",
        {**observation("mine"), "id": "ours", "derivedFrom": [{"reference": "Observation/of-theirs"}]},
    )
    clara = served("clara", role="clinician", scope="user/*.cruds", purposes="treatment emergency")
    treats(ehr, "mine", "clara")
    return ehr, clara


def test_a_clinician_reads_whom_she_treats(ward: tuple[Fhir, Fhir]) -> None:
    _ehr, clara = ward
    assert clara("GET", "/Patient/mine").status_code == 200
    assert clara("GET", "/Observation/of-mine").status_code == 200
    assert clara("GET", "/Location/room").status_code == 200
    assert clara.found("Patient") == ["mine"]
    assert {"of-mine", "ours"} <= set(clara.found("Observation"))
    assert "of-theirs" not in clara.found("Observation")


@pytest.mark.parametrize(
    "path",
    [
        "Patient/theirs", "Patient/theirs/_history/1", "Patient/theirs/_history", "Observation/of-theirs", "Group/all",
        "Observation/of-theirs/_history/1",
    ],
)  # fmt: skip
def test_what_is_hidden_answers_as_what_is_absent(ward: tuple[Fhir, Fhir], path: str) -> None:
    _ehr, clara = ward
    hidden, absent = clara("GET", f"/{path}"), clara("GET", "/" + path.replace("theirs", "nobody").replace("all", "none"))
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content
    names = {k for k in hidden.headers if k != "x-request-id"}
    assert names == {k for k in absent.headers if k != "x-request-id"}
    assert "etag" not in names


def test_what_is_hidden_takes_as_long_as_what_is_absent(ward: tuple[Fhir, Fhir]) -> None:
    """Medians of 60 each, interleaved; the factor of 1.5 is passed by chance less than once in a thousand runs (measured)."""
    _ehr, clara = ward
    times: dict[str, list[float]] = {"theirs": [], "nobody": []}
    for _ in range(60):
        for own, found in times.items():
            started = time.perf_counter()
            clara("GET", f"/Patient/{own}")
            found.append(time.perf_counter() - started)
    assert 1 / 1.5 < median(times["theirs"]) / median(times["nobody"]) < 1.5


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("Patient?name=geheim", id="by a name"),
        pytest.param("Patient?_id=theirs", id="by an id"),
        pytest.param("Patient?_has:Observation:patient:value-quantity=gt180", id="by what refers to it"),
        pytest.param("Encounter?subject:Patient.name=geheim", id="by a chain"),
        pytest.param("Observation?patient.name=geheim", id="by a chain to a hidden patient"),
        pytest.param("Observation?derived-from.value-quantity=gt180", id="by a chain from one's own to a hidden one"),
        pytest.param("Observation?derived-from:Observation.code=8480-6", id="by a chain over a hidden one"),
        pytest.param(
            "Location?_has:Encounter:location:subject:Patient.name=geheim", id="by a hidden one that refers to no patient's"
        ),
        pytest.param("Patient?_has:Group:member:_id=all", id="by a group that names both"),
        pytest.param("Group?member=Patient/theirs", id="by membership"),
        pytest.param("Observation?value-quantity=gt180", id="by a value"),
    ],
)
def test_no_search_tells_of_what_is_hidden(ward: tuple[Fhir, Fhir], query: str) -> None:
    _ehr, clara = ward
    for more in ("", "&_summary=count", "&_total=accurate", "&_sort=_id"):
        answer = clara("GET", f"/{query}{more}").json()
        assert answer.get("total", 0) == 0, more
        assert "entry" not in answer


def test_the_hospitals_system_finds_by_all_of_these(ward: tuple[Fhir, Fhir]) -> None:
    ehr, _clara = ward
    assert ehr.found("Patient?_has:Observation:patient:value-quantity=gt180") == ["theirs"]
    assert ehr.found("Observation?derived-from.value-quantity=gt180") == ["ours"]
    assert ehr.found("Location?_has:Encounter:location:subject:Patient.name=geheim") == ["room"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Observation?_id=ours&_include=Observation:derived-from", set()),
        ("Observation?_id=ours&_include=Observation:*", {"Patient/mine"}),
        ("Observation?_id=ours&_include=*", {"Patient/mine"}),
        ("Location?_id=room&_revinclude=Encounter:location", {"Encounter/in-mine"}),
        (
            "Location?_id=room&_revinclude=Encounter:location&_include:iterate=Encounter:subject",
            {"Encounter/in-mine", "Patient/mine"},
        ),
        ("Location?_id=room&_revinclude=Encounter:*&_include:iterate=Encounter:*", {"Encounter/in-mine", "Patient/mine"}),
        ("Patient?_id=mine&_revinclude=Group:member", set()),
    ],
)
def test_what_comes_along_passes_the_gate_too(ward: tuple[Fhir, Fhir], query: str, expected: set[str]) -> None:
    _ehr, clara = ward
    assert clara.along(query) == expected


def test_a_page_is_for_whom_it_was_made(ward: tuple[Fhir, Fhir]) -> None:
    ehr, clara = ward
    following = next(x["url"] for x in ehr("GET", "/Observation?_count=1").json()["link"] if x["relation"] == "next")
    path = following.partition("/fhir")[2]
    assert ehr("GET", path).status_code == 200
    assert clara("GET", path).status_code == 403
    assert ehr("GET", path + "&status=final").status_code == 403
    assert ehr("GET", path, X_Galenic_Purpose="operations").status_code == 403
    assert ehr("GET", "/Observation?_count=1&_cursor=e30.00").status_code == 403


def decisions(answer: Any) -> list[tuple[str, str]]:
    return [
        (e["extension"][0]["valueString"], (e["resource"].get("subject") or {"reference": f"Patient/{e['resource']['id']}"})["reference"])
        for e in answer.json()["entry"]
    ]  # fmt: skip


def test_each_record_names_one_decision_and_a_decision_is_about_one_patient(ward: tuple[Fhir, Fhir]) -> None:
    ehr, _clara = ward
    found = decisions(ehr("GET", "/Patient?_revinclude=Observation:patient"))
    about: dict[str, set[str]] = {}
    for decision, patient in found:
        about.setdefault(decision, set()).add(patient)
    assert len(found) >= 5
    assert all(len(patients) == 1 for patients in about.values())
    rows = {str(e.seq): e for e in ehr.installation.audit.entries()}
    for decision in about:
        assert rows[decision].outcome == "allowed"
        assert rows[decision].resource.startswith("record/records/")


def test_a_whole_record_is_one_decision_and_nobody_elses(ward: tuple[Fhir, Fhir]) -> None:
    ehr, clara = ward
    for client in (ehr, clara):
        seen, path = [], "/Patient/mine/$everything?_count=2"
        while path:
            answer = client("GET", path)
            assert answer.status_code == 200, answer.text
            assert len({d for d, _ in decisions(answer)}) == 1
            seen += [e["resource"] for e in answer.json()["entry"]]
            path = next((x["url"].partition("/fhir")[2] for x in answer.json().get("link", []) if x["relation"] == "next"), "")
        names = [f"{r['resourceType']}/{r['id']}" for r in seen]
        assert len(names) == len(set(names))
        assert {"Patient/mine", "Observation/of-mine", "Encounter/in-mine"} <= set(names)
        assert not [n for n in names if "theirs" in n]
    assert clara("GET", "/Patient/theirs/$everything").content == clara("GET", "/Patient/nobody/$everything").content
    kinds = clara("GET", "/Patient/mine/$everything?_type=Encounter").json()["entry"]
    assert {e["resource"]["resourceType"] for e in kinds} == {"Encounter"}
    assert clara("GET", "/Patient/mine/$everything?_since=2999-01-01").json().get("entry") is None
    assert clara("GET", "/Patient/mine/$everything?shoe=1").status_code == 400


def test_an_auditor_reads_the_chain_as_audit_events(ward: tuple[Fhir, Fhir], served: Callable[..., Fhir]) -> None:
    _ehr, clara = ward
    clara("GET", "/Patient/theirs")
    aude = served("aude", role="auditor", scope="user/AuditEvent.rs", purposes="audit")
    answer = aude("GET", "/AuditEvent?agent:identifier=clara&outcome=4&_count=5").json()
    first = answer["entry"][0]["resource"]
    assert first["agent"][0]["who"]["identifier"]["value"] == "clara"
    assert first["outcome"] == "4"
    assert _ehr("POST", "/AuditEvent/$validate", first).json()["issue"][0]["severity"] in ("information", "warning")
    assert aude("GET", f"/AuditEvent/{first['id']}").json() == first
    seen, path = 0, "/AuditEvent?_count=40&date=ge2020"
    while path:
        page = aude("GET", path).json()
        seen += len(page.get("entry", []))
        path = next((x["url"].partition("/fhir")[2] for x in page["link"] if x["relation"] == "next"), "")
    assert seen >= aude.installation.audit.head()[0] - 60
    assert clara("GET", "/AuditEvent").status_code == 403
    assert _ehr("GET", "/AuditEvent").status_code == 403
    assert aude("GET", "/AuditEvent?shoe=1").status_code == 400
    assert _ehr("POST", "/AuditEvent", first).status_code == 405
    assert aude("GET", "/Patient").status_code == 403


def test_what_was_refused_is_on_the_chain(ward: tuple[Fhir, Fhir]) -> None:
    ehr, clara = ward
    before = ehr.installation.audit.head()[0]
    clara("GET", "/Patient/theirs")
    denied = [e for e in ehr.installation.audit.entries(before) if e.action == "gate.denied"]
    assert [(e.actor, e.detail["verb"]) for e in denied] == [("clara", "read")]


def test_a_clinician_writes_for_whom_she_treats_alone(ward: tuple[Fhir, Fhir]) -> None:
    _ehr, clara = ward
    assert clara("POST", "/Observation", observation("mine")).status_code == 201
    assert clara("POST", "/Observation", observation("theirs")).status_code == 403
    assert clara("POST", "/Observation", observation("nobody-yet")).status_code == 403
    stolen = {**observation("mine"), "id": "of-theirs"}
    assert clara("PUT", "/Observation/of-theirs", stolen).status_code == 404
    assert clara("PUT", "/Observation/of-nobody", {**stolen, "id": "of-nobody"}).status_code == 404
    given_away = {**observation("theirs"), "id": "of-mine"}
    assert clara("PUT", "/Observation/of-mine", given_away).status_code == 403
    assert clara("DELETE", "/Observation/of-theirs").status_code == 404
    assert clara("DELETE", "/Observation/of-nobody").status_code == 404
    assert clara("PATCH", "/Patient/theirs", [{"op": "add", "path": "/active", "value": False}]).status_code == 404


def test_a_bundle_is_no_way_around(ward: tuple[Fhir, Fhir]) -> None:
    ehr, clara = ward
    smuggled = [
        {"request": {"method": "POST", "url": "Observation"}, "resource": observation("mine", value=77)},
        {"request": {"method": "POST", "url": "Observation"}, "resource": observation("theirs", value=77)},
    ]
    assert clara("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": smuggled}).status_code == 403
    assert ehr.found("Observation?value-quantity=77") == []
    reads = [{"request": {"method": "GET", "url": u}} for u in ("Patient/theirs", "Patient?name=geheim", "Patient/mine")]
    answer = clara("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": reads}).json()
    assert [e["response"]["status"] for e in answer["entry"]] == ["404", "200", "200"]
    assert answer["entry"][1]["resource"]["total"] == 0
    assert HIDDEN not in str(answer)


def test_a_condition_says_nothing_of_what_is_hidden(ward: tuple[Fhir, Fhir]) -> None:
    _ehr, clara = ward
    answer = clara("POST", "/Observation", observation("mine"), If_None_Exist="value-quantity=gt180")
    assert answer.status_code == 201


def stepped_up(client: Fhir) -> None:
    """As if the person behind a token had just confirmed that it is them."""
    fact = client.installation.facts.one("session", token_name(client.token))
    assert fact is not None
    body = tuple(sorted({**dict(fact.body), "stepped_up_until": "2999-01-01T00:00:00+00:00"}.items()))
    client.installation.facts.put(replace(fact, body=body))
    client.installation.gate.versions.refresh()


def test_the_glass_can_be_broken_with_a_reason_and_it_is_seen(ward: tuple[Fhir, Fhir]) -> None:
    ehr, clara = ward
    without = clara("GET", "/Patient/theirs", X_Galenic_Purpose="emergency")
    assert without.status_code == 404
    before = ehr.installation.audit.head()[0]
    why = "unconscious, no papers, allergic reaction"
    unconfirmed = clara("GET", "/Patient/theirs", X_Galenic_Purpose="emergency", X_Galenic_Why=why)
    assert unconfirmed.status_code == 404, "who breaks the glass has just shown again who they are"
    stepped_up(clara)
    assert clara("GET", "/Patient/theirs", X_Galenic_Purpose="emergency", X_Galenic_Why=why).status_code == 200
    assert [e.action for e in ehr.installation.audit.entries(before) if e.action.startswith("gate.break")] == [
        "gate.break-glass"
    ]
    assert any(f.state == "due" for f in ehr.installation.facts.of("review", who="clara"))


def test_a_purpose_that_the_session_is_not_for_is_refused(ward: tuple[Fhir, Fhir]) -> None:
    _ehr, clara = ward
    assert clara("GET", "/Patient/mine", X_Galenic_Purpose="research").status_code == 400


def test_a_relation_that_ends_closes_the_record_at_once(ward: tuple[Fhir, Fhir], served: Callable[..., Fhir]) -> None:
    ehr, _clara = ward
    nora = served("nora", role="nurse", scope="user/*.rs", purposes="treatment")
    assert nora("GET", "/Patient/mine").status_code == 404
    treats(ehr, "mine", "nora")
    assert nora("GET", "/Patient/mine").status_code == 200
    end_care_relation(ehr.installation, server_session(ehr.installation), "records", "mine", "nora")
    assert nora("GET", "/Patient/mine").status_code == 404
    assert nora.found("Patient") == []


def test_scopes_bound_what_a_token_may_do(served: Callable[..., Fhir]) -> None:
    reader = served("ehr", scope="system/Patient.rs")
    assert reader("GET", "/Patient?_count=1").status_code == 200
    assert reader("GET", "/Observation").status_code == 403
    assert reader("POST", "/Patient", {"resourceType": "Patient"}).status_code == 403
    entry = {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    assert reader("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).status_code == 403
    batch = reader("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [
        entry, *({"request": {"method": "GET", "url": u}} for u in ("Patient?_count=1", "Observation", "Observation/of-mine"))]})  # fmt: skip
    assert [e["response"]["status"] for e in batch.json()["entry"]] == ["403", "200", "403", "403"]
    included = reader("GET", "/Patient?_id=mine&_revinclude=Observation:patient").json()
    assert {e["resource"]["resourceType"] for e in included["entry"]} == {"Patient"}
    assert reader("GET", "/Patient?_has:Observation:patient:value-quantity=gt180").status_code == 403
    nothing = served("nora", role="nurse", scope="openid", purposes="treatment")
    assert nothing("GET", "/Patient").status_code == 403


def test_a_role_alone_opens_nothing(served: Callable[..., Fhir]) -> None:
    rita = served("rita", role="researcher", scope="user/*.cruds", purposes="research")
    assert rita.found("Patient") == []
    assert rita("GET", "/Patient/mine").status_code == 404
    assert rita("POST", "/Patient", {"resourceType": "Patient"}).status_code == 403
