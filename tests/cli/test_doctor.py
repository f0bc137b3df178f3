"""`galenic doctor` finds what is wrong with an installation, and says what to do."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from galenic import cli, records
from galenic.cli.environment_checks import port_check, space_check  # type: ignore[attr-defined]
from galenic.cli.installation_checks import clock_check
from galenic.custody import ImportRequest, build_index, import_table
from galenic.installation import Installation
from galenic.jobs import job_queue, running_jobs
from galenic.store import only_server
from made import made_patients


def doctor(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, dict[str, str]]:
    """Result of the command: each check by its name."""
    capsys.readouterr()
    assert cli.run(["doctor", "--json", *words]) == code
    shown = json.loads(capsys.readouterr().out)
    assert shown["counts"]["problem"] == sum(check["state"] == "problem" for check in shown["checks"])
    return {check["name"]: check for check in shown["checks"]}


def test_a_machine_without_an_installation_is_told_how_to_make_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = doctor(capsys)
    assert (found["Installation"]["state"], found["Installation"]["advice"]) == ("warning", "Create one: galenic init")
    assert found["Python"]["state"] == "ok"
    assert not (home / "keys").exists()


def test_an_installation_in_order_has_no_problem(
    custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["backup", "create", str(tmp_path / "b"), "--key", "sven", "--second", "sven2"]) == 0
    custody.escrow.private.rename(tmp_path / "safe.pem")
    found = doctor(capsys)
    for name in (
        "Permissions",
        "Database",
        "Audit log",
        "Clock",
        "Recovery key",
        "People",
        "Budgets",
        "Jobs",
        "Backups",
        "Disk space",
    ):
        assert found[name]["state"] == "ok", found[name]


def test_the_text_names_what_to_do(custody: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "warning Backups: There is no backup. To do: galenic backup create" in said
    assert "0 problem(s)." in said


def test_a_key_that_others_can_read_is_a_problem(custody: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    key = next((custody.home / "keys").glob("ada*"))
    key.chmod(0o644)
    found = doctor(capsys, code=1)
    assert str(key) in found["Permissions"]["finding"]
    assert found["Permissions"]["advice"].startswith("chmod")


def test_a_changed_audit_log_is_a_problem(custody: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    custody.close()
    with sqlite3.connect(custody.home / "galenic.db") as database:
        for trigger in [r[0] for r in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("UPDATE audit SET entry = replace(entry, 'ada', 'bea') WHERE seq = 3")
    assert doctor(capsys, code=1)["Audit log"]["state"] == "problem"


def test_a_root_key_that_is_gone_is_a_problem(
    custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    custody.close()
    Path(custody.settings.root).rename(tmp_path / "root.json")
    found = doctor(capsys, code=1)
    assert "galenic keys recover-root" in found["Root key"]["advice"]


def test_a_backup_that_is_not_reached_is_a_warning(
    custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["backup", "create", str(tmp_path / "b"), "--key", "sven", "--second", "sven2"]) == 0
    (tmp_path / "b").rename(tmp_path / "moved")
    assert "Not reached" in doctor(capsys)["Backups"]["finding"]


def test_a_budget_that_is_nearly_spent_is_a_warning(installation: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    installation.ledger.declare("clinic", epsilon=1.0, delta=1e-8, actor="test")
    assert doctor(capsys)["Budgets"]["state"] == "ok"
    installation.ledger.reserve("clinic", epsilon=0.99, delta=9e-9, purpose="test", actor="test")
    assert "clinic" in doctor(capsys)["Budgets"]["finding"]


def test_a_port_in_use_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = doctor(capsys, "--port", str(port))["Port"]
    assert (found["state"], "another program" in found["finding"]) == ("warning", True)
    assert port_check(port, "").state == "ok"


def test_a_running_server_is_told_from_another_program(custody: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    with only_server(custody.db, custody.home, "https://localhost:8443"):
        assert "The server is running" in doctor(capsys)["Port"]["finding"]
    assert "not running" in doctor(capsys)["Port"]["finding"]


def certificate(place: Path, name: str, ends: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key()).serial_number(1)
        .not_valid_before(ends - timedelta(days=400)).not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    place.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return str(place)


@pytest.mark.parametrize(
    ("name", "days", "state"),
    [("g.example.org", 100, "ok"), ("*.example.org", 100, "ok"), ("g.example.org", 3, "warning"), ("g.example.org", -1, "problem"),
     ("other.example.org", 100, "problem")],
)  # fmt: skip
def test_a_certificate_is_checked_for_its_days_and_names(
    name: str, days: int, state: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = certificate(tmp_path / "c.pem", name, datetime.now(UTC) + timedelta(days=days))
    words = ["--certificate", place, "--base", "https://g.example.org"]
    assert doctor(capsys, *words, code=state == "problem")["Certificate"]["state"] == state


def test_a_clock_behind_the_audit_log_is_a_problem() -> None:
    late: Any = SimpleNamespace(audit=SimpleNamespace(latest_time=lambda: "2999-01-01T00:00:00+00:00"))
    assert clock_check(late).state == "problem"


def test_a_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _place: SimpleNamespace(free=10_000_000))
    settings: Any = SimpleNamespace(home=tmp_path / "home")
    assert space_check(settings).state == "problem"


def test_a_home_that_cannot_be_opened_is_a_problem(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "keys").mkdir(exist_ok=True)
    (home / "galenic.db").write_text("no database")
    assert doctor(capsys, code=1)["Installation"]["state"] == "problem"


def test_an_index_without_later_rows_is_a_problem(custody: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    build_index(custody, custody.sign_in("paul"), "clinic", "quality", codes=("sex",))
    assert doctor(capsys)["Search indexes"]["state"] == "ok"
    request = ImportRequest("clinic", patient="patient_id")
    import_table(custody, custody.sign_in("inge"), records.in_memory(made_patients(200, 4, visits=2)), request)
    found = doctor(capsys, code=1)["Search indexes"]
    assert "galenic records index build clinic" in found["advice"]


def test_jobs_that_wait_without_a_worker_are_a_warning(custody: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    with running_jobs(custody):  # makes the tables of the queue
        pass
    with job_queue(custody) as queue:
        queue.submit("quality", {"done": True})
    assert doctor(capsys)["Jobs"]["state"] == "warning"
