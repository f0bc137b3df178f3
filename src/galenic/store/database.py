"""The database of one installation: SQLite by default, PostgreSQL by one URL; migrated by Alembic."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from galenic.errors import StoreError
from galenic.store.files import make_private
from galenic.store.tables import metadata
from galenic.store.upgrade import (
    MIGRATION,
    SCHEMA,
    Upgrade,
    drop_upgrade_copies,
    migrate,
    refuse_newer,
    schema_version,
    upgrade,
    upgrade_copies,
)

POOL, OVERFLOW = 20, 60  # pooled connections, because opening one costs more than most queries, and further ones under load
BUSY_TIMEOUT = 120_000  # milliseconds that a write waits for another one (SQLite)
SHRINK_SECONDS, SHRINK_PAUSE = 10.0, 100  # seconds of attempts to empty the log; milliseconds between two attempts


class Database:
    """One connection pool; every write happens inside `transaction`."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.url.database != ":memory:":
                make_private(Path(self.url.database))
        self._local = threading.local()
        self.engine = sa.create_engine(self.url, pool_size=POOL, max_overflow=OVERFLOW)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        dbapi = self.engine.dialect.dbapi
        self._errors: tuple[type[Exception], ...] = (dbapi.Error, SQLAlchemyError) if dbapi else (SQLAlchemyError,)
        self.upgraded: Upgrade | None = None
        try:
            self._open()
        except BaseException:
            self.engine.dispose()
            raise

    def _open(self) -> None:
        try:
            with self.reading() as connection:
                _refuse_meddling(connection)
                version = schema_version(connection)
            refuse_newer(version)
            if version is None:
                with self.engine.begin() as connection:
                    self._create(connection)
            elif version != SCHEMA:
                self.upgraded = upgrade(self.engine)
        except SQLAlchemyError as error:
            raise _explain(error) from error

    @contextlib.contextmanager
    def transaction(self, tenant: str | None = None) -> Iterator[sa.Connection]:
        """Serialized write transaction, durable when the block ends normally and rolled back otherwise.

        tenant: the tenant with visible rows where the database separates tenants (PostgreSQL's row-level security).
        """
        try:
            with self.engine.begin() as connection:
                self._enter(connection, tenant)
                yield connection
        except SQLAlchemyError as error:
            raise _explain(error) from error

    @contextlib.contextmanager
    def reading(self, tenant: str | None = None) -> Iterator[sa.Connection]:
        """Read transaction on a consistent state of the data. Writers need not wait for it."""
        try:
            level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            with self.engine.connect().execution_options(galenic_reading=True, **level) as connection, connection.begin():
                self._enter(connection, tenant)
                yield connection
        except SQLAlchemyError as error:
            raise _explain(error, "was not read") from error

    def rows(self, sql: str, values: Sequence[Any], tenant: str | None = None) -> list[Any]:
        """Rows of one SELECT, with ? for each value, without the SQL compiler: for reads that run thousands of times per
        second."""
        if not self.is_sqlite:
            with self.reading(tenant) as c:
                return list(c.exec_driver_sql(sql.replace("?", "%s"), tuple(values)).fetchall())
        held = getattr(self._local, "held", None)
        if held is None or held[0] is not self.engine.pool:
            held = self._local.held = (self.engine.pool, self.engine.raw_connection())
        try:
            connection: Any = held[1].driver_connection
            return list(connection.execute(sql, values).fetchall())
        except self._errors as error:
            raise StoreError(
                f"the database cannot be read ({type(error).__name__}). Check free space and permissions, then try again."
            ) from error

    @contextlib.contextmanager
    def writing(self, tenant: str | None = None) -> Iterator[Any]:
        """As `transaction`, with the driver's cursor: for the few statements that run thousands of times per second."""
        try:
            with contextlib.closing(self.engine.raw_connection()) as connection:
                cursor = connection.cursor()
                if self.is_sqlite:
                    cursor.execute("BEGIN IMMEDIATE")
                elif tenant is not None:
                    cursor.execute("SELECT set_config('galenic.tenant', %s, true)", (tenant,))
                try:
                    yield cursor
                    connection.commit()
                finally:
                    connection.rollback()  # no effect after a commit
        except self._errors as error:
            raise StoreError(
                f"the database did not accept the change ({type(error).__name__}). Nothing was written. Check free space, "
                "permissions and GALENIC_DATABASE, then run the command again."
            ) from error

    def _enter(self, connection: sa.Connection, tenant: str | None) -> None:
        if tenant is not None and not self.is_sqlite:
            connection.execute(sa.text("SELECT set_config('galenic.tenant', :t, true)"), {"t": tenant})

    def _create(self, connection: sa.Connection) -> None:
        if not self.is_sqlite:
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({MIGRATION})"))  # one process creates, others wait
        if schema_version(connection) == SCHEMA:
            return
        if set(sa.inspect(connection).get_table_names()) & set(metadata.tables):
            raise StoreError(
                "the database was made by a development version without migrations. Move it away (its releases verify without it), "
                "then run the command again."
            )
        migrate(connection)

    def upgrade_copies(self) -> list[str]:
        """Paths of the database copies that upgrades made."""
        return upgrade_copies(self.engine)

    def drop_upgrade_copies(self) -> list[str]:
        """Deletes the database copies of upgrades, which contain erased patients and their keys. Returns their paths."""
        return drop_upgrade_copies(self.engine)

    def shrink(self, wait: float = SHRINK_SECONDS) -> bool | None:
        """Writes the log into the file and empties it, so that no erased byte remains in it (SQLite). Return False if others
        read or wrote for the whole waiting time, so that the log still contains earlier pages; None on PostgreSQL, whose log
        is managed by its administrators."""
        if not self.is_sqlite:
            return None
        until = time.monotonic() + wait
        with contextlib.closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={SHRINK_PAUSE}")
            try:
                while cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    if time.monotonic() > until:
                        return False
                    time.sleep(SHRINK_PAUSE / 1000)
            finally:
                cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
        return True

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()


