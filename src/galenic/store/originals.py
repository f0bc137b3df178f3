"""Patients' records as they came, kept per patient: every cell sealed with a key that this room does not have."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import AccessDeniedError, OptionError, RecordError, StateError, UnknownNameError
from galenic.store.cells import bind, lend, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.erasable import forget_documents
from galenic.store.fact_rows import bump_version
from galenic.store.handle import Handle, Rows, required
from galenic.store.tables import datasets, facts, originals, subjects, tombstones, vault

BATCH = 2_000
Dataset = dict[str, object]


def resource(dataset: str) -> str:
    """What decisions call a data set."""
    return f"dataset/{dataset}"


def add_dataset(db: Database, handle: Handle, row: dict[str, object], schema: pa.Schema, kinds: dict[str, str]) -> None:
    """Writes down a new data set, or checks that it is the one that stands. kinds: what each column holds (numeric, date, …)."""
    required(handle, resource(str(row["name"])), "import")
    columns = json.dumps([[f.name, str(f.type), kinds.get(f.name, "category")] for f in schema])
    with db.transaction(handle.tenant) as c:
        stands = c.execute(sa.select(datasets).where(datasets.c.name == row["name"])).mappings().first()
        if stands is None:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            c.execute(datasets.insert().values(**row, tenant=handle.tenant, columns=columns, next_row=0, imported_at=at))
        elif [c[:2] for c in json.loads(stands["columns"])] != [c[:2] for c in json.loads(columns)] or (
            stands["patient"] != row["patient"]
            or stands["tenant"] != handle.tenant
            or (stands["kind"], stands["ids"]) != (row.get("kind", "table"), row.get("ids", ""))
        ):
            raise StateError(
                f"data set {row['name']!r} stands with other columns, another patient column, another kind or ids, or another owner. "
                "Import under another name, or bring the file into the same shape."
            )


def dataset(db: Database, name: str, tenant: str | None = None) -> Dataset:
    """What is known of a data set; no patient's data. UnknownNameError if there is none."""
    with db.reading(tenant) as c:
        row = c.execute(sa.select(datasets).where(datasets.c.name == name)).mappings().first()
        known = [str(r[0]) for r in c.execute(sa.select(datasets.c.name).order_by(datasets.c.name))] if row is None else []
    if row is None:
        raise UnknownNameError(
            f"there is no data set named {name!r} (known: {', '.join(known) or 'none yet'}). See: galenic import"
        )
    return dict(row)


def all_datasets(db: Database, tenant: str | None = None) -> list[Dataset]:
    """What is known of every data set; no patient's data."""
    with db.reading(tenant) as c:
        return [dict(r) for r in c.execute(sa.select(datasets).order_by(datasets.c.name)).mappings()]


def schema_of(known: Dataset) -> pa.Schema:
    """Arrow schema of a data set."""
    return pa.schema(
        [(name, pa.type_for_alias(kind) if kind != "date32[day]" else pa.date32()) for name, kind, _ in _columns(known)]
    )


def kinds_of(known: Dataset) -> dict[str, str]:
    """What each column of a data set holds: numeric, integer, category, date, identifier, …"""
    return {name: kind for name, _, kind in _columns(known)}


def _columns(known: Dataset) -> list[tuple[str, str, str]]:
    return [(str(n), str(t), str(k)) for n, t, k in json.loads(str(known["columns"]))]


def admit(db: Database, handle: Handle, known: Dataset, identifiers: list[str]) -> tuple[dict[str, int], set[str]]:
    """(subject id of each identifier, new ones made; identifiers of erased patients, who get none)."""
    required(handle, resource(str(known["name"])), "import")
    return admit_known(db, handle, identifiers)


def admit_known(db: Database, handle: Handle, identifiers: list[str]) -> tuple[dict[str, int], set[str]]:
    """The same, for whoever has asked whether the handle covers it."""
    names = list(set(identifiers))
    tokens = dict(zip(names, handle.tokens("patient", names), strict=True))  # may make a key: not within a transaction
    with db.transaction(handle.tenant) as c:
        return _admitted(c, handle, tokens)


def _admitted(c: sa.Connection, handle: Handle, tokens: dict[str, bytes]) -> tuple[dict[str, int], set[str]]:
    gone = _known_tokens(c, tombstones, tombstones.c.subject, handle.tenant, list(tokens.values()))
    there = _known_tokens(c, subjects, subjects.c.id, handle.tenant, list(tokens.values()))
    erased = {name for name, token in tokens.items() if token in gone and token not in there}
    fresh = [n for n, t in tokens.items() if t not in there and n not in erased]
    if fresh:
        # counted apart from the rows, which a restore may take back: a number is never a second patient's
        start = bump_version(c, "subjects", len(fresh)) - len(fresh) + 1
        rows: list[dict[str, Any]] = [
            {"id": start + i, "tenant": handle.tenant, "token": tokens[n]} for i, n in enumerate(fresh)
        ]
        c.execute(subjects.insert(), rows)
        there |= {r["token"]: r["id"] for r in rows}
    found = {n: there[t] for n, t in tokens.items() if n not in erased}
    return found, erased


