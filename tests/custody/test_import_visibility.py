"""Imports beside a running server are visible at once, and after a restart."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from galenic import custody, store
from galenic.custody.fhir import index_update, repository
from galenic.errors import GalenicError
from server_made import Fhir, a_server, observation


def a_patient(own: str, family: str = "Muster") -> dict[str, object]:
    return {"resourceType": "Patient", "id": own, "name": [{"family": family}]}


def imported(ehr: Fhir, folder: Path, *resources: dict[str, object]) -> None:
    """Imports resources by the command, in a process of its own."""
    folder.mkdir(exist_ok=True)
    place = folder / f"part-{len(list(folder.iterdir()))}.ndjson"
    place.write_text("".join(json.dumps(r) + "\n" for r in resources), encoding="utf-8")
    custody.make_key(ehr.installation, "inge", "integration-engineer")
    words = [sys.executable, "-m", "galenic", "records", "import", str(place), "--dataset", "records", "--key", "inge"]
    environment = {**os.environ, "GALENIC_HOME": str(ehr.installation.home)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def import_here(ehr: Fhir, folder: Path, *resources: dict[str, object]) -> custody.ImportResult:
    """Imports resources in this process."""
    folder.mkdir(exist_ok=True)
    place = folder / f"part-{len(list(folder.iterdir()))}.ndjson"
    place.write_text("".join(json.dumps(r) + "\n" for r in resources), encoding="utf-8")
    session = custody.server_session(ehr.installation)
    return custody.import_fhir(ehr.installation, session, [place], custody.ImportRequest("records"))


def test_a_new_patient_imported_beside_a_server_is_found_at_once_and_after_a_restart(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        assert ehr("PUT", "/Patient/a", a_patient("a")).status_code == 201
        imported(ehr, tmp_path / "in", a_patient("b"), {**observation("b"), "id": "of-b"})
        assert ehr("GET", "/Patient/b").status_code == 200
        assert sorted(ehr.found("Patient?name=muster")) == ["a", "b"]
        assert ehr.found("Observation?patient=b") == ["of-b"]
        assert ehr("PUT", "/Patient/b", a_patient("b", "Neu")).json()["meta"]["versionId"] == "2"
    with a_server(tmp_path / "home") as again:
        assert sorted(again("ehr").found("Patient")) == ["a", "b"]


def test_the_first_organization_imported_beside_a_server_is_found(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        ehr("PUT", "/Patient/a", a_patient("a"))
        imported(ehr, tmp_path / "in", {"resourceType": "Organization", "id": "house", "name": "House"})
        assert ehr("GET", "/Organization/house").status_code == 200
        assert ehr.found("Organization") == ["house"]


def test_of_one_patient_with_many_observations_every_one_is_found(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        assert ehr.found("Observation") == []
        many = [{**observation("b", value=i), "id": f"o{i}"} for i in range(2_000)]
        import_here(ehr, tmp_path / "in", a_patient("b"), *many)
        assert ehr("GET", "/Observation?patient=b&_summary=count").json()["total"] == 2_000


def test_an_index_that_an_earlier_version_left_incomplete_is_repaired_at_the_next_start(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        import_here(ehr, tmp_path / "in", a_patient("a"), a_patient("b"), a_patient("c"))
        assert len(ehr.found("Patient")) == 3
        store.drop_versions(ehr.repository.index, [1])
        with ehr.repository.index.writing() as c:
            c.execute("DELETE FROM state WHERE name = 'checked'")
        assert sorted(ehr.found("Patient")) == ["a", "c"]
    with a_server(tmp_path / "home") as again:
        assert sorted(again("ehr").found("Patient")) == ["a", "b", "c"]


def test_an_index_check_names_the_differences_and_repairs_them(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        import_here(ehr, tmp_path / "in", a_patient("a"), a_patient("b"), a_patient("c"))
        assert ehr("PUT", "/Patient/a", a_patient("a", "Neu")).status_code == 200
        assert ehr.found("Patient?name=neu") == ["a"]
        assert custody.check_index(ehr.installation, "records").is_consistent
        index = ehr.repository.index
        store.drop_versions(index, [1])
        index.put([store.IndexEntry(77, "Patient", "ghost", 1, True, 0, True)])
        with index.writing() as c:
            c.execute("UPDATE res SET live = 1 WHERE row = 0")
        checked = custody.check_index(ehr.installation, "records")
        found = checked.comparison
        assert (found.missing, found.extra, found.outdated) == ([1], [77], [0])
        assert not checked.is_consistent
        assert "--repair" in checked.advice
        assert custody.check_index(ehr.installation, "records", repair=True).is_consistent
        assert custody.check_index(ehr.installation, "records").comparison.is_consistent
        assert sorted(ehr.found("Patient")) == ["a", "b", "c"]
        assert ehr.found("Patient?name=muster&_id=a") == []


def test_an_index_check_passes_over_envelopes_of_bundles(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": a_patient("a")}]}
        import_here(ehr, tmp_path / "in", bundle)
        assert ehr.found("Patient") == ["a"]
        assert custody.check_index(ehr.installation, "records").is_consistent


def test_an_older_version_that_is_indexed_late_does_not_become_current(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        index = ehr.repository.index
        newer = store.IndexEntry(1, "Patient", "a", 1, True, 0, True)
        older = store.IndexEntry(0, "Patient", "a", 1, True, 0, True)
        index.put([newer])
        index.put([older])
        assert store.states_of(index, 0, 2) == {0: (1, False), 1: (1, True)}


def test_the_index_never_claims_rows_that_it_does_not_hold(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        index = served("ehr").repository.index
        index.put([], first=5, through=9)
        assert index.through() == 0
        index.put([], first=0, through=5)
        index.put([], first=2, through=3)
        assert index.through() == 5


def test_reads_work_and_searches_say_wait_while_a_large_import_is_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_update, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(repository, "CHUNK", 1)
    held = threading.Event()
    with a_server(tmp_path / "home") as served:
        ehr = served("ehr")
        ehr("PUT", "/Patient/a", a_patient("a"))
        import_here(ehr, tmp_path / "in", *[a_patient(f"p{i}") for i in range(60)])
        put = ehr.repository.index.put

        def slowly(*args: object, **options: object) -> None:
            held.wait(0.05)
            put(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(ehr.repository.index, "put", slowly)
        answer = ehr("GET", "/Patient?name=muster")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "search again later" in answer.text
        assert ehr("GET", "/Patient/p59").status_code == 200
        assert ehr("GET", "/Patient/p59/$everything").json()["entry"][0]["resource"]["id"] == "p59"
        assert ehr("PUT", "/Patient/p59", a_patient("p59", "Neu")).json()["meta"]["versionId"] == "2"
        held.set()
        ehr.repository.index_update.start()
        while ehr("GET", "/Patient?name=muster").status_code == 503:
            pass
        assert len(ehr.found("Patient?name=muster&_count=100")) == 60
        assert ehr.found("Patient?name=neu") == ["p59"]


def test_two_repositories_on_one_database_see_each_others_writes_at_once(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as one, a_server(tmp_path / "home") as other:
        first, second = one("ehr"), other("ehr")
        for i in range(5):
            for writer, reader in ((first, second), (second, first)):
                own = writer.make(a_patient("x"))
                assert reader("GET", f"/Patient/{own}").status_code == 200, i
                assert own in reader.found("Patient?_count=100")
        assert custody.check_index(first.installation, "records").is_consistent


def test_a_key_that_another_process_added_is_found_at_once(tmp_path: Path) -> None:
    with a_server(tmp_path / "home") as served:
        tree = served("ehr").installation.tree
        other = type(tree)(tree.db, tree.keeper, tree.escrow, tree.lock)
        tree.add([100])
        assert set(other.keys([100, 101])) == {100}
        tree.add([101])
        assert set(other.keys([100, 101])) == {100, 101}


@pytest.mark.parametrize("at", [0, 4096, 40_960])
def test_a_damaged_index_is_named_repaired_and_made_again_at_the_next_start(
    tmp_path: Path, at: int, capfd: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"

    def damage() -> None:
        place = max((home / "builds").glob("resources-*.db"), key=lambda p: int(p.stem.rpartition("-")[2]))
        with place.open("r+b") as file:
            file.seek(at)
            file.write(os.urandom(6_000))

    with a_server(home) as served:
        ehr = served("ehr")
        import_here(ehr, tmp_path / "in", *(a_patient(f"p{i}") for i in range(30)))
        assert len(ehr.found("Patient?_count=100")) == 30
        installation = ehr.installation
    damage()
    checked = custody.check_index(installation, "records")
    assert not checked.is_consistent
    assert checked.damaged.startswith("resources-")
    assert "--repair" in checked.advice
    assert custody.check_index(installation, "records", repair=True).is_consistent
    checked = custody.check_index(installation, "records")
    assert (checked.is_consistent, checked.comparison.stored, checked.comparison.indexed) == (True, 30, 30)
    damage()
    with a_server(home) as again:
        assert len(again("ehr").found("Patient?_count=100")) == 30
    assert "ERROR" not in "".join(capfd.readouterr())


def test_a_check_of_the_index_leaves_no_session_of_the_server(ehr: Fhir) -> None:
    def opened() -> set[str]:
        return {f.key for f in ehr.installation.facts.of("session", who=custody.SERVER) if f.state == "open"}

    before = opened()
    assert custody.check_index(ehr.installation, "records").is_consistent
    with pytest.raises(GalenicError):
        custody.check_index(ehr.installation, "nothing")
    assert opened() == before