def _refuse_meddling(connection: sa.Connection) -> None:
    """Raise StoreError for a trigger or rule on our tables, or a view in place of one, because it could change reads and
    writes."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, type FROM sqlite_master WHERE type = 'trigger' OR (type = 'view' AND name IN :ours)"
    else:
        query = (
            "SELECT t.tgname, 'trigger' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n "
            "ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND n.nspname = current_schema() AND c.relname IN :ours "
            "UNION ALL SELECT rulename, 'rule' FROM pg_rules WHERE schemaname = current_schema() AND tablename IN :ours "
            "UNION ALL SELECT viewname, 'view' FROM pg_views WHERE schemaname = current_schema() AND viewname IN :ours"
        )
    names: sa.BindParameter[Any] = sa.bindparam("ours", sorted(metadata.tables), expanding=True)
    found = connection.execute(sa.text(query).bindparams(names)).first()
    if found is not None:
        raise StoreError(
            f"the database has a {found[1]} {str(found[0])!r} that Galenic did not create. It could change reads and writes. "
            "Nothing was opened. Keep a copy of the database, contact the security officer, and remove it."
        )


def _explain(error: SQLAlchemyError, what: str = "did not accept the change") -> StoreError:
    kind = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
    if isinstance(error, DBAPIError) and str(getattr(error.orig, "sqlite_errorname", "")) in (
        "SQLITE_NOTADB",
        "SQLITE_CORRUPT",
    ):
        return StoreError(
            "the database file is damaged. Nothing was changed. Keep a copy of it, then restore a backup into a new home folder: "
            "galenic backup restore FOLDER"
        )
    return StoreError(
        f"the database {what} ({kind}). Nothing was written. Check free space, permissions and GALENIC_DATABASE, then run the "
        "command again."
    )


def _sqlite_connect(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # BEGIN is issued explicitly
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # an acknowledged row survives power loss
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-32000")  # KiB; the default of 2,000 is too small for indexes of keyed tokens
    cursor.execute("PRAGMA wal_autocheckpoint=4000")  # pages; each check for whether the log must be written costs a flush
    cursor.execute("PRAGMA secure_delete=ON")  # freed pages are overwritten
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    # IMMEDIATE takes the write lock before the first read, so two concurrent readers can never both see the same balance.
    reading = connection.get_execution_options().get("galenic_reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
