"""Rows of the privacy ledger and the release register. Their rules are in the packages privacy and release."""

from typing import Any

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.tables import charges, populations, releases

Row = dict[str, Any]


def add_population(db: Database, row: Row) -> Row:
    """Inserts a population unless one with that name exists. Returns the stored one."""
    with db.transaction() as c:
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        c.execute(sa.text(f"INSERT INTO populations ({names}) VALUES ({values}) ON CONFLICT DO NOTHING"), row)  # noqa: S608
        return dict(c.execute(sa.select(populations).where(populations.c.name == row["name"])).mappings().one())


def list_populations(db: Database) -> list[Row]:
    """Every population, by name."""
    with db.transaction() as c:
        return [dict(r) for r in c.execute(sa.select(populations).order_by(populations.c.name)).mappings()]


def population_with_charges(db: Database, population: str) -> tuple[Row | None, list[Row]]:
    """(population, its charges, oldest first), both from one state."""
    with db.reading() as c:
        row = c.execute(sa.select(populations).where(populations.c.name == population)).mappings().first()
        query = sa.select(charges).where(charges.c.population == population).order_by(charges.c.reserved_at, charges.c.id)
        return (dict(row) if row else None), [dict(r) for r in c.execute(query).mappings()]


def reserve(db: Database, row: Row) -> Row | None:
    """Subtracts the row's rho and delta from its population and writes the charge, in one transaction.

    One conditional UPDATE decides, so two processes cannot both use the rest of a budget. Returns the population afterwards, or
    None if too little was left or the population does not exist.
    """
    with db.transaction() as c:
        p = populations.c
        taken = c.execute(
            populations.update()
            .where(
                p.name == row["population"],
                p.rho_used + row["rho_reserved"] <= p.rho_limit,
                p.delta_used + row["delta_reserved"] <= p.delta_limit,
            )
            .values(rho_used=p.rho_used + row["rho_reserved"], delta_used=p.delta_used + row["delta_reserved"])
        )
        if taken.rowcount != 1:
            return None
        c.execute(charges.insert().values(**row))
        return dict(c.execute(sa.select(populations).where(p.name == row["population"])).mappings().one())


def settle(db: Database, charge_id: str, spent: Row) -> bool:
    """Writes the actual cost of a reservation and returns the rest to the population, only once. Return False if it was already
    closed."""
    with db.transaction() as c:
        charge = c.execute(sa.select(charges).where(charges.c.id == charge_id)).mappings().one()
        changed = c.execute(charges.update().where(charges.c.id == charge_id, charges.c.settled_at.is_(None)).values(**spent))
        if changed.rowcount != 1:
            return False
        c.execute(
            populations.update()
            .where(populations.c.name == charge["population"])
            .values(
                rho_used=populations.c.rho_used - (charge["rho_reserved"] - spent["rho_spent"]),
                delta_used=populations.c.delta_used - (charge["delta_reserved"] - spent["delta_spent"]),
            )
        )
        return True


def charges_of(db: Database, population: str) -> list[Row]:
    """Charges of one population, oldest first."""
    with db.transaction() as c:
        query = sa.select(charges).where(charges.c.population == population).order_by(charges.c.reserved_at, charges.c.id)
        return [dict(r) for r in c.execute(query).mappings()]


def count_refusal(db: Database, population: str) -> int:
    """Adds one refused attempt to a population. Returns the number of refusals."""
    with db.transaction() as c:
        where = populations.c.name == population
        c.execute(populations.update().where(where).values(refusals=populations.c.refusals + 1))
        return int(c.execute(sa.select(populations.c.refusals).where(where)).scalar_one_or_none() or 0)


def list_releases(db: Database) -> list[Row]:
    """All releases, oldest first."""
    with db.transaction() as c:
        return [dict(r) for r in c.execute(sa.select(releases).order_by(releases.c.released_at)).mappings()]


def recall_release(db: Database, release_id: str, reason: str, at: str) -> bool:
    """Marks a live release as recalled. Return False if there is no live release with that id."""
    with db.transaction() as c:
        where = (releases.c.id == release_id) & (releases.c.state == "live")
        done = c.execute(releases.update().where(where).values(state="recalled", reason=reason, recalled_at=at))
        return done.rowcount == 1
