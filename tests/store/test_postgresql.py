"""The same state in PostgreSQL by one URL: budgets hold under a race, the audit chain stays whole."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from galenic import custody, flows, records, store
from galenic.errors import BudgetError
from galenic.generators.simulated import SimulationRequest, simulate
from galenic.installation import Installation, open_installation
from galenic.privacy import Ledger
from galenic.security import AuditLog, KeyRing, Witness
from made import made_patients


@pytest.fixture
def url(postgresql: str) -> str:
    """A database of this test's own."""
    return postgresql


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


@pytest.fixture
def there(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """Custody on PostgreSQL, with 60 patients."""
    monkeypatch.setenv("GALENIC_DATABASE", url)
    installation = open_installation(home)
    custody.initialize(installation)
    for name, role in (
        ("inge", "integration-engineer"),
        ("paul", "privacy-officer"),
        ("sven", "security-officer"),
        ("rosa", "researcher"),
    ):
        for key in (name, f"{name}2"):
            custody.make_key(installation, key, role, person=name)
    frame = made_patients(60)
    custody.import_table(
        installation,
        installation.sign_in("inge"),
        records.in_memory(frame),
        custody.ImportRequest("clinic", patient="patient_id"),
    )
    yield installation
    installation.close()


def people(installation: Installation, who: str = "paul", purpose: str = "quality") -> set[str]:
    known = store.dataset(installation.db, "clinic", "home")
    with installation.gate.open(installation.sign_in(who), "read", "dataset/clinic", purpose) as handle:
        return {v for t in store.read(installation.db, handle, known, ["patient_id"]) for v in t["patient_id"].to_pylist()}


def test_custody_works_the_same(there: Installation, tmp_path: Path) -> None:
    everybody = {f"P{i:06d}" for i in range(60)}
    assert people(there) == everybody
    custody.record_consent(there, there.sign_in("inge"), "clinic", ["P000001", "P000002"], "research")
    assert people(there, "rosa", "research") == {"P000001", "P000002"}
    custody.build_index(there, there.sign_in("paul"), "clinic", "quality", codes=("sex",))
    hits = custody.search_rows(
        there, there.sign_in("rosa"), "clinic", "research", [("age_years", ">=", "0"), ("sex", "=", "female")]
    )
    assert {str(h["patient_id"]) for h in hits} <= {"P000001", "P000002"}
    custody.write_backup(there, there.sign_in("sven", "sven2"), tmp_path / "backup")
    done = flows.erase(there, there.sign_in("paul", "paul2"), "P000001")
    assert done.facts["key"]["destroyed"]
    custody.restore_backup(there, tmp_path / "backup", there.sign_in("sven", "sven2"))
    assert people(there) == everybody - {"P000001"}
    assert there.audit.faults()[0] == []


def test_row_level_security_hides_rows_from_who_names_no_tenant(there: Installation) -> None:
    def rows(tenant: str | None) -> int:
        with there.db.reading(tenant) as c:
            return int(c.exec_driver_sql("SELECT count(*) FROM originals").scalar_one())

    assert (rows("home"), rows("elsewhere"), rows(None)) == (60, 0, 0)


def test_the_index_is_unlogged(there: Installation) -> None:
    built = custody.build_index(there, there.sign_in("paul"), "clinic", "quality")
    with there.db.reading() as c:
        kinds = c.exec_driver_sql(
            f"SELECT relpersistence FROM pg_class WHERE relname LIKE '{built['build'].replace('-', '_')}%%'"
        ).all()
    assert kinds
    assert {k[0] for k in kinds} == {"u"}


def test_documents_are_kept_found_and_erased_there_too(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALENIC_DATABASE", url)
    monkeypatch.setenv("GALENIC_HOME", str(tmp_path / "home"))
    installation = open_installation()
    custody.initialize(installation)
    for name, role in (("inge", "integration-engineer"), ("paul", "privacy-officer"), ("paul2", "privacy-officer")):
        installation.keys.create(name, role)
        custody.grant_role(installation, name, role, person=name[:4])
    simulate(SimulationRequest(12, seed=3), tmp_path / "people", form="fhir")
    inge = installation.sign_in("inge")
    files = records.fhir_files([tmp_path / "people"])
    first = custody.import_fhir(installation, inge, files, custody.ImportRequest("hospital"))
    assert (first.refused, first.patients, first.new) == (0, 12, first.seen.total())
    assert custody.import_fhir(installation, inge, files, custody.ImportRequest("hospital")).new == 0
    with custody.open_timelines(installation, installation.sign_in("paul"), "hospital", "quality") as lines:
        assert lines.subjects == 12
        before = lines.events
    flows.erase(installation, installation.sign_in("paul", "paul2"), "3")
    with custody.open_timelines(installation, installation.sign_in("paul"), "hospital", "quality") as lines:
        assert (lines.subjects, lines.events < before) == (11, True)
    again = custody.import_fhir(installation, inge, files, custody.ImportRequest("hospital"))
    assert (again.new, again.erased > 0) == (0, True)
    with installation.db.reading("other") as c:
        assert c.exec_driver_sql("SELECT count(*) FROM documents").scalar_one() == 0  # rows of another tenant
    installation.close()
