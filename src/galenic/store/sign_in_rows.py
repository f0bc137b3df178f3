"""Single-use names and counts of failures, for sign-in. Names are digests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from galenic.store.database import Database


def _at(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def use_once(db: Database, name: str, seconds: float) -> bool:
    """Records that a name was used. Return False if it was used before and that has not expired."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        cursor.execute(f"DELETE FROM once WHERE until <= {mark}", (_at(),))  # noqa: S608
        sql = f"INSERT INTO once (name, until) VALUES ({mark}, {mark}) ON CONFLICT DO NOTHING"  # noqa: S608
        cursor.execute(sql, (name, _at(seconds)))
        return bool(cursor.rowcount == 1)


@dataclass(frozen=True)
class AttemptCounter:
    """Counter of attempts. most: allowed attempts; extends: True if each attempt extends the time until it is forgotten."""

    name: str
    most: int
    extends: bool = True


def count_attempt(db: Database, counters: Sequence[AttemptCounter], seconds: float) -> bool:
    """Adds one attempt to all counters. If one of them allows no more, it adds none and returns False. An attempt is counted
    before it is checked, so that simultaneous attempts cannot pass the limit together. Forgotten after a number of seconds."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        cursor.execute(f"DELETE FROM attempts WHERE until <= {mark}", (_at(),))  # noqa: S608
        # always in the same order, so that no two transactions wait for each other
        for counter in sorted(counters, key=lambda c: c.name):
            cursor.execute(
                f"INSERT INTO attempts (name, count, until) VALUES ({mark}, 1, {mark}) "  # noqa: S608
                f"ON CONFLICT (name) DO UPDATE SET count = attempts.count + 1{', until = excluded.until' * counter.extends} "
                f"WHERE attempts.count < {mark}",
                (counter.name, _at(seconds), counter.most),
            )
            if cursor.rowcount != 1:
                cursor.connection.rollback()
                return False
        return True


def take_back_attempt(db: Database, names: Sequence[str]) -> None:
    """Subtracts one successful attempt from counters."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        for name in sorted(names):
            cursor.execute(f"UPDATE attempts SET count = count - 1 WHERE name = {mark} AND count > 0", (name,))  # noqa: S608


def failures(db: Database, name: str) -> int:
    """Number of failures under a name."""
    found = db.rows("SELECT count FROM attempts WHERE name = ? AND until > ?", (name, _at()))
    return int(found[0][0]) if found else 0


def forgive(db: Database, name: str) -> None:
    """Forgets the failures under a name."""
    mark = "?" if db.is_sqlite else "%s"
    with db.writing() as cursor:
        cursor.execute(f"DELETE FROM attempts WHERE name = {mark}", (name,))  # noqa: S608
