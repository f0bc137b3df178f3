"""An installation creates the files of a service when the service is first used, and not before."""

import contextlib
import io
import threading
from pathlib import Path

import pytest

from galenic import store
from galenic.installation import Installation, open_installation
from galenic.jobs import run_worker, worker
from galenic.security import Escrow, KeyTree


def files(home: Path) -> set[str]:
    return {str(p.relative_to(home)).removesuffix("-wal").removesuffix("-shm") for p in home.rglob("*") if p.is_file()}


def test_opening_an_installation_creates_its_folder_for_the_owner_alone_and_no_file(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    open_installation(home).close()
    assert files(home) == set()
    assert home.stat().st_mode & 0o777 == 0o700


def test_reading_the_ledger_opens_no_keys_accounts_escrow_or_witness(tmp_path: Path) -> None:
    installation = open_installation(tmp_path)
    assert installation.ledger.populations() == ()
    installation.close()
    assert files(tmp_path) == {"galenic.db"}


def test_the_audit_log_opens_the_gates_key_and_no_key_tree(tmp_path: Path) -> None:
    installation = open_installation(tmp_path)
    installation.audit.append("test.done", "nothing")
    installation.close()
    created = {name.split("/")[0] for name in files(tmp_path)}
    assert created == {"galenic.db", "keys", "witness"}
    assert not list((tmp_path / "keys").glob("*tree*"))


def test_threads_that_ask_at_once_get_the_same_service(tmp_path: Path) -> None:
    installation, found, start = open_installation(tmp_path), [], threading.Barrier(8)

    def ask() -> None:
        start.wait()
        found.append((installation.people, installation.gate, installation.audit, installation.db))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one is first for services in found for one, first in zip(services, found[0], strict=True))
    installation.close()


@pytest.mark.parametrize(
    ("service", "owner", "method"),
    [
        pytest.param("escrow", Escrow, "sweep", id="old copies of the root"),
        pytest.param("tree", KeyTree, "recover", id="rotation"),
    ],
)
def test_what_a_service_must_finish_first_is_done_once_at_its_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, owner: type, method: str
) -> None:
    calls: list[str] = []
    original = getattr(owner, method)
    monkeypatch.setattr(owner, method, lambda self: (calls.append(method), original(self))[1])
    installation = open_installation(tmp_path)
    assert calls == []
    assert getattr(installation, service) is getattr(installation, service)
    assert calls == [method]
    installation.close()


def test_files_of_a_killed_process_are_removed_when_runs_are_first_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []
    monkeypatch.setattr(store, "sweep", swept.append)
    installation: Installation = open_installation(tmp_path)
    assert swept == []
    assert installation.run("20260101-120000-abcdef").parent == installation.runs == tmp_path / "runs"
    assert swept == [tmp_path / "runs"]
    installation.close()


def test_a_worker_does_at_its_start_what_services_must_finish_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished: list[str] = []
    monkeypatch.setattr(Escrow, "sweep", lambda _self: finished.append("escrow"))
    monkeypatch.setattr(KeyTree, "recover", lambda _self: finished.append("tree"))
    monkeypatch.setattr(store, "sweep", lambda _folder: finished.append("runs"))
    monkeypatch.setattr(worker, "block_network", lambda _hosts: None)  # it would last for the whole test process
    monkeypatch.setattr(worker, "running_jobs", lambda _installation, _wait: contextlib.nullcontext())
    installation = open_installation(tmp_path)
    run_worker(installation, io.StringIO())
    assert finished == ["escrow", "tree", "runs"]
    installation.close()
