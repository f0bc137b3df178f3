"""Rows of facts that decisions need. The security package decides who may write one, and checks its MAC."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from galenic.errors import StateError, StoreError
from galenic.store.database import Database
from galenic.store.rows import Row
from galenic.store.tables import facts

COLUMNS = tuple(c.name for c in facts.c)
MEDDLED = (
    "Something in the database, such as a trigger, changes what is written. Nothing was changed. Stop, keep the database, "
    "and contact the security officer."
)


def put_fact(db: Database, row: Row, *, bump: bool = True) -> None:
    """Writes or replaces one fact and increases the version, so that open grants are decided again."""
    with db.transaction() as c:
        if bump:
            bump_version(c, "facts")
        _put(c, row)


def put_facts(db: Database, rows: list[Row]) -> None:
    """Writes many facts in one transaction."""
    with db.transaction() as c:
        bump_version(c, "facts")
        for row in rows:
            _put(c, row)


def _put(c: sa.Connection, row: Row) -> None:
    where = (facts.c.kind == row["kind"]) & (facts.c.key == row["key"])
    if row.get("unique_name") is not None and _shared_it_before(c, where, row["unique_name"]):
        row = {**row, "unique_name": None}
    try:
        if c.execute(facts.update().where(where).values(**row)).rowcount == 0:
            c.execute(facts.insert().values(**row))
    except sa.exc.IntegrityError:
        raise StateError(f"another {row['kind']} has this id, or was written at the same time. Load it again.") from None
    mark = "?" if c.dialect.name == "sqlite" else "%s"
    written = c.exec_driver_sql(f"SELECT mac FROM facts WHERE kind = {mark} AND key = {mark}", (row["kind"], row["key"]))  # noqa: S608
    if bytes(written.scalar_one_or_none() or b"") != row["mac"]:
        raise StoreError(f"a fact of kind {row['kind']} was not stored as it was written. {MEDDLED}")


def _shared_it_before(c: sa.Connection, where: sa.ColumnElement[bool], name: str) -> bool:
    """True if an active fact without a unique name exists, and another one has the name: an earlier version allowed two with
    one id. Both remain active, and a third is refused."""
    stands = c.execute(sa.select(facts.c.unique_name).where(where & (facts.c.state != "left"))).first()
    if stands is None or stands[0] is not None:
        return False
    return c.execute(sa.select(facts.c.key).where((facts.c.unique_name == name) & ~where)).first() is not None


def facts_of(db: Database, kind: str, **equal: object) -> list[Row]:
    """Facts of one kind, by equality of columns, ordered by key."""
    return [dict(zip(COLUMNS, r, strict=True)) for r in db.rows(_select(equal), (kind, *equal.values()))]


def has_facts(db: Database, kind: str, state: str) -> bool:
    """Whether a fact of this kind is in this state."""
    return bool(db.rows("SELECT 1 FROM facts WHERE kind = ? AND state = ? LIMIT 1", (kind, state)))


def _select(equal: dict[str, object]) -> str:
    where = "".join(f" AND {facts.c[name].name} = ?" for name in equal)
    return f"SELECT {', '.join(COLUMNS)} FROM facts WHERE kind = ?{where} ORDER BY key"  # noqa: S608


@dataclass(frozen=True)
class FactRows:
    """Facts within one serialized transaction. Reads remain valid until it commits."""

    connection: sa.Connection

    def of(self, kind: str, **equal: object) -> list[Row]:
        """Facts of one kind, by equality of columns, ordered by key, including changes of this transaction."""
        sql = _select(equal)
        sql = sql if self.connection.dialect.name == "sqlite" else sql.replace("?", "%s")
        found = self.connection.exec_driver_sql(sql, (kind, *equal.values())).fetchall()
        return [dict(zip(COLUMNS, r, strict=True)) for r in found]

    def put(self, row: Row) -> None:
        """Writes or replaces one fact."""
        _put(self.connection, row)


@contextlib.contextmanager
def fact_transaction(db: Database) -> Iterator[FactRows]:
    """Transaction that excludes other changes of facts. Its lock is the row of their version, which each change increases."""
    with db.transaction() as c:
        bump_version(c, "facts")
        yield FactRows(c)


def move_on(db: Database, name: str) -> int:
    """Adds one to a version; returns it."""
    with db.transaction() as c:
        return bump_version(c, name)


def bump_version(c: sa.Connection, name: str, by: int = 1) -> int:
    """Adds to a version within a transaction; returns it."""
    mark = "?" if c.dialect.name == "sqlite" else "%s"
    query = (
        f"INSERT INTO versions (name, number) VALUES ({mark}, {mark}) "  # noqa: S608
        "ON CONFLICT (name) DO UPDATE SET number = versions.number + excluded.number RETURNING number"
    )
    number = int(c.exec_driver_sql(query, (name, by)).scalar_one())
    stands = c.exec_driver_sql(f"SELECT number FROM versions WHERE name = {mark}", (name,)).scalar_one_or_none()  # noqa: S608
    if stands != number:  # a trigger restored the old number: other processes would not see the change
        raise StoreError(f"the version of the {name} did not increase. {MEDDLED}")
    return number


def version_numbers(db: Database) -> dict[str, int]:
    """Versions of facts and of erasures."""
    return {str(r[0]): int(r[1]) for r in db.rows("SELECT name, number FROM versions", ())}