def _known_tokens(
    c: sa.Connection, table: sa.Table, column: sa.Column[int], tenant: str, tokens: list[bytes]
) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for start in range(0, len(tokens), 500):
        where = (table.c.tenant == tenant) & table.c.token.in_(tokens[start : start + 500])
        found |= {bytes(r[0]): int(r[1]) for r in c.execute(sa.select(table.c.token, column).where(where))}
    return found


def find_subject(db: Database, handle: Handle, identifier: str) -> int | None:
    """The subject id of a patient's identifier, or None."""
    if not isinstance(handle, Handle):
        required(handle, "")
    handle.beat()
    token = handle.token("patient", identifier)
    found = db.rows("SELECT id FROM subjects WHERE tenant = ? AND token = ?", (handle.tenant, token), handle.tenant)
    return int(found[0][0]) if found else None


def write(db: Database, handle: Handle, known: Dataset, batch: pa.Table, who: list[int]) -> int:
    """Seals and stores one batch, durably or not at all; `who` has the subject id of each row. Returns rows written."""
    name = str(known["name"])
    required(handle, resource(name), "import")
    keys = {s: AESGCM(k) for s, k in handle.new_keys(sorted(set(who))).items()}
    columns = [(c, _texts(batch[c])) for c in batch.column_names]
    with db.transaction(handle.tenant) as c:
        first = int(c.execute(sa.select(datasets.c.next_row).where(datasets.c.name == name)).scalar_one())
        rows = [
            (
                name,
                first + i,
                handle.tenant,
                s,
                seal_cells(keys[s], name, first + i, s, [(n, values[i]) for n, values in columns]),
            )
            for i, s in enumerate(who)
        ]
        mark = ", ".join(["?" if db.is_sqlite else "%s"] * 5)
        c.exec_driver_sql(f"INSERT INTO originals (dataset, row, tenant, subject, cells) VALUES ({mark})", rows)  # noqa: S608
        c.execute(datasets.update().where(datasets.c.name == name).values(next_row=first + len(rows)))
    handle.beat(len(rows), len(rows) * len(columns), sum(len(r[4]) for r in rows))
    return len(rows)


def _texts(array: pa.ChunkedArray) -> list[str | None]:
    texts: list[str | None] = array.cast(pa.string()).to_pylist()
    return texts


def standing(rows: Rows, subject: sa.ColumnElement[int], now: str) -> sa.ColumnElement[bool]:
    """The fact that lets a subject's rows through, where a decision covers only those with a care relation or a consent."""
    f = facts.c
    stands = (f.state == "given") & ((f.until == "") | (f.until > now)) & (f.subject == subject)
    if rows.care_of is not None:
        return stands & (f.kind == "care") & (f.who == rows.care_of)
    assert rows.consent_to is not None
    purpose, label = rows.consent_to
    return stands & (f.kind == "consent") & (f.purpose == purpose) & (f.label == label)


def _where(name: str, rows: Rows, now: str) -> tuple[sa.Select[Any], bool]:
    """The rows that a decision covers, as SQL, and whether each comes with the fact that lets it through."""
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
    db: Database, handle: Handle, known: Dataset, names: list[str] | None = None, *, after: int = -1
) -> Iterator[pa.Table]:
    """Batches of the rows and columns that the decision covers, as Arrow tables of the original types.

    Each batch is a read of its own, checked against the decision again: a right, a consent or a patient that goes is gone
    from the next batch on. Order is that of import; `after` is the last row already seen.
    """
    for _last, _numbers, table in _batches(db, handle, known, names, after, BATCH):
        yield table


def numbered(
    db: Database, handle: Handle, known: Dataset, names: list[str] | None = None
) -> Iterator[tuple[list[int], pa.Table]]:
    """As `read`, each batch with the numbers of its rows: erased rows and rows that are not covered leave gaps."""
    for _last, numbers, table in _batches(db, handle, known, names, -1, BATCH):
        yield numbers, table


