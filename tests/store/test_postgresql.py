"""The same state in PostgreSQL by one URL: budgets hold under a race, the audit chain stays whole."""

import multiprocessing
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from galenic import store
from galenic.errors import BudgetError
from galenic.privacy import Ledger
from galenic.security import AuditLog, KeyRing, Witness


def _tool(name: str) -> str | None:
    found = shutil.which(name) or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))[::-1]), None)
    return found


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL cluster of this test's own, on a Unix socket."""
    pytest.importorskip("psycopg")
    initdb, control = _tool("initdb"), _tool("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("PostgreSQL's server is not installed")
    folder = tmp_path_factory.mktemp("pg")
    as_owner = []
    if subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.strip() == "0":
        if (
            subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode != 0
            or shutil.which("runuser") is None
        ):
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        for place in (folder, *folder.parents):
            if place == Path("/tmp") or place == Path("/"):
                break
            place.chmod(0o755)
        shutil.chown(folder, "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    subprocess.run([*as_owner, initdb, "-D", data, "-A", "trust", "-U", "galenic"], check=True, capture_output=True, cwd="/")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
    start = [*as_owner, control, "-D", data, "-w", "-l", folder / "log", "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    try:
        yield f"postgresql+psycopg://galenic@/postgres?host={folder}"
    finally:
        subprocess.run([*as_owner, control, "-D", data, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")


def _race(url: str, won: "multiprocessing.Queue[int]") -> None:
    db = store.Database(url)
    ledger, count = Ledger(db), 0
    for _ in range(10):
        try:
            ledger.reserve("clinic", epsilon=0.2, delta=1e-12, purpose="race", actor="test")
            count += 1
        except BudgetError:
            pass
    db.close()
    won.put(count)


def test_racing_processes_never_overdraw(url: str) -> None:
    db = store.Database(url)
    ledger = Ledger(db)
    ledger.declare("clinic", epsilon=1.0, delta=1e-9, actor="test")
    context = multiprocessing.get_context("spawn")
    won: multiprocessing.Queue[int] = context.Queue()
    crowd = [context.Process(target=_race, args=(url, won)) for _ in range(8)]
    for process in crowd:
        process.start()
    total = sum(won.get(timeout=120) for _ in crowd)
    for process in crowd:
        process.join()
    s = ledger.statement("clinic")
    assert 0 < total == len(s.charges) < 80
    assert s.rho_spent <= s.rho_limit
    db.close()


def test_the_audit_chain_is_whole(url: str, tmp_path: Path) -> None:
    db = store.Database(url)
    log = AuditLog(db, KeyRing(tmp_path / "keys").gate(), "test", tmp_path / "keys", Witness((str(tmp_path / "witness"),)))
    for i in range(5):
        log.append("step", f"run-{i}")
    assert log.faults() == ([], 5)
    db.close()
