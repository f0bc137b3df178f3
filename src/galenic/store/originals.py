"""Patients' records as they were imported. Each cell is encrypted with the key of its patient, which is not stored here."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import AccessDeniedError, OptionError, RecordError
from galenic.store.cells import add_record_keys, bind, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource, schema_of
from galenic.store.grant import AbstractGrant, Rows, require_grant
from galenic.store.subjects import require_subjects
from galenic.store.tables import datasets, facts, originals

BATCH = 2_000


def write(db: Database, grant: AbstractGrant, known: Dataset, batch: pa.Table, who: list[int]) -> int:
    """Encrypts and stores one batch in one transaction; `who` has the subject id of each row. Returns rows written."""
    name = str(known["name"])
    require_grant(grant, resource(name), "import")
    keys = {s: AESGCM(k) for s, k in grant.new_keys(sorted(set(who))).items()}
    columns = [(c, _texts(batch[c])) for c in batch.column_names]
    with db.transaction(grant.tenant) as c:
        next_row = sa.select(datasets.c.next_row).where(datasets.c.name == name).with_for_update()
        first = int(c.execute(next_row).scalar_one())
        require_subjects(c, set(who))
        rows = [
            (
                name,
                first + i,
                grant.tenant,
                s,
                seal_cells(keys[s], name, first + i, s, [(n, values[i]) for n, values in columns]),
            )
            for i, s in enumerate(who)
        ]
        mark = ", ".join(["?" if db.is_sqlite else "%s"] * 5)
        c.exec_driver_sql(f"INSERT INTO originals (dataset, row, tenant, subject, cells) VALUES ({mark})", rows)  # noqa: S608
        c.execute(datasets.update().where(datasets.c.name == name).values(next_row=first + len(rows)))
    grant.require_active(len(rows), len(rows) * len(columns), sum(len(r[4]) for r in rows))
    return len(rows)


def _texts(array: pa.ChunkedArray) -> list[str | None]:
    texts: list[str | None] = array.cast(pa.string()).to_pylist()
    return texts


def standing(rows: Rows, subject: sa.ColumnElement[int], now: str) -> sa.ColumnElement[bool]:
    """SQL condition: a valid fact gives access to a subject's rows, if the decision is limited to patients with a care relation
    or consent."""
    f = facts.c
    stands = (f.state == "given") & ((f.until == "") | (f.until > now)) & (f.subject == subject)
    if rows.care_of is not None:
        return stands & (f.kind == "care") & (f.who == rows.care_of)
    assert rows.consent_to is not None
    purpose, label = rows.consent_to
    return stands & (f.kind == "consent") & (f.purpose == purpose) & (f.label == label)


def covered_rows(name: str, rows: Rows, now: str) -> tuple[sa.Select[Any], bool]:
    """Query of the rows that a decision covers, and a flag for whether each row comes with the fact that gives access to it."""
    o = originals.c
    if rows.care_of is None and rows.consent_to is None:
        query = sa.select(o.row, o.subject, o.cells).where(o.dataset == name)
        return (query.where(o.subject == rows.subject) if rows.subject is not None else query), False
    stands = standing(rows, o.subject, now)
    query = (
        sa.select(o.row, o.subject, o.cells, *facts.c).select_from(sa.join(originals, facts, stands)).where(o.dataset == name)
    )
    return (query.where(o.subject == rows.subject) if rows.subject is not None else query), True


def read(
    db: Database, grant: AbstractGrant, known: Dataset, names: list[str] | None = None, *, after: int = -1
) -> Iterator[pa.Table]:
    """Batches of the rows and columns that the decision covers, as Arrow tables of the original types.

    The decision is checked again for each batch, so a withdrawn right or consent, or an erasure, takes effect with the next
    batch. Rows are in the order of import; `after` is the last row already read.
    """
    for _last, _numbers, table in _batches(db, grant, known, names, after, BATCH):
        yield table


def numbered(
    db: Database, grant: AbstractGrant, known: Dataset, names: list[str] | None = None
) -> Iterator[tuple[list[int], pa.Table]]:
    """As `read`, with the row numbers of each batch: erased rows and rows that are not covered leave gaps."""
    for _last, numbers, table in _batches(db, grant, known, names, -1, BATCH):
        yield numbers, table


def by_subject(db: Database, grant: AbstractGrant, known: Dataset) -> Iterator[tuple[list[int], list[int], pa.Table]]:
    """As `read`, ordered by subject: (subject of each row, number of each row, the rows)."""
    name, after = str(known["name"]), (-1, -1)
    require_grant(grant, resource(name), "read", "train", "export", "index")
    places, out_schema, wanted = wanted_columns(known, grant, None)
    bound = bind(name, places)
    keys: dict[int, AESGCM] = {}
    o = originals.c
    while True:
        grant.require_active()
        query, with_fact = covered_rows(name, grant.rows, grant.now())
        beyond = sa.or_(o.subject > after[0], sa.and_(o.subject == after[0], o.row > after[1])) & (o.subject >= after[0])
        with db.reading(grant.tenant) as c:
            part = c.execute(query.where(beyond).order_by(o.subject, o.row).limit(BATCH)).all()
        if not part:
            return
        after = (int(part[-1][1]), int(part[-1][0]))
        rows = [(r[0], r[1], r[2]) for r in part if not with_fact or grant.genuine(dict(r._mapping))]
        add_record_keys(grant, keys, {r[1] for r in rows})
        mine = [r for r in rows if r[1] in keys]
        opened = [open_cells(keys[s], name, row, s, bound, cells) for row, s, cells in mine]
        grant.require_active(len(opened), len(opened) * len(places), sum(len(r[2]) for r in rows))
        yield [s for _, s, _ in mine], [row for row, _, _ in mine], table_of(opened, out_schema).select(wanted)


def _batches(
    db: Database, grant: AbstractGrant, known: Dataset, names: list[str] | None, after: int, size: int
) -> Iterator[tuple[int, list[int], pa.Table]]:
    """(last row read, numbers of the rows, the rows) of each batch."""
    name = str(known["name"])
    require_grant(grant, resource(name), "read", "train", "export", "index", "search")
    places, out_schema, wanted = wanted_columns(known, grant, names)
    bound = bind(name, places)
    keys: dict[int, AESGCM] = {}
    while True:
        grant.require_active()
        query, with_fact = covered_rows(name, grant.rows, grant.now())
        with db.reading(grant.tenant) as c:
            found = c.execute(query.where(originals.c.row > after).order_by(originals.c.row).limit(size))
            part = found.all()
        if not part:
            return
        after = int(part[-1][0])
        rows = [(r[0], r[1], r[2]) for r in part if grant.genuine(dict(r._mapping))] if with_fact else part
        add_record_keys(grant, keys, {r[1] for r in rows})
        numbers = [row for row, s, _cells in rows if s in keys]
        opened = [open_cells(keys[s], name, row, s, bound, cells) for row, s, cells in rows if s in keys]
        grant.require_active(len(opened), len(opened) * len(places), sum(len(r[2]) for r in rows))
        yield after, numbers, table_of(opened, out_schema).select(wanted)


def wanted_columns(
    known: Dataset, grant: AbstractGrant, names: list[str] | None
) -> tuple[list[tuple[int, str]], pa.Schema, list[str]]:
    """(places and names of columns to decrypt, their schema, names in the requested order)."""
    if grant.masked and known.get("kind", "table") != "table":
        raise AccessDeniedError(
            "the access decision withholds columns, but documents have no columns. Request events or a view instead."
        )
    schema = schema_of(known)
    wanted = [c for c in (names if names is not None else schema.names) if c not in grant.masked]
    absent = [c for c in wanted if c not in schema.names]
    if absent:
        raise RecordError(
            f"columns {absent} do not exist in data set {known['name']!r}; it has {schema.names}. Request existing columns."
        )
    places = sorted((schema.names.index(c), c) for c in wanted)
    return places, pa.schema([schema.field(c) for _, c in places]), wanted


def page(
    db: Database, grant: AbstractGrant, known: Dataset, size: int = 100, cursor: str = "", names: list[str] | None = None
) -> tuple[pa.Table, str]:
    """(one page of rows, cursor of the next one or ""). A cursor is valid only for its account, purpose and data set."""
    after = -1
    if cursor:
        place, _, mark = cursor.partition(".")
        if not place.isdecimal() or mark != _mark(grant, str(known["name"]), int(place)):
            raise AccessDeniedError(
                "this page link belongs to another person, purpose or data set. Start again at the first page."
            )
        after = int(place)
    if not 1 <= size <= 10_000:
        raise OptionError(f"the page size is {size}. Expected 1 to 10,000 rows.")
    for last, _numbers, table in _batches(db, grant, known, names, after, size):
        return table, f"{last}.{_mark(grant, str(known['name']), last)}"
    _places, schema, wanted = wanted_columns(known, grant, names)
    return table_of([], schema).select(wanted), ""


def _mark(grant: AbstractGrant, name: str, row: int) -> str:
    return grant.token("cursor", f"{grant.who}\0{grant.purpose}\0{grant.action}\0{name}\0{row}").hex()


def counts(db: Database, grant: AbstractGrant, known: Dataset, by: list[str]) -> list[tuple[tuple[object, ...], int | None]]:
    """Number of rows of each combination of values, largest first; None if there are fewer than the decision's
    floor (and one more, the next smallest, if a single withheld count could be found by subtraction)."""
    require_grant(grant, resource(str(known["name"])), "read", "train", "export", "index", "search")
    if any(c in grant.masked for c in by):
        raise AccessDeniedError(
            f"columns {sorted(set(by) & grant.masked)} are withheld by the access decision. Do not count by them."
        )
    total: Counter[tuple[object, ...]] = Counter()
    for table in read(db, grant, known, by):
        total.update(zip(*(table[c].to_pylist() for c in by), strict=True))
    ranked = total.most_common()
    small = sum(n < grant.floor for _, n in ranked)
    withheld = small if small != 1 else min(2, len(ranked))
    return [(values, n if i < len(ranked) - withheld else None) for i, (values, n) in enumerate(ranked)]


def table_of(rows: list[list[str | None]], schema: pa.Schema) -> pa.Table:
    """Decrypted texts as an Arrow table of the original types."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([pa.array(v, pa.string()).cast(f.type) for v, f in zip(columns, schema, strict=True)], schema=schema)
