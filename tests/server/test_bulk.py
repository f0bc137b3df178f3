"""Bulk Data Access: an export is asked for, done by the worker, fetched and checked; nobody else sees it, and nothing hidden is in it."""

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response

from galenic import custody, jobs, release
from galenic.custody import server_session
from galenic.custody.access import record_consent
from galenic.flows.erasure import erase
from galenic.release.status import run_status
from races import race
from server_made import Fhir, a_server, observation, treats
from systems_made import add_client

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def bulk(ehr: Fhir) -> Iterator[Fhir]:
    """Thirty patients with two observations each, a place that is nobody's, and a worker."""
    for i in range(30):
        patient = {
            "resourceType": "Patient",
            "id": f"p{i}",
            "gender": "female" if i % 2 else "male",
            "birthDate": f"19{50 + i}-01-01",
        }
        assert ehr("PUT", f"/Patient/p{i}", patient).status_code == 201
        for j in range(2):
            assert (
                ehr("PUT", f"/Observation/o{i}-{j}", {**observation(f"p{i}", value=100 + j), "id": f"o{i}-{j}"}).status_code
                == 201
            )
    ehr.make({"resourceType": "Location", "name": "Ward"})
    with jobs.worker_process(ehr.installation):
        yield ehr


def begun(client: Fhir, place: str, **headers: str) -> str:
    answer = client("GET", place, **{**ASYNC, **headers})
    assert answer.status_code == 202, answer.text
    there = str(answer.headers["content-location"])
    assert "/fhir/bulk/" in there
    return there.partition("/fhir")[2]


def ended(client: Fhir, place: str, *, until: int = 200) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client("GET", place)
        if answer.status_code == until or answer.status_code not in (202, 429):
            return answer
        assert answer.headers["retry-after"]
        time.sleep(1.2)
    raise AssertionError("the export does not end")