def by_subject(db: Database, handle: Handle, known: Dataset) -> Iterator[tuple[list[int], list[int], pa.Table]]:
    """As `read`, ordered by subject: (subject of each row, number of each row, the rows)."""
    name, after = str(known["name"]), (-1, -1)
    required(handle, resource(name), "read", "train", "export", "index")
    places, out_schema, wanted = _wanted(known, handle, None)
    bound = bind(name, places)
    keys: dict[int, AESGCM] = {}
    o = originals.c
    while True:
        handle.beat()
        query, with_fact = _where(name, handle.rows, datetime.now(UTC).isoformat(timespec="seconds"))
        beyond = sa.or_(o.subject > after[0], sa.and_(o.subject == after[0], o.row > after[1])) & (o.subject >= after[0])
        with db.reading(handle.tenant) as c:
            part = c.execute(query.where(beyond).order_by(o.subject, o.row).limit(BATCH)).all()
        if not part:
            return
        after = (int(part[-1][1]), int(part[-1][0]))
        rows = [(r[0], r[1], r[2]) for r in part if not with_fact or handle.genuine(dict(r._mapping))]
        lend(handle, keys, {r[1] for r in rows})
        mine = [r for r in rows if r[1] in keys]
        opened = [open_cells(keys[s], name, row, s, bound, cells) for row, s, cells in mine]
        handle.beat(len(opened), len(opened) * len(places), sum(len(r[2]) for r in rows))
        yield [s for _, s, _ in mine], [row for row, _, _ in mine], _table(opened, out_schema).select(wanted)


def _batches(
    db: Database, handle: Handle, known: Dataset, names: list[str] | None, after: int, size: int
) -> Iterator[tuple[int, list[int], pa.Table]]:
    """(last row looked at, numbers of the rows, the rows) of each batch."""
    name = str(known["name"])
    required(handle, resource(name), "read", "train", "export", "index", "search")
    places, out_schema, wanted = _wanted(known, handle, names)
    bound = bind(name, places)
    keys: dict[int, AESGCM] = {}
    while True:
        handle.beat()
        query, with_fact = _where(name, handle.rows, datetime.now(UTC).isoformat(timespec="seconds"))
        with db.reading(handle.tenant) as c:
            found = c.execute(query.where(originals.c.row > after).order_by(originals.c.row).limit(size))
            part = found.all()
        if not part:
            return
        after = int(part[-1][0])
        rows = [(r[0], r[1], r[2]) for r in part if handle.genuine(dict(r._mapping))] if with_fact else part
        lend(handle, keys, {r[1] for r in rows})
        numbers = [row for row, s, _cells in rows if s in keys]
        opened = [open_cells(keys[s], name, row, s, bound, cells) for row, s, cells in rows if s in keys]
        handle.beat(len(opened), len(opened) * len(places), sum(len(r[2]) for r in rows))
        yield after, numbers, _table(opened, out_schema).select(wanted)


def _wanted(known: Dataset, handle: Handle, names: list[str] | None) -> tuple[list[tuple[int, str]], pa.Schema, list[str]]:
    """(places and names of columns to decrypt, their schema, names in the order asked for)."""
    if handle.masked and known.get("kind", "table") != "table":
        raise AccessDeniedError(
            "the decision withholds columns, and documents have none to withhold. Ask for events or a view of them instead."
        )
    schema = schema_of(known)
    wanted = [c for c in (names if names is not None else schema.names) if c not in handle.masked]
    absent = [c for c in wanted if c not in schema.names]
    if absent:
        raise RecordError(
            f"columns {absent} are absent in data set {known['name']!r}; it has {schema.names}. Ask for those it has."
        )
    places = sorted((schema.names.index(c), c) for c in wanted)
    return places, pa.schema([schema.field(c) for _, c in places]), wanted


def page(
    db: Database, handle: Handle, known: Dataset, size: int = 100, cursor: str = "", names: list[str] | None = None
) -> tuple[pa.Table, str]:
    """(one page of rows, cursor of the next one or ""). A cursor is good for the person, purpose and data set it was made for."""
    after = -1
    if cursor:
        place, _, mark = cursor.partition(".")
        if not place.isdecimal() or mark != _mark(handle, str(known["name"]), int(place)):
            raise AccessDeniedError("this cursor was made for another person, purpose or data set. Begin at the first page.")
        after = int(place)
    if not 1 <= size <= 10_000:
        raise OptionError(f"a page holds 1 to 10,000 rows, not {size}.")
    for last, _numbers, table in _batches(db, handle, known, names, after, size):
        return table, f"{last}.{_mark(handle, str(known['name']), last)}"
    _places, schema, wanted = _wanted(known, handle, names)
    return _table([], schema).select(wanted), ""


def _mark(handle: Handle, name: str, row: int) -> str:
    return handle.token("cursor", f"{handle.who}\0{handle.purpose}\0{handle.action}\0{name}\0{row}").hex()


