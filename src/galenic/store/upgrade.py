"""Upgrade of a database to the schema of this version. Newer schemas are refused, and a copy is made before the first change."""

import contextlib
import fcntl
import io
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from galenic.errors import StateError, StoreError
from galenic.store.files import file_aside, locked

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA = "0005"  # schema version of this release: its newest migration; a test compares it with the folder
COPIES = "upgrades"  # folder beside an SQLite database; prefix of schemas in PostgreSQL
SERVER, WORKER, MIGRATION = 7214532, 7214533, 7214531  # advisory locks of PostgreSQL


@dataclass(frozen=True)
class Upgrade:
    """A completed upgrade. before, after: schema versions; copy: place of the copy of the former database, empty if none was made."""

    before: str
    after: str
    copy: str


def schema_version(connection: sa.Connection) -> str | None:
    """Schema version of a database; None if it holds no migrated tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def refuse_newer(version: str | None) -> None:
    """Raise StateError for a database of a newer release, because its tables are unknown to this release."""
    if version is not None and (not re.fullmatch(r"\d{4}", version) or version > SCHEMA):
        raise StateError(
            f"this installation was written by a newer version of Galenic (database schema {version[:20]}; this version knows schemas up "
            f"to {SCHEMA}). Nothing was changed. Install that version or a later one, or restore the copy that was made before the upgrade "
            "(docs/how-to/upgrade.md)."
        )


def migrate(connection: sa.Connection) -> None:
    """Updates the tables to the schema of this release, inside the transaction of the caller."""
    from alembic import command  # noqa: PLC0415  # a quarter of a second that only a new or upgraded database pays
    from alembic.config import Config  # noqa: PLC0415

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def upgrade(engine: sa.Engine) -> Upgrade | None:
    """Copies the database, then migrates it in one transaction. Return None if another process has upgraded it in the meantime."""
    if engine.dialect.name != "sqlite":
        return _upgrade_postgresql(engine)
    file = Path(str(engine.url.database))
    with locked(file), _no_server(file):
        with engine.connect() as connection:
            before = schema_version(connection)
        if before is None or before == SCHEMA:
            return None
        copy = _copy_file(file, before)
        with engine.begin() as connection:
            migrate(connection)
        return Upgrade(before, SCHEMA, str(copy))


def upgrade_copies(engine: sa.Engine) -> list[str]:
    """Paths of the copies that upgrades made: SQLite files, or PostgreSQL schemas."""
    if engine.dialect.name == "sqlite":
        folder = Path(str(engine.url.database)).parent / COPIES
        return sorted(str(p) for p in folder.glob("*.db")) if folder.is_dir() else []
    with engine.connect() as connection:
        return _schemas(connection)


def drop_upgrade_copies(engine: sa.Engine) -> list[str]:
    """Deletes the copies of upgrades, because they contain erased patients and their keys. Returns their paths."""
    places = upgrade_copies(engine)
    if engine.dialect.name == "sqlite":
        for place in places:
            _overwrite(Path(place))
    elif places:
        with engine.begin() as connection:
            for name in places:
                connection.execute(sa.text(f'DROP SCHEMA "{name}" CASCADE'))
    return places


def _copy_file(file: Path, version: str) -> Path:
    """Compact, checked copy of an SQLite database."""
    folder = file.parent / COPIES
    folder.mkdir(mode=0o700, exist_ok=True)
    needed = sum(p.stat().st_size for p in (file, file.with_name(f"{file.name}-wal")) if p.exists())
    if shutil.disk_usage(folder).free < needed + 2**24:
        raise StoreError(
            f"the copy that precedes an upgrade needs {needed / 2**20:.0f} MiB in {folder}, where less is free. Nothing was changed. "
            "Free some space, then run the command again."
        )
    target = folder / f"{file.stem}-{version}.db"
    try:
        with file_aside(target) as aside:
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as source:
                source.execute("VACUUM INTO ?", (str(aside),))
            with contextlib.closing(sqlite3.connect(aside)) as made:
                if made.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                    raise sqlite3.DatabaseError
    except sqlite3.Error as error:
        raise StoreError(
            f"{file} could not be copied before the upgrade ({type(error).__name__}). Nothing was changed. Check the free space and the "
            "health of the database (PRAGMA integrity_check), then run the command again."
        ) from error
    return target


@contextlib.contextmanager
def _no_server(file: Path) -> Iterator[None]:
    """Raise StateError while a server or worker of another version uses an SQLite database, because it would write to tables
    that it does not know."""
    with contextlib.ExitStack() as stack:
        for right in ("server", "worker"):
            for place in (file.with_name(f"{right}.lock"), file.with_name(f"{file.name}.{right}.lock")):
                if not place.exists():
                    continue
                lock = stack.enter_context(place.open("rb"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise StateError(_in_use(right)) from None
        yield


def _in_use(right: str) -> str:
    return (
        f"the database needs an upgrade to schema {SCHEMA}, and a {right} of an earlier version is running on it. Nothing was changed. "
        f"Stop the {right}, then run the command again."
    )


def _upgrade_postgresql(engine: sa.Engine) -> Upgrade | None:
    with engine.begin() as connection:
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({MIGRATION})"))  # one process migrates, others wait
        before = schema_version(connection)
        if before is None or before == SCHEMA:
            return None
        for lock, right in ((SERVER, "server"), (WORKER, "worker")):
            if not connection.execute(sa.text(f"SELECT pg_try_advisory_xact_lock({lock})")).scalar_one():
                raise StateError(_in_use(right))
        name = _copy_schema(connection, before)
        migrate(connection)
    return Upgrade(before, SCHEMA, name)


def _copy_schema(connection: sa.Connection, version: str) -> str:
    """Copy of every table in a separate schema, in the transaction of the migration."""
    ours = connection.execute(sa.text("SELECT current_schema()")).scalar_one()
    name = f"{COPIES}_{ours}_{version}"
    try:
        connection.execute(sa.text(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'))
        connection.execute(sa.text(f'CREATE SCHEMA "{name}"'))
        for table in sa.inspect(connection).get_table_names():
            forced = connection.execute(
                sa.text("SELECT relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:t)"), {"t": f'"{ours}"."{table}"'}
            ).scalar_one()
            if forced:  # the owner sees the rows of every tenant while the copy is made
                connection.execute(sa.text(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY'))
            connection.execute(sa.text("SET LOCAL row_security = off"))  # an error is better than a copy without some rows
            connection.execute(sa.text(f'CREATE TABLE "{name}"."{table}" AS TABLE "{ours}"."{table}"'))
            if forced:
                connection.execute(sa.text(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY'))
        connection.execute(sa.text("SET LOCAL row_security = on"))
    except SQLAlchemyError as error:
        kind = type(getattr(error, "orig", error)).__name__
        raise StoreError(
            f"the database could not be copied before the upgrade ({kind}). Nothing was changed. The user of GALENIC_DATABASE must own the "
            "tables and may need the right to create a schema: GRANT CREATE ON DATABASE … TO … ."
        ) from error
    return name


def _schemas(connection: sa.Connection) -> list[str]:
    ours = connection.execute(sa.text("SELECT current_schema()")).scalar_one()
    query = sa.text("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, :p) ORDER BY nspname")
    return [str(r[0]) for r in connection.execute(query, {"p": f"{COPIES}_{ours}_"})]


def _overwrite(place: Path) -> None:
    """Overwrites a file before it is deleted, as SQLite does with freed pages (secure_delete)."""
    with place.open("r+b") as file:
        left = place.stat().st_size
        while left > 0:
            left -= file.write(b"\0" * min(left, 2**20))
        file.flush()
        os.fsync(file.fileno())
    place.unlink()
