"""Reads of single rows, and of the rows of one patient."""

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import OptionError
from galenic.store.cells import add_record_keys, bind, open_cells
from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource
from galenic.store.grant import AbstractGrant, Rows, require_grant
from galenic.store.originals import covered_rows, table_of, wanted_columns
from galenic.store.tables import originals


def point(db: Database, grant: AbstractGrant, known: Dataset, row: int) -> dict[str, object] | None:
    """One row, or None if the decision covers no such row."""
    return next(iter(points(db, grant, known, [row])), None)


class Reader:
    """Point reads of one data set within one grant, over one connection. The decision is checked for each."""

    def __init__(self, db: Database, grant: AbstractGrant, known: Dataset, names: list[str] | None = None) -> None:
        self.name = str(known["name"])
        self.grant = require_grant(grant, resource(self.name), "read", "search")
        self.places, self.schema, _ = wanted_columns(known, grant, names)
        if grant.rows != Rows():
            raise OptionError(
                "this reader accepts only whole data sets. Where access to rows is restricted, read them with points()."
            )
        self._connection = db.engine.raw_connection()
        mark = "?" if db.is_sqlite else "%s"
        self._query = f"SELECT subject, cells FROM originals WHERE dataset = {mark} AND row = {mark}"  # noqa: S608
        self._keys: dict[int, AESGCM] = {}
        self._bound = bind(self.name, self.places)

    def point(self, row: int) -> list[str | None] | None:
        """Texts of the wanted cells in the order of the data set's columns, or None where there is no such row."""
        self.grant.require_active()
        cursor = self._connection.cursor()
        found = cursor.execute(self._query, (self.name, row)).fetchone()
        if found is None:
            return None
        subject, sealed = int(found[0]), bytes(found[1])
        key = self._keys.get(subject)
        if key is None:
            add_record_keys(self.grant, self._keys, {subject})
            key = self._keys.get(subject)
            if key is None:
                return None
        self.grant.require_active(1, len(self.places), len(sealed))
        return open_cells(key, self.name, row, subject, self._bound, sealed)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def points(db: Database, grant: AbstractGrant, known: Dataset, rows: list[int]) -> list[dict[str, object]]:
    """Rows with the given numbers, among those that the decision covers, in the order of import."""
    name = str(known["name"])
    require_grant(grant, resource(name), "read", "search")
    places, schema, wanted = wanted_columns(known, grant, None)
    keys: dict[int, AESGCM] = {}
    found: list[dict[str, object]] = []
    for start in range(0, len(rows), 500):
        query, with_fact = covered_rows(name, grant.rows, grant.now())
        with db.reading(grant.tenant) as c:
            part = c.execute(query.where(originals.c.row.in_(rows[start : start + 500])).order_by(originals.c.row)).all()
        own = [(int(r[0]), int(r[1]), bytes(r[2])) for r in part if not with_fact or grant.genuine(dict(r._mapping))]
        add_record_keys(grant, keys, {s for _, s, _ in own})
        opened = [open_cells(keys[s], name, row, s, bind(name, places), cells) for row, s, cells in own if s in keys]
        grant.require_active(len(opened), len(opened) * len(places), sum(len(r[2]) for r in own))
        found += table_of(opened, schema).select(wanted).to_pylist()
    return found


def rows_of(db: Database, grant: AbstractGrant, known: Dataset, subject: int) -> list[dict[str, object]]:
    """Every row of one patient, for the patient's own access."""
    require_grant(grant, f"subject/{subject}", "access")
    name = str(known["name"])
    places, schema, wanted = wanted_columns(known, grant, None)
    keys: dict[int, AESGCM] = {}
    o = originals.c
    with db.reading(grant.tenant) as c:
        query = sa.select(o.row, o.cells).where((o.dataset == name) & (o.subject == subject)).order_by(o.row)
        part = c.execute(query).all()
    add_record_keys(grant, keys, {subject} if part else set())
    opened = [
        open_cells(keys[subject], name, row, subject, bind(name, places), cells) for row, cells in part if subject in keys
    ]
    grant.require_active(len(opened), len(opened) * len(places), sum(len(r[1]) for r in part))
    found: list[dict[str, object]] = table_of(opened, schema).select(wanted).to_pylist()
    return found


def subjects_of(db: Database, grant: AbstractGrant, name: str) -> list[int]:
    """Subject ids of the rows that the decision covers."""
    require_grant(grant, resource(name), "train", "export", "index")
    query, _ = covered_rows(name, grant.rows, grant.now())
    with db.reading(grant.tenant) as c:
        return sorted({int(r[0]) for r in c.execute(query.with_only_columns(originals.c.subject))})
