"""The database of one installation: SQLite by default, PostgreSQL by one URL."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from galenic.errors import StoreError

metadata = sa.MetaData()

populations = sa.Table(
    "populations",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("rho_limit", sa.BigInteger, nullable=False),  # in 1e-12
    sa.Column("delta_limit", sa.BigInteger, nullable=False),  # in 1e-18, for thresholds
    sa.Column("rho_used", sa.BigInteger, nullable=False, default=0),
    sa.Column("delta_used", sa.BigInteger, nullable=False, default=0),
    sa.Column("epsilon", sa.Float, nullable=False),
    sa.Column("delta", sa.Float, nullable=False),
    sa.Column("refusals", sa.Integer, nullable=False, default=0),
    sa.Column("declared_by", sa.String, nullable=False),
    sa.Column("declared_at", sa.String, nullable=False),
    sa.CheckConstraint("rho_used <= rho_limit and delta_used <= delta_limit", name="no_overdraft"),
    sa.CheckConstraint("rho_used >= 0 and delta_used >= 0", name="no_refund_below_zero"),
)

charges = sa.Table(
    "charges",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("population", sa.String, sa.ForeignKey("populations.name"), nullable=False, index=True),
    sa.Column("rho_reserved", sa.BigInteger, nullable=False),
    sa.Column("delta_reserved", sa.BigInteger, nullable=False),
    sa.Column("rho_spent", sa.BigInteger),  # null: reserved and not settled, counts as spent
    sa.Column("delta_spent", sa.BigInteger),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("reserved_at", sa.String, nullable=False),
    sa.Column("settled_at", sa.String),
    sa.Column("mechanisms", sa.Text),  # JSON list
)

audit_rows = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("entry", sa.Text, nullable=False),  # canonical JSON without patient data
    sa.Column("hash", sa.String, nullable=False),
    sa.Column("signature", sa.String, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("id", sa.String, primary_key=True),  # sha256 of the attested statement
    sa.Column("state", sa.String, nullable=False),  # live, recalled
    sa.Column("population", sa.String, nullable=False),
    sa.Column("policy", sa.String, nullable=False),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("released_at", sa.String, nullable=False),
    sa.Column("recalled_at", sa.String),
    sa.Column("reason", sa.String),
)


class Database:
    """One connection pool; every write happens inside `transaction`."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        if self.url.get_backend_name() == "sqlite" and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.engine = sa.create_engine(self.url)
        if self.url.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        try:
            with self.engine.begin() as connection:
                metadata.create_all(connection)
        except SQLAlchemyError as error:
            raise _explain(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A serialised write transaction, durable when the block ends well and undone otherwise."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _explain(error) from error

    def close(self) -> None:
        """Gives the connections back."""
        self.engine.dispose()


def _explain(error: SQLAlchemyError) -> StoreError:
    kind = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
    return StoreError(
        f"the database did not take the change ({kind}). Nothing was written. Check free space, rights and GALENIC_DATABASE, "
        "then run the command again."
    )


def _sqlite_connect(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # we say BEGIN ourselves
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA busy_timeout=120000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # an acknowledged row survives power loss
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    # IMMEDIATE takes the write lock before the first read: two racing readers can never both see the same balance.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
