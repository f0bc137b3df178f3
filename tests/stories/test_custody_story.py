"""Custody as its users meet it: in by the command line, out by the gate, erased with a receipt, restored without the erased."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from galenic import cli, flows, records, release, store
from galenic.custody import (
    ImportRequest,
    RoleScope,
    export_records,
    grant_role,
    import_table,
    initialize,
    make_key,
    record_consent,
    recover_root,
    restore_backup,
    write_backup,
)
from galenic.errors import AccessDeniedError, RecordError, StoreError, VerificationError
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.privacy import ColumnOptions
from galenic.security import Fact, verify_receipt
from made import made_patients

CANARY = "Zebulon-canary"


def run(*words: object) -> int:
    return cli.run([str(w) for w in words])


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def people_of(installation: Installation, name: str = "clinic") -> set[str]:
    known = store.dataset(installation.db, name, "home")
    with installation.gate.open(installation.sign_in("paul"), "read", f"dataset/{name}", "quality") as handle:
        return {v for t in store.read(installation.db, handle, known, ["patient_id"]) for v in t["patient_id"].to_pylist()}


def test_from_a_file_into_custody_and_out_of_this_world(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    frame = made_patients(120).append_column("name", pa.array([f"{CANARY} {i:03d}" for i in range(120)]))
    pacsv.write_csv(frame, tmp_path / "patients.csv")
    assert run("init") == 0
    for name, role in (
        ("inge", "integration-engineer"),
        ("paul", "privacy-officer"),
        ("sven", "security-officer"),
        ("ada", "clinician"),
    ):
        assert run("keys", "create", name, "--role", role) == 0
        assert run("keys", "create", f"{name}2", "--role", role) == 0
    assert (
        run("records", "import", tmp_path / "patients.csv", "--dataset", "clinic", "--patient", "patient_id", "--key", "inge")
        == 0
    )
    assert (
        run("records", "import", tmp_path / "patients.csv", "--dataset", "clinic", "--patient", "patient_id", "--key", "ada")
        == 1
    )
    assert run("patient", "care-relation", "clinic", "P000003", "--who", "ada", "--key", "inge") == 0
    assert run("records", "index", "clinic", "--purpose", "quality", "--key", "paul", "--codes", "sex,smoker") == 0
    out(capsys)
    assert run("records", "search", "clinic", "--where", "age_years >= 0", "--purpose", "treatment", "--key", "ada") == 0
    assert [json.loads(line)["patient_id"] for line in out(capsys).splitlines()] == ["P000003"]
    assert (
        run("records", "search", "clinic", "--where", f"name starts {CANARY[:5]}", "--purpose", "treatment", "--key", "ada")
        == 0
    )
    assert CANARY in out(capsys)
    assert run("records", "search", "clinic", "--where", "nonsense", "--purpose", "treatment", "--key", "ada") == 2
    assert run("backup", "create", tmp_path / "backup", "--key", "sven") == 2
    assert run("backup", "create", tmp_path / "backup", "--key", "sven", "--second", "sven2") == 0
    out(capsys)
    assert run("patient", "access", "P000003", "--key", "paul") == 0
    own = json.loads(out(capsys))
    assert len(own["rows"]["clinic"]) == 1
    assert "ada" in {e["who"] for e in own["looked at by"]}
    assert (
        run(
            "patient",
            "erase",
            "P000003",
            "--key",
            "paul",
            "--second",
            "paul2",
            "--receipt",
            tmp_path / "receipt.json",
            "--json",
        )
        == 0
    )
    receipt = json.loads(out(capsys))
    assert receipt["key"]["destroyed"]
    assert {a["id"] for a in receipt["artefacts"] if a["place"] == "inside"} == {"table/clinic", "index-1"}
    assert [name.partition("/")[0] for name in receipt["outside"]] == ["access"]
    assert receipt["backups"] == [{"folder": str(tmp_path / "backup"), "reached": True, "opens_with_todays_root": False}]
    assert run("audit", "public-key") == 0
    (tmp_path / "gate.pub").write_text(out(capsys))
    assert run("patient", "verify-receipt", tmp_path / "receipt.json", "--public", tmp_path / "gate.pub") == 0
    assert run("patient", "access", "P000003", "--key", "paul") == 2
    assert run("backup", "restore", tmp_path / "backup", "--key", "sven", "--second", "sven2") == 0
    installation = open_installation(home)
    assert people_of(installation) == {f"P{i:06d}" for i in range(120)} - {"P000003"}
    out(capsys)
    assert (
        run(
            "records",
            "import",
            tmp_path / "patients.csv",
            "--as",
            "again",
            "--patient",
            "patient_id",
            "--key",
            "inge",
            "--json",
        )
        == 0
    )
    assert json.loads(out(capsys))["erased"] == 1
    assert run("keys", "rotate", "--key", "sven", "--second", "sven2") == 0
    done = subprocess.run([sys.executable, "-m", "galenic", "records", "list"], check=True, capture_output=True, text=True)
    assert "clinic" in done.stdout
    words = ["records", "search", "again", "--purpose", "treatment", "--key", "ada", "--where", "sex = female"]
    subprocess.run(
        [sys.executable, "-m", "galenic", "records", "index", "again", "--purpose", "quality", "--key", "paul"], check=True
    )
    subprocess.run([sys.executable, "-m", "galenic", *words], check=False)
    out(capsys)
    assert run("audit", "verify", "--json") == 0
    assert json.loads(out(capsys))["opened, never closed"] == []  # each process wrote how its decisions ended
    installation.db.shrink()
    for path in [*home.rglob("*"), *(tmp_path / "backup").rglob("*")]:
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def test_the_release_way_from_custody_ends_with_the_consent(
    custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inge = custody.sign_in("inge")
    frame = made_patients(3_000, 9).drop_columns(["discharged"])
    import_table(custody, inge, records.in_memory(frame), ImportRequest("big", patient="patient_id"))
    request = SynthesisRequest(private=False, target="diabetes", column_options=ColumnOptions(patient="patient_id"))
    with pytest.raises(Exception, match="no patient in it has consented"):
        flows.synthesize_stored(custody, custody.sign_in("dora"), "big", request)
    record_consent(custody, inge, "big", [f"P{i:06d}" for i in range(2_000)], "synthetic-data")
    result = flows.synthesize_stored(custody, custody.sign_in("dora"), "big", request)
    known = store.count_subjects(custody.db, f"model/{result.run}")
    assert known == 2_000
    assert not store.list_builds(custody.db, "big")
    assert not list(custody.shards.glob("*"))
    done = flows.erase(custody, custody.sign_in("paul", "paul2"), "P000001")
    fates = {a["id"]: a["fate"] for a in done.facts["artefacts"]}
    assert fates[f"model/{result.run}"].startswith("marked for retraining")
    assert [t["id"] for t in release.retrain_tasks(custody)] == [f"model/{result.run}"]

    def meanwhile(what: str, _share: float) -> None:
        if what == "buying the domain":
            flows.erase(custody, custody.sign_in("paul", "paul2"), "P000002")

    before = set(custody.runs.iterdir())
    with pytest.raises(AccessDeniedError, match="erased in the meantime"):
        flows.synthesize_stored(custody, custody.sign_in("dora"), "big", request, progress=meanwhile)
    assert set(custody.runs.iterdir()) == before


def test_a_patient_erased_during_an_export_is_not_in_it(
    custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_consent(custody, custody.sign_in("inge"), "clinic", [f"P{i:06d}" for i in range(1, 90)], "research")
    about = {"purpose": "research", "label": "dataset/clinic"}
    custody.facts.put(Fact("qualification", "rosa/clinic", "approved", "rosa", **about))
    custody.gate.versions.refresh()
    rosa, paul = custody.sign_in("rosa", "rosa2"), custody.sign_in("paul", "paul2")
    monkeypatch.setattr(store.originals, "BATCH", 20)

    real = store.read

    def read_and_erase(*given):  # type: ignore[no-untyped-def]
        for number, batch in enumerate(real(*given)):
            if number == 2:
                flows.erase(custody, paul, "P000001")
            yield batch

    monkeypatch.setattr(store, "read", read_and_erase)
    with pytest.raises(AccessDeniedError, match="erased in the meantime"):
        export_records(custody, rosa, "clinic", "research", tmp_path / "rows.csv")
    assert not list(tmp_path.glob("*.csv*"))


def test_a_patient_erased_during_a_read_to_train_ends_it(custody: Installation) -> None:
    known = store.dataset(custody.db, "clinic", "home")
    with (
        pytest.raises(AccessDeniedError, match="erased in the meantime"),
        custody.gate.open(custody.sign_in("paul"), "train", "dataset/clinic", "quality") as handle,
    ):
        for _table in store.read(custody.db, handle, known):
            flows.erase(custody, custody.sign_in("paul", "paul2"), "P000001")


SWAPS = {
    "rows of one patient": (
        "UPDATE originals SET cells = CASE row WHEN 0 THEN (SELECT cells FROM originals o WHERE o.dataset = 'clinic' AND o.row = 1)"
        " ELSE (SELECT cells FROM originals o WHERE o.dataset = 'clinic' AND o.row = 0) END WHERE dataset = 'clinic' AND row < 2"
    ),
    "patients": "UPDATE originals SET subject = subject % 90 + 1 WHERE dataset = 'clinic' AND row = 7",
    "place": "UPDATE originals SET row = 1000000 WHERE dataset = 'clinic' AND row = 7",
    "tables": "UPDATE originals SET dataset = 'clinic', row = 1000000 WHERE dataset = 'other' AND row = 0",
}


@pytest.mark.parametrize("swap", SWAPS)
def test_a_row_moved_elsewhere_is_noticed(custody: Installation, swap: str) -> None:
    frame = made_patients(3)
    import_table(custody, custody.sign_in("inge"), records.in_memory(frame), ImportRequest("other", patient="patient_id"))
    with custody.db.transaction() as c:
        assert c.exec_driver_sql(SWAPS[swap]).rowcount
    with pytest.raises(StoreError, match="was changed"):
        people_of(custody)


def test_a_cell_moved_within_its_row_is_noticed(custody: Installation) -> None:
    with custody.db.transaction() as c:
        cells = bytes(c.exec_driver_sql("SELECT cells FROM originals WHERE row = 5").scalar_one())
        size = 16 + int.from_bytes(cells[:4], "big")
        second = 16 + int.from_bytes(cells[size : size + 4], "big")
        swapped = cells[size : size + second] + cells[:size] + cells[size + second :]
        c.exec_driver_sql("UPDATE originals SET cells = ? WHERE row = ?", (swapped, 5))
    with pytest.raises(StoreError, match="row 5"):
        people_of(custody)


@pytest.mark.parametrize("column", ["tenant", "label", "region"])
def test_whose_a_data_set_is_can_not_be_changed_in_the_database(custody: Installation, column: str) -> None:
    """A data set of another tenant (label, region) is given to ours by SQL; the decision goes by the fact and denies."""
    given = {"tenant": "home", "label": "clinical", "region": "EU"}
    grant_role(
        custody,
        "inge2",
        "integration-engineer",
        person="inge",
        scope=RoleScope(tenant="elsewhere" if column == "tenant" else "home"),
    )
    grant_role(custody, "paul", "privacy-officer", person="paul", scope=RoleScope(region="EU"))
    kinds = {"label": "psychiatric"} if column == "label" else {"region": "US"}
    source = records.in_memory(made_patients(3))
    import_table(custody, custody.sign_in("inge2"), source, ImportRequest("far", patient="patient_id", **kinds))
    action = "train" if column == "label" else "read"
    for statement in (
        f"UPDATE datasets SET {column} = '{given[column]}' WHERE name = 'far'",
        "UPDATE originals SET tenant = 'home' WHERE dataset = 'far'",
        "UPDATE facts SET label = 'clinical', body = '{\"region\":\"EU\",\"tenant\":\"home\"}' WHERE kind = 'dataset' AND key = 'far'",
        "DELETE FROM facts WHERE kind = 'dataset' AND key = 'far'",
    ):
        with custody.db.transaction() as c:
            c.exec_driver_sql(statement)
        custody.gate.versions.refresh()
        with (
            pytest.raises((AccessDeniedError, StoreError)),
            open_installation(custody.home).gate.open(custody.sign_in("paul"), action, "dataset/far", "quality") as handle,
        ):
            next(store.read(custody.db, handle, store.dataset(custody.db, "far")))
    with pytest.raises(StoreError, match="is missing from the database"):
        import_table(
            custody, custody.sign_in("inge"), records.in_memory(made_patients(3)), ImportRequest("far", patient="patient_id")
        )


def test_yesterdays_database_put_back_by_hand_does_not_bring_an_erased_patient_back(
    custody: Installation, tmp_path: Path
) -> None:
    custody.audit.flush()
    custody.db.shrink()
    shutil.copy(custody.home / "galenic.db", tmp_path / "yesterday.db")
    flows.erase(custody, custody.sign_in("paul", "paul2"), "P000001")
    custody.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{custody.home / 'galenic.db'}{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "yesterday.db", custody.home / "galenic.db")
    with pytest.raises(StoreError):
        open_installation(custody.home).sign_in("paul")


def test_after_the_loss_of_everything_but_backup_and_escrow_records_come_back(
    custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_backup(custody, custody.sign_in("sven", "sven2"), tmp_path / "backup")
    flows.erase(custody, custody.sign_in("paul", "paul2"), "P000001")
    everybody = people_of(custody)
    custody.close()
    for name in ("keys", "escrow"):  # people's keys and the escrow were elsewhere
        shutil.copytree(custody.home / name, tmp_path / "new" / name)
    private = (custody.home / "escrow" / "escrow-private.pem").read_bytes()
    shutil.rmtree(custody.home)
    installation = open_installation(tmp_path / "new")
    recover_root(installation, private)
    counted = restore_backup(installation, tmp_path / "backup")
    assert counted["erased_again"] == 1
    assert people_of(installation) == everybody
    assert "P000001" not in everybody
    assert installation.audit.faults()[0] == []
    assert next(installation.audit.entries()).action == "chain.begun-anew"


def test_a_number_is_never_a_second_patients_even_after_a_restore(custody: Installation, tmp_path: Path) -> None:
    sven = custody.sign_in("sven", "sven2")
    write_backup(custody, sven, tmp_path / "backup")
    inge = custody.sign_in("inge")

    def come(name: str) -> None:
        frame = made_patients(1).set_column(0, "patient_id", pa.array([name]))
        import_table(custody, inge, records.in_memory(frame), ImportRequest("clinic", patient="patient_id"))

    come("late")
    record_consent(custody, inge, "clinic", ["late"], "research")
    restore_backup(custody, tmp_path / "backup", sven)
    come("later")
    known = store.dataset(custody.db, "clinic", "home")
    with custody.gate.open(custody.sign_in("rosa"), "read", "dataset/clinic", "research") as handle:
        assert sum(t.num_rows for t in store.read(custody.db, handle, known)) == 0


def test_a_receipt_that_was_changed_is_refused(custody: Installation) -> None:
    done = flows.erase(custody, custody.sign_in("paul", "paul2"), "P000001")
    public = custody.keys.gate().public
    assert verify_receipt(done.envelope, public) == json.loads(json.dumps(done.facts))
    for changed in (done.envelope[:-9] + done.envelope[-8:], done.envelope.replace('"sig": "', '"sig": "A'), "{}", "x"):
        with pytest.raises(VerificationError):
            verify_receipt(changed, public)


def test_an_import_that_is_killed_keeps_whole_batches_and_can_be_run_again(home: Path, tmp_path: Path) -> None:
    pacsv.write_csv(made_patients(30_000), tmp_path / "patients.csv")
    initialize(open_installation(home))
    make_key(open_installation(home), "inge", "integration-engineer")
    words = ["records", "import", tmp_path / "patients.csv", "--dataset", "clinic", "--patient", "patient_id", "--key", "inge"]
    process = subprocess.Popen([sys.executable, "-m", "galenic", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    installation = open_installation(home)

    def there() -> int:
        found = store.list_datasets(installation.db, "home")
        return int(str(found[0]["next_row"])) if found else 0

    while there() < 4_000 and time.time() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    rows = there()
    assert 4_000 <= rows < 30_000
    assert rows % 2_000 == 0
    with installation.db.reading() as c:
        assert c.exec_driver_sql("SELECT count(*) FROM originals").scalar_one() == rows
    assert installation.audit.faults()[0] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.set_column(0, "patient_id", pa.array([*["P1"] * 119, None])), "row 120 has no value"),
        (lambda t: t.drop_columns(["sex"]), "other columns"),
    ],
)
def test_a_bad_import_says_what_is_wrong(custody: Installation, change: object, why: str) -> None:
    frame = change(made_patients(120))  # type: ignore[operator]
    name = "clinic" if why == "other columns" else "new"
    with pytest.raises((RecordError, Exception), match=why):
        import_table(custody, custody.sign_in("inge"), records.in_memory(frame), ImportRequest(name, patient="patient_id"))


def test_when_the_database_takes_no_row_the_gate_does_not_open(custody: Installation) -> None:
    session = custody.sign_in("paul")
    with custody.db.transaction() as c:
        c.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    before = len(list(custody.audit.entries()))
    for action in ("read", "erase"):  # one would be allowed, one refused: neither can be written down
        with pytest.raises(StoreError, match="did not accept"), custody.gate.open(session, action, "dataset/clinic", "quality"):
            raise AssertionError("opened without a durable row")
    with pytest.raises(StoreError, match="did not accept"):
        custody.sign_in("paul")
    with custody.db.transaction() as c:
        c.exec_driver_sql("DROP TRIGGER full")
    assert len(list(custody.audit.entries())) == before
    assert custody.audit.faults()[0] == []
    assert people_of(custody)


def test_logs_metrics_and_spans_hold_no_cell(custody: Installation, capsys: pytest.CaptureFixture) -> None:
    people_of(custody)
    text = store.telemetry.metrics()
    assert 'galenic_gate_decisions_total{outcome="allowed"}' in text
    assert "P000001" not in text
    with pytest.raises(StoreError, match="may not be logged"):
        store.telemetry.log("info", "x", patient="P000001")
    store.telemetry.log("warning", "line", who="a\n\x1b[31mb\u202e")
    line = capsys.readouterr().err
    assert json.loads(line)["who"] == "a??[31mb?"


def test_erasing_in_sixteen_threads_erases_each_and_no_other(custody: Installation) -> None:
    session = custody.sign_in("paul", "paul2")
    done: list[str] = []

    def work(i: int) -> None:
        done.append(flows.erase(custody, session, f"P{i:06d}").name)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(done)) == 16
    assert people_of(custody) == {f"P{i:06d}" for i in range(16, 200)}
    assert custody.audit.faults()[0] == []
