"""Rows of facts that decisions need; security decides who may write one and whether its MAC is right."""

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.rows import Row
from galenic.store.tables import facts


def put_fact(db: Database, row: Row, *, bump: bool = True) -> None:
    """Writes or replaces one fact and increases the version, so that open grants are decided again."""
    with db.transaction() as c:
        _put(c, row)
        if bump:
            bump_version(c, "facts")


def put_facts(db: Database, rows: list[Row]) -> None:
    """Writes many facts in one transaction."""
    with db.transaction() as c:
        for row in rows:
            _put(c, row)
        bump_version(c, "facts")


def _put(c: sa.Connection, row: Row) -> None:
    where = (facts.c.kind == row["kind"]) & (facts.c.key == row["key"])
    if c.execute(facts.update().where(where).values(**row)).rowcount == 0:
        c.execute(facts.insert().values(**row))


def facts_of(db: Database, kind: str, **equal: object) -> list[Row]:
    """Facts of one kind, by equality of columns, ordered by key."""
    names = [c.name for c in facts.c]
    where = " AND ".join(f"{facts.c[name].name} = ?" for name in equal)
    sql = f"SELECT {', '.join(names)} FROM facts WHERE kind = ?{' AND ' * bool(where)}{where} ORDER BY key"  # noqa: S608
    return [dict(zip(names, r, strict=True)) for r in db.rows(sql, (kind, *equal.values()))]


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
    return int(c.exec_driver_sql(query, (name, by)).scalar_one())


def version_numbers(db: Database) -> dict[str, int]:
    """Versions of facts and of erasures."""
    return {str(r[0]): int(r[1]) for r in db.rows("SELECT name, number FROM versions", ())}
