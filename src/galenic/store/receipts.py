"""Rows of erasure receipts; they name no patient."""

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.rows import Row
from galenic.store.tables import receipts


def add_receipt(db: Database, name: str, envelope: str) -> None:
    """Stores a signed receipt."""
    with db.transaction() as c:
        c.execute(receipts.insert().values(id=name, envelope=envelope))


def list_receipts(db: Database) -> list[Row]:
    """Every receipt."""
    with db.reading() as c:
        return [dict(r) for r in c.execute(sa.select(receipts).order_by(receipts.c.id)).mappings()]
