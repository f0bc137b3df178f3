"""An erasure in another process refuses nothing to the requests about other patients, whenever it comes."""

import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from galenic import custody, flows, store
from galenic.custody.fhir import index_files
from galenic.custody.fhir import repository as module
from galenic.installation import Installation, open_installation
from galenic.security import Grant
from galenic.security.versions import FRESH
from server_made import Fhir, a_server, observation

STAYS = ("PUT", "/Patient/stays", {"resourceType": "Patient", "id": "stays"})


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Fhir]:
    """A client of a server of the test's own."""
    with a_server(tmp_path / "home") as served:
        yield served("ehr")


@pytest.fixture
def beside(own: Fhir) -> Iterator[Installation]:
    """The installation opened a second time, as by another process."""
    other = open_installation(own.installation.home)
    for key in ("paul", "paul2"):
        custody.make_key(other, key, "privacy-officer", person="Paul")
    yield other
    other.close()


def bring(installation: Installation, folder: Path, *resources: dict[str, Any]) -> None:
    place = folder / "in.ndjson"
    place.write_text("".join(json.dumps(r) + "\n" for r in resources), encoding="utf-8")
    with custody.short_server_session(installation) as session:
        assert custody.import_fhir(installation, session, [place], custody.ImportRequest("records")).refused == 0


def erase(installation: Installation, patient: str) -> None:
    flows.erase(installation, installation.sign_in("paul", "paul2"), f"records|{patient}")


@pytest.mark.parametrize(
    ("step", "method", "path", "body", "status"),
    [
        ("newer_version", "DELETE", "/Observation/o", None, 204),
        ("rows_between", "DELETE", "/Observation?_id=o", None, 204),
        ("find_subject", "PUT", "/Observation/p", {**observation("stays"), "id": "p"}, 201),
        ("write_resources", "DELETE", "/Observation/o", None, 204),
        ("write_resources", "PUT", "/Observation/o", {**observation("stays"), "id": "o"}, 200),
        ("rows_between", "GET", "/Observation?patient=stays", None, 200),
        ("open_index", "DELETE", "/Observation/o", None, 204),
    ],
)
def test_an_erasure_within_a_step_of_a_request_about_somebody_else_refuses_nothing(
    own: Fhir, beside: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    step: str, method: str, path: str, body: dict[str, Any] | None, status: int,
) -> None:  # fmt: skip
    """At each step that the server does under its own decision, which the erasure of any patient ends."""
    assert own(*STAYS).status_code == 201
    bring(beside, tmp_path, *({"resourceType": "Patient", "id": p} for p in ("goes", "too")))
    if step == "open_index":
        erase(beside, "too")
    bring(beside, tmp_path, {**observation("stays"), "id": "o"})
    own.repository._people.clear()
    place = store if hasattr(store, step) else module
    original, came = getattr(place, step), []

    def late(*given: Any) -> Any:
        if not came:
            came.append(step)
            erase(beside, "goes")
            time.sleep(2 * FRESH)
        return original(*given)

    monkeypatch.setattr(place, step, late)
    answer = own(method, path, body)
    assert came == [step]
    assert answer.status_code == status, answer.text


def test_an_index_that_an_erasure_replaces_while_it_is_opened_is_opened_anew(
    own: Fhir, beside: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is gone between the look at its key and its opening; it must not be made again, empty and under a key that is destroyed."""
    assert own(*STAYS).status_code == 201
    bring(beside, tmp_path, *({"resourceType": "Patient", "id": p} for p in ("goes", "too")))
    assert own("GET", "/Patient/too").status_code == 200
    old = own.repository.index.path
    build_key, came = Grant.build_key, []

    def late(grant: Grant, build: str) -> bytes:
        key = build_key(grant, build)
        if not came:
            came.append(build)
            erase(beside, "goes")
        return key

    monkeypatch.setattr(Grant, "build_key", late)
    with own.repository.write_lock:
        index = own.repository.server_grant.use(lambda grant: index_files.open_index(own.installation, grant, "records"))
    monkeypatch.undo()
    assert came == [old.stem]
    assert not old.exists()
    assert index.path.exists()
    assert index.through() > 0, "the copy, not an empty one"
    index.close()


def test_nothing_is_refused_to_the_patients_who_stay_while_others_come_and_are_erased(
    own: Fhir, beside: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own(*STAYS).status_code == 201
    newer_version = store.newer_version

    def slow(*given: Any) -> Any:
        time.sleep(random.uniform(0, 2 * FRESH))
        return newer_version(*given)

    monkeypatch.setattr(store, "newer_version", slow)
    refused: list[str] = []
    is_over = threading.Event()

    def request(turn: int, number: int) -> None:
        name = f"/Observation/o{number}"
        for method, path, body in (
            ("PUT", name, {**observation("stays", value=turn), "id": name[13:]}),
            ("DELETE", name if turn % 2 else f"/Observation?_id={name[13:]}", None),
        ):
            answer = own(method, path, body)
            if answer.status_code not in (200, 201, 204, 503):
                refused.append(f"{method} {answer.status_code} {answer.text}")

    def write(number: int) -> None:
        turn = 0
        while not is_over.is_set():
            request(turn, number)
            turn += 1

    threads = [threading.Thread(target=write, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(10):
            bring(
                beside, tmp_path, {"resourceType": "Patient", "id": f"goes{turn}"}, {**observation("stays"), "id": f"i{turn}"}
            )
            erase(beside, f"goes{turn}")
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert refused == []


def test_a_write_that_is_durable_is_not_refused_by_what_changes_afterwards(
    own: Fhir, beside: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_active = Grant.require_active

    def late(grant: Grant, rows: int = 0, fields: int = 0, size: int = 0) -> None:
        if rows and grant.action == "write":
            monkeypatch.undo()
            beside.facts.put(replace(beside.facts.one("grant", "ehr/service"), state="withdrawn"))
            time.sleep(2 * FRESH)
        require_active(grant, rows, fields, size)

    monkeypatch.setattr(Grant, "require_active", late)
    assert own(*STAYS).status_code == 201
    assert own(*STAYS).status_code == 404  # hidden from a system without a role
    assert "cut" in {e.outcome for e in own.installation.audit.entries() if e.action == "gate.closed"}