def counts(db: Database, handle: Handle, known: Dataset, by: list[str]) -> list[tuple[tuple[object, ...], int | None]]:
    """How many rows there are of each combination of values, largest first; None where there are fewer than the decision's
    floor (and one more, the next smallest, where a single withheld count could be had by subtraction)."""
    required(handle, resource(str(known["name"])), "read", "train", "export", "index", "search")
    if any(c in handle.masked for c in by):
        raise AccessDeniedError(
            f"columns {sorted(set(by) & handle.masked)} are withheld by the decision; do not count by them."
        )
    total: Counter[tuple[object, ...]] = Counter()
    for table in read(db, handle, known, by):
        total.update(zip(*(table[c].to_pylist() for c in by), strict=True))
    ranked = total.most_common()
    small = sum(n < handle.floor for _, n in ranked)
    withheld = small if small != 1 else min(2, len(ranked))
    return [(values, n if i < len(ranked) - withheld else None) for i, (values, n) in enumerate(ranked)]


def _table(rows: list[list[str | None]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([pa.array(v, pa.string()).cast(f.type) for v, f in zip(columns, schema, strict=True)], schema=schema)


def point(db: Database, handle: Handle, known: Dataset, row: int) -> dict[str, object] | None:
    """One row, or None where the decision covers no such row."""
    return next(iter(points(db, handle, known, [row])), None)


class Reader:
    """Point reads of one data set inside one open decision, over one connection; each is checked against the decision."""

    def __init__(self, db: Database, handle: Handle, known: Dataset, names: list[str] | None = None) -> None:
        self.name = str(known["name"])
        self.handle = required(handle, resource(self.name), "read", "search")
        self.places, self.schema, _ = _wanted(known, handle, names)
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
    places, schema, wanted = _wanted(known, handle, None)
    keys: dict[int, AESGCM] = {}
    found: list[dict[str, object]] = []
    for start in range(0, len(rows), 500):
        query, with_fact = _where(name, handle.rows, datetime.now(UTC).isoformat(timespec="seconds"))
        with db.reading(handle.tenant) as c:
            part = c.execute(query.where(originals.c.row.in_(rows[start : start + 500])).order_by(originals.c.row)).all()
        own = [(int(r[0]), int(r[1]), bytes(r[2])) for r in part if not with_fact or handle.genuine(dict(r._mapping))]
        lend(handle, keys, {s for _, s, _ in own})
        opened = [open_cells(keys[s], name, row, s, bind(name, places), cells) for row, s, cells in own if s in keys]
        handle.beat(len(opened), len(opened) * len(places), sum(len(r[2]) for r in own))
        found += _table(opened, schema).select(wanted).to_pylist()
    return found


def rows_of(db: Database, handle: Handle, known: Dataset, subject: int) -> list[dict[str, object]]:
    """Every row of one patient, for the patient's own access."""
    required(handle, f"subject/{subject}", "access")
    name = str(known["name"])
    places, schema, wanted = _wanted(known, handle, None)
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
    found: list[dict[str, object]] = _table(opened, schema).select(wanted).to_pylist()
    return found


def subjects_of(db: Database, handle: Handle, name: str) -> list[int]:
    """Subject ids of the rows that the decision covers."""
    required(handle, resource(name), "train", "export", "index")
    query, _ = _where(name, handle.rows, datetime.now(UTC).isoformat(timespec="seconds"))
    with db.reading(handle.tenant) as c:
        return sorted({int(r[0]) for r in c.execute(query.with_only_columns(originals.c.subject))})


def forget(db: Database, handle: Handle, subject: int, at: str) -> int:
    """Deletes a patient's rows and leaves a tombstone; returns rows deleted."""
    required(handle, f"subject/{subject}", "erase")
    with db.transaction(handle.tenant) as c:
        token = c.execute(sa.select(subjects.c.token).where(subjects.c.id == subject)).scalar_one_or_none()
        if token is not None:
            stands = c.execute(sa.select(tombstones.c.subject).where(tombstones.c.token == token)).first()
            if stands is None:
                row = {"tenant": handle.tenant, "token": token, "subject": subject, "erased_at": at}
                c.execute(tombstones.insert().values(**row))
        gone = forget_documents(c, subject)
        gone += c.execute(originals.delete().where(originals.c.subject == subject)).rowcount
        c.execute(vault.delete().where(vault.c.subject == subject))
        c.execute(facts.delete().where((facts.c.subject == subject) & facts.c.kind.in_(("care", "consent"))))
        c.execute(subjects.delete().where(subjects.c.id == subject))
    return int(gone)


def all_tombstones(db: Database, tenant: str | None = None) -> list[dict[str, Any]]:
    """Erased patients: keyed tokens and dates, no identifier."""
    with db.reading(tenant) as c:
        return [dict(r) for r in c.execute(sa.select(tombstones)).mappings()]