def fetched(client: Fhir, manifest: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Resources by type, each file checked against the manifest."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in manifest["output"]:
        answer = client("GET", file["url"].partition("/fhir")[2])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/fhir+ndjson"
        assert hashlib.sha256(answer.content).hexdigest() == file["extension"]["https://galenic.dev/fhir/bulk/sha256"]
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert len(lines) == file["count"]
        assert {r["resourceType"] for r in lines} == {file["type"]}
        found.setdefault(file["type"], []).extend(lines)
    return found


def test_the_whole_system(bulk: Fhir) -> None:
    place = begun(bulk, "/$export")
    answer = ended(bulk, place)
    assert answer.status_code == 200, answer.text
    manifest = answer.json()
    assert manifest["requiresAccessToken"] is True
    assert manifest["request"].endswith("/fhir/$export")
    assert answer.headers["expires"].endswith("GMT")
    found = fetched(bulk, manifest)
    assert [len(found[k]) for k in ("Patient", "Observation", "Location")] == [30, 60, 1]
    decisions = [r["meta"]["extension"][0]["valueString"] for rs in found.values() for r in rs]
    by = {e.seq: e for e in bulk.installation.audit.entries() if e.action == "gate.opened"}
    assert {by[int(d)].detail["verb"] for d in decisions} == {"read"}
    assert len(set(decisions)) in (31, 32), "a decision of its own for each patient; for what is nobody's, and names nobody"
    of_patient = {r["id"]: r["meta"]["extension"][0]["valueString"] for r in found["Patient"]}
    for r in found["Observation"]:
        assert r["meta"]["extension"][0]["valueString"] == of_patient[r["subject"]["reference"].partition("/")[2]]
    assert bulk("DELETE", place).status_code == 202
    assert bulk("GET", place).status_code == 404
    assert bulk("GET", f"{place}/0").status_code == 404


def test_types_since_and_patients(bulk: Fhir) -> None:
    found = fetched(bulk, ended(bulk, begun(bulk, "/Patient/$export?_type=Observation")).json())
    assert {k: len(v) for k, v in found.items()} == {"Observation": 60}
    before = ended(bulk, begun(bulk, "/Patient/$export?_type=Patient")).json()["transactionTime"]
    assert bulk("PUT", "/Patient/p3", {"resourceType": "Patient", "id": "p3", "gender": "other"}).status_code == 200
    found = fetched(bulk, ended(bulk, begun(bulk, f"/Patient/$export?_since={before}")).json())
    assert [r["id"] for r in found["Patient"]] == ["p3"]
    given = {"resourceType": "Parameters", "parameter": [
        {"name": "patient", "valueReference": {"reference": "Patient/p5"}}, {"name": "_type", "valueString": "Patient"}]}  # fmt: skip
    answer = bulk("POST", "/Patient/$export", given, **ASYNC)
    assert answer.status_code == 202, answer.text
    found = fetched(bulk, ended(bulk, answer.headers["content-location"].partition("/fhir")[2]).json())
    assert [r["id"] for r in found["Patient"]] == ["p5"]


def test_what_was_deleted_since_is_listed(bulk: Fhir) -> None:
    def allergy(own: str) -> dict[str, Any]:
        system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
        status = {"coding": [{"system": system, "code": "active"}]}
        return {
            "resourceType": "AllergyIntolerance", "id": own, "clinicalStatus": status, "patient": {"reference": "Patient/p7"}
        }  # fmt: skip

    for own in ("gone-before", "gone-since", "changed-since"):
        assert bulk("PUT", f"/AllergyIntolerance/{own}", allergy(own)).status_code == 201
    assert bulk("DELETE", "/AllergyIntolerance/gone-before").status_code == 204
    before = ended(bulk, begun(bulk, "/Patient/$export?_type=Patient")).json()["transactionTime"]
    assert bulk("DELETE", "/AllergyIntolerance/gone-since").status_code == 204
    assert bulk("PUT", "/AllergyIntolerance/changed-since", allergy("changed-since")).status_code == 200
    manifest = ended(bulk, begun(bulk, f"/Patient/$export?_since={before}")).json()
    assert [r["id"] for r in fetched(bulk, manifest)["AllergyIntolerance"]] == ["changed-since"]
    listed = fetched(bulk, {"output": manifest["deleted"]})["Bundle"]
    assert [b["type"] for b in listed] == ["transaction"]
    assert [e["request"] for b in listed for e in b["entry"]] == [{"method": "DELETE", "url": "AllergyIntolerance/gone-since"}]
    assert ended(bulk, begun(bulk, f"/Patient/$export?_type=Patient&_since={before}")).json()["deleted"] == []
    assert ended(bulk, begun(bulk, "/Patient/$export")).json()["deleted"] == [], "a whole export lists no deletions"


def test_what_was_imported_since_is_exported(bulk: Fhir, tmp_path: Path) -> None:
    before = ended(bulk, begun(bulk, "/Patient/$export?_type=Patient")).json()["transactionTime"]
    place = tmp_path / "in.ndjson"
    place.write_text(json.dumps({"resourceType": "Patient", "id": "p8", "gender": "unknown"}), encoding="utf-8")
    custody.import_fhir(bulk.installation, server_session(bulk.installation), [place], custody.ImportRequest("records"))
    found = fetched(bulk, ended(bulk, begun(bulk, f"/Patient/$export?_since={before}")).json())
    assert [r["id"] for r in found["Patient"]] == ["p8"]


def test_a_group(bulk: Fhir) -> None:
    members = [{"entity": {"reference": f"Patient/p{i}"}} for i in (1, 2)] + [
        {"entity": {"reference": "Patient/p9"}, "inactive": True}
    ]
    group = bulk.make({"resourceType": "Group", "type": "person", "actual": True, "member": members})
    found = fetched(bulk, ended(bulk, begun(bulk, f"/Group/{group}/$export?_type=Patient,Observation")).json())
    assert {r["id"] for r in found["Patient"]} == {"p1", "p2"}
    assert len(found["Observation"]) == 4
    assert bulk("GET", "/Group/nobodys/$export", **ASYNC).status_code == 404


@pytest.mark.parametrize(
    ("place", "headers", "status"),
    [
        ("/$export", {}, 400), ("/$export?_type=Nonsense", ASYNC, 400), ("/$export?_since=yesterday", ASYNC, 400),
        ("/$export?_outputFormat=csv", ASYNC, 400), ("/$export?_typeFilter=x", ASYNC, 400), ("/Patient/$export?patient=p1", ASYNC, 400),
        ("/bulk/nothing", {}, 404), ("/bulk/nothing/0", {}, 404),
    ],
)  # fmt: skip
def test_what_can_not_be_asked(bulk: Fhir, place: str, headers: dict[str, str], status: int) -> None:
    answer = bulk("GET", place, **headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_nobody_else_sees_it_and_scopes_hold(bulk: Fhir, served: Callable[..., Fhir]) -> None:
    place = begun(bulk, "/Patient/$export?_type=Patient")
    other = served("other")
    assert other("GET", place).status_code == 404
    assert other("DELETE", place).status_code == 404
    assert ended(bulk, place).status_code == 200
    assert other("GET", f"{place}/0").status_code == 404
    narrow = served("ehr", scope="system/Observation.rs")
    assert narrow("GET", f"{place}/0").status_code == 403, "a token of the same system that does not cover the type"
    assert narrow("GET", "/$export?_type=Patient", **ASYNC).status_code == 403
    found = fetched(narrow, ended(narrow, begun(narrow, "/Patient/$export")).json())
    assert set(found) == {"Observation"}


def test_of_whom_one_may_not_know_nothing_is_in_it(bulk: Fhir, served: Callable[..., Fhir]) -> None:
    clara = served("clara", role="clinician", scope="user/*.rs", purposes="treatment")
    treats(bulk, "p7", "clara")
    found = fetched(clara, ended(clara, begun(clara, "/Patient/$export")).json())
    assert {r["id"] for r in found["Patient"]} == {"p7"}
    assert len(found["Observation"]) == 2


@pytest.fixture
def unworked(tmp_path: Path) -> Iterator[Fhir]:
    """A server whose worker has ended: what is asked for waits."""
    with a_server(tmp_path / "home") as client:
        asker = client("asker")
        assert asker("PUT", "/Patient/p0", {"resourceType": "Patient", "id": "p0"}).status_code == 201
        with jobs.worker_process(asker.installation):
            pass
        yield asker


def test_too_many_and_too_often(unworked: Fhir) -> None:
    places = [begun(unworked, "/$export") for _ in range(3)]
    fourth = unworked("GET", "/$export", **ASYNC)
    assert fourth.status_code == 429
    assert fourth.headers["retry-after"]
    assert [unworked("GET", places[0]).status_code for _ in range(12)] == [202] * 10 + [429] * 2
    assert unworked("DELETE", places[0]).status_code == 202
    assert unworked("GET", places[0]).status_code == 404
    assert unworked("GET", "/$export", **ASYNC).status_code == 202, "one that was stopped counts no more"


def test_of_eight_exports_begun_at_once_three_are_taken(unworked: Fhir) -> None:
    statuses = [
        r.status_code
        for r in race(*[lambda: unworked("GET", "/$export?_type=Patient", **ASYNC)] * 8)
        if isinstance(r, Response)
    ]
    assert sorted(statuses) == [202] * 3 + [429] * 5


def test_an_export_ends_with_the_right_of_whoever_asked(unworked: Fhir) -> None:
    job = begun(unworked, "/$export").rpartition("/")[2]
    unworked.installation.people.end_sessions("asker")
    with jobs.worker_process(unworked.installation):
        deadline = time.monotonic() + 60
        while not jobs.job_status(unworked.installation, job).ended and time.monotonic() < deadline:
            time.sleep(0.2)
    found = jobs.job_status(unworked.installation, job)
    assert found.state == "failed"
    assert "no longer active" in found.message
    assert found.data["files"] == []


def test_secondary_use_leaves_by_release(bulk: Fhir, served: Callable[..., Fhir]) -> None:
    installation, server = bulk.installation, server_session(bulk.installation)
    record_consent(installation, server, "records", [f"p{i}" for i in range(30) if i not in (7, 8)], "research")
    rita = served("rita", role="researcher", scope="user/*.rs", purposes="research")
    assert rita("GET", "/$export?_since=2020-01-01T00:00:00Z", **ASYNC).status_code == 400
    place = begun(rita, "/$export?_type=Patient")
    job = place.rpartition("/")[2]
    deadline = time.monotonic() + 120
    while not jobs.job_status(installation, job).ended and time.monotonic() < deadline:
        time.sleep(0.5)
    assert jobs.job_status(installation, job).state == "done", jobs.job_status(installation, job).message
    answer = rita("GET", place)
    run = str(jobs.job_status(installation, job).data["run"])
    waiting = run_status(installation, run)
    assert waiting.by == "rita", "who asked for it does not sign it"
    assert answer.status_code == 202
    assert "is waiting for a signature" in answer.headers["x-progress"]
    for role in waiting.roles:
        custody.make_key(installation, f"key-{role}", role)
        release.sign_with_key(installation, run, f"key-{role}")
    manifest = ended(rita, place).json()
    assert manifest["extension"]["https://galenic.dev/fhir/bulk/release"] == run
    found = fetched(rita, manifest)
    assert set(found) == {"Patient"}
    assert len(found["Patient"]) == 28, "of those who agreed"
    whole = zipfile.ZipFile(installation.home / "released" / run / "data.zip")
    whence = [json.loads(line) for n in whole.namelist() if "Provenance" in n for line in whole.read(n).splitlines()]
    said = {t["reference"] for p in whence for t in p["target"]}
    assert {f"Patient/{r['id']}" for r in found["Patient"]} <= said, "what was derived says so"
    assert not {r.get("id") for r in found["Patient"]} & {f"p{i}" for i in range(30)}


def test_erasing_a_patient_drops_what_was_exported(bulk: Fhir) -> None:
    assert bulk("PUT", "/Patient/leaving", {"resourceType": "Patient", "id": "leaving"}).status_code == 201
    place = begun(bulk, "/Patient/$export?_type=Patient")
    assert ended(bulk, place).status_code == 200
    installation = bulk.installation
    build = str(jobs.job_status(installation, place.rpartition("/")[2]).data["build"])
    assert list((installation.shards / build).iterdir())
    add_client(installation, "petra", role="privacy-officer")
    custody.make_key(installation, "petra-key", "privacy-officer")
    custody.make_key(installation, "petra-second", "privacy-officer")
    erased = erase(installation, installation.sign_in("petra-key", "petra-second"), "records|leaving")
    assert any(a["kind"] == "bulk" and a["fate"].startswith("deleted") for a in erased.facts["artefacts"])
    assert not (installation.shards / build).exists()
    for gone in (place, f"{place}/0", f"{place}/99"):
        answer = bulk("GET", gone)
        assert answer.status_code == 410
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert "Start the export again" in answer.text
    assert bulk("DELETE", place).status_code in (202, 410)
    assert ended(bulk, begun(bulk, "/Patient/$export?_type=Patient")).status_code == 200
