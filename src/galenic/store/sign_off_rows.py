"""Rows of sign-off: signatures of a run by role, and the outcome of a run (rejected or released). Each function is part of a
transaction that excludes other changes of facts."""

import sqlalchemy as sa

from galenic.store.fact_rows import FactRows
from galenic.store.rows import Row
from galenic.store.tables import releases, run_outcomes, sign_offs


def add_sign_off(transaction: FactRows, row: Row) -> bool:
    """Reserves a signature on a run. Return False if another person signed in that role, or this person in another one."""
    sql = (
        "INSERT INTO sign_offs (run, role, person, account, at) VALUES (:run, :role, :person, :account, :at) "
        "ON CONFLICT DO NOTHING"
    )
    c = transaction.connection
    if c.execute(sa.text(sql), row).rowcount == 1:
        return True
    where = [sign_offs.c[name] == row[name] for name in ("run", "role", "person")]
    return c.execute(sa.select(sign_offs).where(*where)).first() is not None  # reserved before, and interrupted


def sign_offs_of(transaction: FactRows, run: str) -> list[Row]:
    """The signatures reserved on a run."""
    found = transaction.connection.execute(sa.select(sign_offs).where(sign_offs.c.run == run)).mappings()
    return [dict(r) for r in found]


def outcome_of(transaction: FactRows, run: str) -> str:
    """Outcome of a run: rejected, released, or empty while it is open."""
    query = sa.select(run_outcomes.c.outcome).where(run_outcomes.c.run == run)
    found = transaction.connection.execute(query).scalar_one_or_none()
    if found is None and transaction.connection.execute(sa.select(releases.c.id).where(releases.c.run == run)).first():
        return "released"  # restored from a backup of a version before this table
    return str(found or "")


def set_outcome(transaction: FactRows, row: Row) -> str:
    """Sets the outcome of a run unless it has one. Returns the valid outcome."""
    run = str(row["run"])
    if outcome_of(transaction, run):
        return outcome_of(transaction, run)
    sql = "INSERT INTO run_outcomes (run, outcome, account, at) VALUES (:run, :outcome, :account, :at) ON CONFLICT DO NOTHING"
    transaction.connection.execute(sa.text(sql), row)
    return outcome_of(transaction, run)


def register_release(transaction: FactRows, row: Row) -> Row:
    """Adds a release to the register unless it is there. Returns the valid row."""
    c, where = transaction.connection, releases.c.id == row["id"]
    if c.execute(sa.select(releases).where(where)).first() is None:
        c.execute(releases.insert().values(**row))
    return dict(c.execute(sa.select(releases).where(where)).mappings().one())
