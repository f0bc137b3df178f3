"""Reads of single rows, and of the rows of one patient."""

from datetime import UTC, datetime

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import OptionError
from galenic.store.cells import bind, lend, open_cells
from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource
from galenic.store.handle import Handle, Rows, required
from galenic.store.originals import covered_rows, table_of, wanted_columns
from galenic.store.tables import originals


def point(db: Database, handle: Handle, known: Dataset, row: int) -> dict[str, object] | None:
    """One row, or None where the decision covers no such row."""
    return next(iter(points(db, handle, known, [row])), None)


class Reader:
    """Point reads of one data set inside one open decision, over one connection; each is checked against the decision."""

    def __init__(self, db: Database, handle: Handle, known: Dataset, names: list[str] | None = None) -> None:
        self.name = str(known["name"])
        self.handle = required(handle, resource(self.name), "read", "search")
        self.places, self.schema, _ = wanted_columns(known, handle, names)
        if handle.rows != Rows():
            raise OptionError("a reader takes whole data sets; where rows are restricted, read them by points().")
        self._connection = db.engine.raw_connection()
        mark = "?" if db.is_sqlite else "%s"
        self._query = f"SELECT subject, cells FROM originals WHERE dataset = {mark} AND row = {mark}"  # noqa: S608
        self._keys: dict[int, AESGCM] = {}
        self._bound = bind(self.name, self.places)

    def point(self, row: int) -> list[str | None] | None:
        """Texts of the wanted cells in the order of the data set's columns, or None where there is no such row."""
        self.handle.beat()
        cursor = self._connection.cursor()
        found = cursor.execute(self._query, (self.name, row)).fetchone()
        if found is None:
            return None
        subject, sealed = int(found[0]), bytes(found[1])
        key = self._keys.get(subject)
        if key is None:
            lend(self.handle, self._keys, {subject})
            key = self._keys.get(subject)
            if key is None:
                return None
        self.handle.beat(1, len(self.places), len(sealed))
        return open_cells(key, self.name, row, subject, self._bound, sealed)

    def close(self) -> None:
        """Gives the connection back."""
        self._connection.close()


def points(db: Database, handle: Handle, known: Dataset, rows: list[int]) -> list[dict[str, object]]:
    """Rows by number, of those that the decision covers, in the order of import."""
    name = str(known["name"])
    required(handle, resource(name), "read", "search")
    places, schema, wanted = wanted_columns(known, handle, None)
    keys: dict[int, AESGCM] = {}
    found: list[dict[str, object]] = []
    for start in range(0, len(rows), 500):
        query, with_fact = covered_rows(name, handle.rows, datetime.now(UTC).isoformat(timespec="seconds"))
        with db.reading(handle.tenant) as c:
            part = c.execute(query.where(originals.c.row.in_(rows[start : start + 500])).order_by(originals.c.row)).all()
        own = [(int(r[0]), int(r[1]), bytes(r[2])) for r in part if not with_fact or handle.genuine(dict(r._mapping))]
        lend(handle, keys, {s for _, s, _ in own})
        opened = [open_cells(keys[s], name, row, s, bind(name, places), cells) for row, s, cells in own if s in keys]
        handle.beat(len(opened), len(opened) * len(places), sum(len(r[2]) for r in own))
        found += table_of(opened, schema).select(wanted).to_pylist()
    return found


def rows_of(db: Database, handle: Handle, known: Dataset, subject: int) -> list[dict[str, object]]:
    """Every row of one patient, for the patient's own access."""
    required(handle, f"subject/{subject}", "access")
    name = str(known["name"])
    places, schema, wanted = wanted_columns(known, handle, None)
    keys: dict[int, AESGCM] = {}
    o = originals.c
    with db.reading(handle.tenant) as c:
        query = sa.select(o.row, o.cells).where((o.dataset == name) & (o.subject == subject)).order_by(o.row)
        part = c.execute(query).all()
    lend(handle, keys, {subject} if part else set())
    opened = [
        open_cells(keys[subject], name, row, subject, bind(name, places), cells) for row, cells in part if subject in keys
    ]
    handle.beat(len(opened), len(opened) * len(places), sum(len(r[1]) for r in part))
    found: list[dict[str, object]] = table_of(opened, schema).select(wanted).to_pylist()
    return found


def subjects_of(db: Database, handle: Handle, name: str) -> list[int]:
    """Subject ids of the rows that the decision covers."""
    required(handle, resource(name), "train", "export", "index")
    query, _ = covered_rows(name, handle.rows, datetime.now(UTC).isoformat(timespec="seconds"))
    with db.reading(handle.tenant) as c:
        return sorted({int(r[0]) for r in c.execute(query.with_only_columns(originals.c.subject))})
