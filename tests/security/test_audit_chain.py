"""The audit chain notices every change, names the row, and keeps its promises under load, attack and failure."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from disks import frozen, small_disk
from galenic import settings, store
from galenic.errors import ConfigurationError, StoreError, UnknownNameError
from galenic.installation import Installation, open_installation
from galenic.security import AuditLog, KeyRing, Witness, root_from_proof, to_audit_event, verify_audit
from tampering import KINDS, Kind, Victim

ROWS = 16


@pytest.fixture
def chained(installation: Installation) -> Installation:
    for i in range(ROWS):
        installation.audit.append("step", f"run-{i}", actor="test")
    return installation


@pytest.fixture
def victim(home: Path) -> tuple[Victim, bytes]:
    """A chain, what an attacker finds, and the first key, which somebody kept offline."""
    installation = open_installation(home)
    for i in range(ROWS):
        installation.audit.append("step", f"run-{i}", actor="test")
        if i == ROWS - 6:
            installation.db.shrink()
            shutil.copy(home / "galenic.db", home / "older.db")
    installation.db.shrink()
    installation.close()
    first = bytes.fromhex((home / "keys" / "audit-first.key").read_text())
    key = (home / "keys" / "audit.key").read_bytes()[8:]
    found = Victim(home / "galenic.db", ROWS, key, KeyRing(home / "keys").gate().private, home / "older.db")
    return found, first


def faults(home: Path, first: bytes | None) -> list[str]:
    """What an auditor's own run of the offline verifier prints."""
    words = [sys.executable, "-I", verify_audit.__file__, home / "galenic.db", "--public", home / "gate.pub"]
    (home / "gate.pub").write_text(KeyRing(home / "keys").gate().public)
    (home / "first").write_text(first.hex() if first else "")
    words += ["--witness", home / "witness" / "heads.jsonl"] + (["--first-key", home / "first"] if first else [])
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("note:")]
    assert done.returncode == (0 if lines[-1].startswith("INTACT") else 1), done.stderr
    return lines[:-1]


def test_an_untouched_chain_is_intact(victim: tuple[Victim, bytes], home: Path) -> None:
    assert faults(home, victim[1]) == []
    assert faults(home, None) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k[0])
def test_every_kind_of_tampering_is_noticed_at_its_row(kind: Kind, victim: tuple[Victim, bytes], home: Path) -> None:
    _name, tamper, row = kind
    tamper(victim[0])
    found = faults(home, victim[1])
    assert found
    if row is not None:
        assert found[0].startswith(f"row {row}:")


def test_there_are_at_least_twenty_kinds() -> None:
    assert len({k[0] for k in KINDS}) >= 20


def test_a_database_rolled_back_is_noticed_before_the_next_row(victim: tuple[Victim, bytes], home: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(str(home / "galenic.db") + suffix).unlink(missing_ok=True)
    shutil.copy(victim[0].older, home / "galenic.db")
    with pytest.raises(StoreError, match="rolled back"):
        open_installation(home).audit.append("step", "next")


def test_a_changed_chain_stops_what_needs_it_whole(chained: Installation) -> None:
    with chained.db.transaction() as c:
        c.exec_driver_sql("UPDATE audit SET entry = replace(entry, 'run-2', 'run-9')")
    with pytest.raises(StoreError, match="row 3: changed"):
        chained.audit.require_intact()


def test_an_inclusion_proof_leads_to_the_signed_root(chained: Installation) -> None:
    for seq in (1, 2, 9, ROWS):
        proof = chained.audit.proof(seq)
        head = json.loads(proof["head"])
        path = [bytes.fromhex(p) for p in proof["path"]]
        assert root_from_proof(bytes.fromhex(proof["leaf"]), seq - 1, head["size"], path) == bytes.fromhex(head["root"])
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(chained.keys.gate().public))
        public.verify(base64.b64decode(proof["signature"]), proof["head"].encode())
        other = bytes.fromhex(chained.audit.proof(seq % ROWS + 1)["leaf"])
        assert root_from_proof(other, seq - 1, head["size"], path) != bytes.fromhex(head["root"])
    with pytest.raises(UnknownNameError, match="no entry 99"):
        chained.audit.proof(99)


