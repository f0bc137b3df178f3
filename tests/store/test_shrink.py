"""The database's log is emptied after an erasure, or the receipt says that it was not."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from galenic import cli, flows, store
from galenic.cli import subjects
from galenic.installation import Installation
from galenic.store import Database


def a_reader(place: Path) -> sqlite3.Connection:
    """A connection in the middle of a read."""
    connection = sqlite3.connect(place, check_same_thread=False)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM facts").fetchone()
    return connection


def written(db: Database) -> None:
    store.move_on(db, "erasures")


def test_the_log_is_emptied_once_a_reader_has_ended(tmp_path: Path) -> None:
    place = tmp_path / "galenic.db"
    db = Database(f"sqlite:///{place}")
    reader = a_reader(place)
    written(db)
    ending = threading.Timer(1.0, reader.close)
    ending.start()
    assert db.shrink() is True
    assert Path(f"{place}-wal").stat().st_size == 0
    ending.join()
    db.close()


def test_a_log_that_is_read_all_the_time_is_not_said_to_be_empty(tmp_path: Path) -> None:
    place = tmp_path / "galenic.db"
    db = Database(f"sqlite:///{place}")
    reader = a_reader(place)
    written(db)
    before = time.monotonic()
    assert db.shrink(wait=0.5) is False
    assert time.monotonic() - before < 5
    assert Path(f"{place}-wal").stat().st_size > 0
    reader.close()
    assert db.shrink() is True
    db.close()


def test_nobody_says_that_the_log_of_postgresql_is_empty(postgresql: str) -> None:
    db = Database(postgresql)
    assert db.shrink() is None
    db.close()


def test_the_receipt_and_the_command_say_that_the_log_was_not_emptied(
    custody: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = a_reader(custody.home / "galenic.db")
    erased = flows.erase(custody, custody.sign_in("paul", "paul2"), "P000001")
    assert erased.facts["log_emptied"] is False
    subjects._print_erasure(erased)
    assert "log was not emptied" in " ".join(capsys.readouterr().out.split())
    reader.close()
    assert flows.erase(custody, custody.sign_in("paul", "paul2"), "P000002").facts["log_emptied"] is True


def test_the_key_beside_a_backup_that_is_not_reached_is_not_said_to_be_dead(
    custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("near", "away"):
        assert cli.run(["backup", "create", str(tmp_path / name), "--key", "sven", "--second", "sven2"]) == 0
    (tmp_path / "away").rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert cli.run(["patient", "erase", "P000001", "--key", "paul", "--second", "paul2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"backup {tmp_path / 'near'}: the patient's key is dead" in said
    assert said.count("key is dead") == 1
    assert "not checked, since it was not reached" in said
