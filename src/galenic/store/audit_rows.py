"""Rows of the audit chain and its signed heads."""

from collections.abc import Iterator

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.rows import Row
from galenic.store.tables import audit_heads, audit_rows


def last_audit(db: Database) -> tuple[Row | None, Row | None]:
    """(last row, last head); None where there is none yet."""
    with db.reading() as c:
        row = c.execute(sa.select(audit_rows).order_by(audit_rows.c.seq.desc()).limit(1)).mappings().first()
        head = c.execute(sa.select(audit_heads).order_by(audit_heads.c.size.desc()).limit(1)).mappings().first()
    return (dict(row) if row else None), (dict(head) if head else None)


def append_audit(db: Database, rows: list[tuple[int, str, bytes, bytes]], head: Row) -> None:
    """Appends rows (seq, entry, hash, mac) and the head that covers them, durably or not at all."""
    mark = "?" if db.is_sqlite else "%s"
    with db.transaction() as c:
        # the driver's own statement: building one per row would cost more than writing it
        c.exec_driver_sql(f"INSERT INTO audit (seq, entry, hash, mac) VALUES ({mark}, {mark}, {mark}, {mark})", rows)  # noqa: S608
        c.execute(audit_heads.insert().values(**head))


def audit_batches(db: Database, size: int = 10_000) -> Iterator[list[tuple[int, str, bytes, bytes]]]:
    """The chain from its first row as (seq, entry, hash, mac), in batches of bounded size."""
    with db.reading() as c:
        query = sa.select(audit_rows).order_by(audit_rows.c.seq).execution_options(yield_per=size)
        for part in c.execute(query).partitions():
            yield [(int(r[0]), str(r[1]), bytes(r[2]), bytes(r[3])) for r in part]


def all_heads(db: Database) -> list[Row]:
    """Every signed head, smallest first."""
    with db.reading() as c:
        return [dict(r) for r in c.execute(sa.select(audit_heads).order_by(audit_heads.c.size)).mappings()]


def clear_audit(db: Database) -> None:
    """Empties the chain, after `restore` into an empty installation has put the old one into a file."""
    with db.transaction() as c:
        c.execute(audit_rows.delete())
        c.execute(audit_heads.delete())