def test_many_writers_share_commits_and_every_row_is_there(installation: Installation) -> None:
    numbers: list[int] = []

    def write(who: int) -> None:
        for i in range(20):
            numbers.append(installation.audit.append("step", f"{who}-{i}"))
            installation.audit.post("after", f"{who}-{i}")

    threads = [threading.Thread(target=write, args=(i,)) for i in range(32)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    installation.audit.flush()
    assert installation.audit.faults() == ([], 32 * 40)
    assert len(set(numbers)) == 32 * 20
    assert len(store.list_heads(installation.db)) < 32 * 40


def test_two_processes_write_one_chain(home: Path) -> None:
    code = "from galenic.installation import open_installation; h = open_installation()\nfor i in range(25): h.audit.append('step', str(i))"
    crowd = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [p.wait(timeout=120) for p in crowd] == [0, 0, 0]
    assert open_installation(home).audit.faults() == ([], 75)


def test_a_row_that_can_not_be_written_is_refused_and_the_next_one_is_taken(chained: Installation, home: Path) -> None:
    with frozen(home / "keys" / "audit.key"), pytest.raises(StoreError, match="cannot be opened"):
        open_installation(home).audit.append("step", "while read-only")
    chained.audit.append("step", "after it")
    assert chained.audit.faults()[0] == []
    assert list(chained.audit.entries())[-1].resource == "after it"


def test_a_witness_without_room_takes_no_half_line(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "far", "4k") as far:
        witness = Witness((str(far / "heads.jsonl"),))
        with pytest.raises(StoreError, match="No space left"):
            for i in range(100):
                witness.push(f"head {i} " + 90 * "x", "signature")
        assert len(witness.read()) > 20


def test_an_auditor_verifies_a_copy_on_a_read_only_medium(chained: Installation, home: Path) -> None:
    chained.close()
    (home / "gate.pub").write_text(chained.keys.gate().public)
    words = [sys.executable, "-I", verify_audit.__file__, home / "galenic.db", "--public", home / "gate.pub"]
    with frozen(home):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert f"INTACT: {ROWS} rows stand" in done.stdout, done.stderr


@pytest.mark.parametrize("after", [0.15, 0.4, 0.8])
def test_a_kill_loses_no_acknowledged_row(home: Path, after: float) -> None:
    open_installation(home).close()
    code = (
        "import sys\nfrom galenic.installation import open_installation\nh = open_installation()\n"
        "while True: print(h.audit.append('step', 'x'), flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = [int(n) for n in process.stdout.read().split()]
    found, rows = open_installation(home).audit.faults()
    assert not found
    assert rows >= max(acknowledged, default=1)
    open_installation(home).audit.append("step", "after")
    assert open_installation(home).audit.intact()


def test_names_can_not_forge_lines_or_colours(installation: Installation) -> None:
    installation.audit.append("step", "a\n  99  2026  root  erased\x1b[31m\u202etxt")
    entry = list(installation.audit.entries())[-1]
    assert entry.resource.isprintable()
    assert "\\n" in entry.resource
    assert "\\u202e" in entry.resource
    line = json.loads(Path(installation.audit.witness.files[0]).read_text().splitlines()[-1])
    assert set(line) == {"head", "signature"}


def test_a_clock_set_back_is_written_down_once(installation: Installation) -> None:
    installation.audit.append("step", "now")
    installation.audit._time = "2999-01-01T00:00:00.000+00:00"
    installation.audit.append("step", "earlier")
    installation.audit.append("step", "later than that")
    before, after = (row[1] for row in next(store.audit_batches(installation.db))[-2:])
    assert '"clock":"set back"' in before
    assert '"clock":"set back"' not in after


def test_without_its_witness_nothing_is_written(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = AuditLog(
        installation.db,
        installation.keys.gate(),
        "test",
        installation.home / "keys",
        Witness((str(tmp_path / "file" / "heads"),)),
    )
    with pytest.raises(StoreError, match="witness"):
        log.append("step", "unseen")
    with pytest.raises(ConfigurationError, match="no witness"):
        Witness(())


def test_heads_reach_syslog(installation: Installation, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        where = f"syslog:127.0.0.1:{server.getsockname()[1]}"
        witness = Witness((str(installation.home / "witness" / "heads.jsonl"), where))
        AuditLog(installation.db, installation.keys.gate(), "test", installation.home / "keys", witness).append("step", "x")
        message = server.recv(4096).decode()
    assert message.startswith("<109>1 ")
    assert json.loads(message.partition("audit-head - ")[2])["signature"]


def test_rows_become_fhir_audit_events(chained: Installation) -> None:
    event = to_audit_event(next(chained.audit.entries()))
    assert event["resourceType"] == "AuditEvent"
    for field in ("type", "recorded", "agent", "source"):  # cardinality 1 or more in R4
        assert event[field]
    assert event["agent"][0]["requestor"] is True
    assert event["outcome"] in ("0", "4", "8", "12")


def test_the_offline_verifier_is_short_and_needs_only_cryptography() -> None:
    text = Path(verify_audit.__file__).read_text()
    assert len(text.splitlines()) < 160
    assert "galenic" not in [
        line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    ]


def test_an_unreadable_setting_is_said(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("GALENIC_ESCROW_DAYS", "soon")
    with pytest.raises(ConfigurationError, match="GALENIC_ESCROW_DAYS"):
        settings.load()
