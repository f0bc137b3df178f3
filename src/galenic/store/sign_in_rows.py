"""Single-use names and counts of failures, for sign-in. Names are digests."""

from datetime import UTC, datetime, timedelta

from galenic.store.database import Database


def _at(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def use_once(db: Database, name: str, seconds: float) -> bool:
    """Records that something was used; False if it was used before and that has not expired."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        cursor.execute(f"DELETE FROM once WHERE until <= {mark}", (_at(),))  # noqa: S608
        sql = f"INSERT INTO once (name, until) VALUES ({mark}, {mark}) ON CONFLICT DO NOTHING"  # noqa: S608
        cursor.execute(sql, (name, _at(seconds)))
        return bool(cursor.rowcount == 1)


def take_once(db: Database, name: str) -> bool:
    """Removes what `use_once` recorded; False if there is none any more."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        cursor.execute(f"DELETE FROM once WHERE name = {mark} AND until > {mark}", (name, _at()))  # noqa: S608
        return bool(cursor.rowcount == 1)


def count_failure(db: Database, name: str, seconds: float) -> int:
    """Adds one failure under a name, forgotten after so many seconds without another; returns the number of failures."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        cursor.execute(f"DELETE FROM attempts WHERE until <= {mark}", (_at(),))  # noqa: S608
        cursor.execute(
            f"INSERT INTO attempts (name, count, until) VALUES ({mark}, 1, {mark}) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET count = attempts.count + 1, until = excluded.until",
            (name, _at(seconds)),
        )
        cursor.execute(f"SELECT count FROM attempts WHERE name = {mark}", (name,))  # noqa: S608
        return int(cursor.fetchone()[0])


def failures(db: Database, name: str) -> int:
    """Number of failures under a name."""
    found = db.rows("SELECT count FROM attempts WHERE name = ? AND until > ?", (name, _at()))
    return int(found[0][0]) if found else 0


def forgive(db: Database, name: str) -> None:
    """Forgets the failures under a name."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        cursor.execute(f"DELETE FROM attempts WHERE name = {mark}", (name,))  # noqa: S608
