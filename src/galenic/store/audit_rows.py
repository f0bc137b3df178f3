"""Rows of the audit log and its signed heads."""

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.rows import Row
from galenic.store.tables import audit_heads, audit_rows


def last_audit(db: Database) -> tuple[Row | None, Row | None]:
    """(last row, last head); None if there is none yet."""
    with db.reading() as c:
        row = c.execute(sa.select(audit_rows).order_by(audit_rows.c.seq.desc()).limit(1)).mappings().first()
        head = c.execute(sa.select(audit_heads).order_by(audit_heads.c.size.desc()).limit(1)).mappings().first()
    return (dict(row) if row else None), (dict(head) if head else None)


def append_audit(db: Database, rows: list[tuple[int, str, bytes, bytes]], head: Row) -> None:
    """Appends rows (seq, entry, hash, mac) and the head that covers them, durably or not at all."""
    mark = "?" if db.is_sqlite else "%s"
    one = f"({mark}, {mark}, {mark}, {mark})"
    covers = (head["size"], head["head"], head["frontier"], head["signature"])
    with db.writing() as c:
        # one statement for all rows: the driver gives up the interpreter once per statement and row, not once per commit
        values = tuple(v for r in rows for v in r)
        c.execute(f"INSERT INTO audit (seq, entry, hash, mac) VALUES {', '.join([one] * len(rows))}", values)  # noqa: S608
        c.execute(f"INSERT INTO audit_heads (size, head, frontier, signature) VALUES {one}", covers)  # noqa: S608


def audit_batches(db: Database, after: int = 0, size: int = 10_000) -> Iterator[list[tuple[int, str, bytes, bytes]]]:
    """The log from the row after `after` on, as (seq, entry, hash, mac), in batches of bounded size."""
    with db.reading() as c:
        query = sa.select(audit_rows).where(audit_rows.c.seq > after).order_by(audit_rows.c.seq)
        query = query.execution_options(yield_per=size)
        for part in c.execute(query).partitions():
            yield [(int(r[0]), str(r[1]), bytes(r[2]), bytes(r[3])) for r in part]


def audit_entries_with(db: Database, texts: list[str], after: int, through: int) -> Iterator[str]:
    """Entries of rows after `after` up to `through` that contain one of the texts, oldest first. The database filters them."""
    place = sa.func.instr if db.is_sqlite else sa.func.strpos
    contains = sa.or_(*(place(audit_rows.c.entry, text) > 0 for text in texts))
    query = sa.select(audit_rows.c.entry).where(audit_rows.c.seq > after, audit_rows.c.seq <= through, contains)
    with db.reading() as c:
        for row in c.execute(query.order_by(audit_rows.c.seq).execution_options(yield_per=1_000)):
            yield str(row[0])


@contextlib.contextmanager
def audit_snapshot(
    db: Database, size: int = 10_000
) -> Iterator[tuple[list[Row], Iterator[list[tuple[int, str, bytes, bytes]]]]]:
    """(all heads, the rows in batches), both from one state of the database; the heads are read at once."""
    with db.reading() as c:
        heads = [dict(r) for r in c.execute(sa.select(audit_heads).order_by(audit_heads.c.size)).mappings()]

        def rows() -> Iterator[list[tuple[int, str, bytes, bytes]]]:
            query = sa.select(audit_rows).order_by(audit_rows.c.seq).execution_options(yield_per=size)
            for part in c.execute(query).partitions():
                yield [(int(r[0]), str(r[1]), bytes(r[2]), bytes(r[3])) for r in part]

        yield heads, rows()


def list_heads(db: Database, after: int = 0) -> list[Row]:
    """Every signed head of more than `after` rows, smallest first."""
    with db.reading() as c:
        query = sa.select(audit_heads).where(audit_heads.c.size > after).order_by(audit_heads.c.size)
        return [dict(r) for r in c.execute(query).mappings()]


def clear_audit(db: Database) -> None:
    """Empties the log, after `restore` into an empty installation has written the old one to a file."""
    with db.transaction() as c:
        c.execute(audit_rows.delete())
        c.execute(audit_heads.delete())
