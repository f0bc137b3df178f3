"""A database of an earlier version is copied, then upgraded; one of a newer version, or in use by a server, is refused unchanged."""

import contextlib
import json
import sqlite3
import stat
import tarfile
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from galenic import flows, store
from galenic.errors import StateError, StoreError
from galenic.installation import open_installation
from galenic.store import upgrade
from galenic.store.tables import metadata


def made(url: str, version: str) -> str:
    """The URL of a database as an earlier version would have left it, with one release of one run."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(upgrade.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.execute(
            sa.text(
                "INSERT INTO releases (id, state, population, policy, run, released_at) VALUES ('r', 'live', '', '', 'run', '2026')"
            )
        )
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path / 'galenic.db'}"


def version_of(url: str) -> str:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = upgrade.schema_version(connection)
    engine.dispose()
    assert found is not None
    return found


def copied_rows(url: str, place: str) -> list[tuple[str, str]]:
    """(run, schema version) of the copy."""
    engine = sa.create_engine(f"sqlite:///{place}" if url.startswith("sqlite") else url)
    prefix = "" if url.startswith("sqlite") else f'"{place}".'
    with engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT run, version_num FROM {prefix}releases, {prefix}alembic_version")).all()
    engine.dispose()
    return [(str(r[0]), str(r[1])) for r in rows]


@pytest.mark.parametrize("version", ["0001", "0002", "0003", "0004"])
def test_each_earlier_schema_is_copied_and_then_upgraded(url: str, version: str) -> None:
    database = store.Database(made(url, version))
    assert database.upgraded is not None
    assert (database.upgraded.before, database.upgraded.after) == (version, upgrade.SCHEMA)
    assert database.upgrade_copies() == [database.upgraded.copy]
    assert copied_rows(url, database.upgraded.copy) == [("run", version)]
    assert version_of(url) == upgrade.SCHEMA
    tables = set(sa.inspect(database.engine).get_table_names())
    assert set(metadata.tables) <= tables
    database.close()
    again = store.Database(url)
    assert again.upgraded is None
    again.close()


def test_a_new_database_makes_no_copy(url: str) -> None:
    database = store.Database(url)
    assert database.upgraded is None
    assert database.upgrade_copies() == []
    database.close()


def test_the_schema_version_is_that_of_the_newest_migration() -> None:
    assert max(p.name[:4] for p in (upgrade.MIGRATIONS / "versions").glob("0*.py")) == upgrade.SCHEMA


@pytest.mark.parametrize("newer", ["0006", "9999", "abcdef012345"])
def test_a_database_of_a_newer_version_is_refused_unchanged(url: str, newer: str) -> None:
    store.Database(url).close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": newer})
    with pytest.raises(StateError, match="newer version of Galenic"):
        store.Database(url)
    assert version_of(url) == newer
    engine.dispose()


def test_nothing_is_upgraded_while_a_server_of_an_earlier_version_runs(tmp_path: Path) -> None:
    current = store.Database(f"sqlite:///{tmp_path / 'other' / 'galenic.db'}")
    for place in (
        tmp_path,
        tmp_path / "elsewhere",
    ):  # the lock of the home folder, and that beside a database in another folder
        place.mkdir(exist_ok=True)
        url = made(f"sqlite:///{place / 'galenic.db'}", "0004")
        current.url = sa.make_url(url)
        with store.only_server(current, tmp_path, "address"), pytest.raises(StateError, match="Stop the server"):
            store.Database(url)
        assert version_of(url) == "0004"
    current.close()


def test_nothing_is_upgraded_in_postgresql_while_a_server_of_an_earlier_version_runs(postgresql: str) -> None:
    made(postgresql, "0004")
    engine = sa.create_engine(postgresql)
    with engine.connect() as other:
        other.execute(sa.text(f"SELECT pg_advisory_lock({upgrade.SERVER})"))
        with pytest.raises(StateError, match="Stop the server"):
            store.Database(postgresql)
    assert version_of(postgresql) == "0004"
    engine.dispose()


def test_without_space_for_the_copy_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = made(f"sqlite:///{tmp_path / 'galenic.db'}", "0004")
    monkeypatch.setattr(upgrade.shutil, "disk_usage", lambda _place: SimpleNamespace(free=1000))
    with pytest.raises(StoreError, match="Free some space"):
        store.Database(url)
    assert version_of(url) == "0004"
    assert not list((tmp_path / "upgrades").glob("*"))


def test_a_damaged_database_is_not_upgraded(tmp_path: Path) -> None:
    url = made(f"sqlite:///{tmp_path / 'galenic.db'}", "0004")
    with contextlib.closing(sqlite3.connect(tmp_path / "galenic.db")) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file.execute("PRAGMA writable_schema=ON")
        file.execute("UPDATE sqlite_master SET rootpage = 100000 WHERE name = 'facts'")
        file.commit()
    with pytest.raises(StoreError):
        store.Database(url)
    assert not list((tmp_path / "upgrades").glob("*.db"))


def test_a_migration_that_fails_leaves_the_former_database(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made(url, "0004")

    def fail(connection: sa.Connection) -> None:
        connection.execute(sa.text("DELETE FROM releases"))
        raise sa.exc.OperationalError("step", {}, Exception("disk full"))

    with monkeypatch.context() as patched:
        patched.setattr(upgrade, "migrate", fail)
        with pytest.raises(StoreError):
            store.Database(url)
    assert version_of(url) == "0004"
    database = store.Database(url)  # the next start completes it
    assert database.upgraded is not None
    assert copied_rows(url, database.upgraded.copy) == [("run", "0004")]
    database.close()


def open_database(url: str) -> str:
    database = store.Database(url)
    database.close()
    return database.upgraded.copy if database.upgraded else ""


def test_of_processes_that_start_at_once_one_upgrades(url: str) -> None:
    made(url, "0004")
    with get_context("spawn").Pool(3) as processes:
        copies = processes.map(open_database, [url] * 3, chunksize=1)
    assert len([c for c in copies if c]) == 1
    assert version_of(url) == upgrade.SCHEMA


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of version 0.1.0, as the previous release left it."""
    with tarfile.open(Path(__file__).parents[1] / "installations" / "installation-0.1.0.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    home = tmp_path / "installation-0.1.0" / "home"
    monkeypatch.setenv("GALENIC_HOME", str(home))
    return home


def test_an_upgrade_is_audited_and_its_copy_is_for_the_owner_alone(earlier: Path, caplog: pytest.LogCaptureFixture) -> None:
    installation = open_installation(earlier)
    assert installation.audit.faults()[0] == []
    (copy,) = installation.db.upgrade_copies()
    assert "The database was upgraded from schema 0004" in caplog.text
    assert stat.S_IMODE(Path(copy).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(copy).parent.stat().st_mode) == 0o700
    rows = [r for batch in store.audit_batches(installation.db) for r in batch]
    assert sum("database.upgraded" in str(r) for r in rows) == 1
    installation.close()


def test_an_erasure_deletes_the_copy_which_holds_the_patients_key(earlier: Path) -> None:
    installation = open_installation(earlier)
    (copy,) = installation.db.upgrade_copies()
    receipt = flows.erase(
        installation,
        installation.sign_in("paul", "paul2"),
        json.loads((earlier.parent / "expected.json").read_text())["treated"],
    )
    assert not Path(copy).exists()
    assert [a["fate"] for a in receipt.facts["artefacts"] if a["id"] == copy] == ["deleted"]
    installation.close()
