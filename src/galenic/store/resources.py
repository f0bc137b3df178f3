"""Resources one by one: each version a sealed document, read and written under decisions about one patient each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import Conflict, DescriptionError
from galenic.store.cells import bind, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.documents import COLUMNS, NOBODY, Kept
from galenic.store.erasable import mention
from galenic.store.handle import Handle, required
from galenic.store.lineage import add_within
from galenic.store.originals import Dataset, admit_within
from galenic.store.tables import datasets, documents, originals

PART = 500


@dataclass(frozen=True, slots=True)
class Change:
    """A version on its way in. render: the document, from its version's number; deleted: there is none any more. expected: the
    version that must be current (0: none may stand), None for any. words, mentions: what it is to be found by."""

    handle: Handle
    subject: int
    type: str
    id: str
    render: Callable[[int], bytes]
    updated: int
    deleted: bool = False
    expected: int | None = None
    words: tuple[str, ...] = ()
    mentions: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Written:
    """A version as it was written."""

    row: int
    version: int
    document: bytes
    made: bool  # whether nothing stood under the name before


@dataclass
class _Rows:
    cells: list[tuple[Any, ...]] = field(default_factory=list)
    documents: list[tuple[Any, ...]] = field(default_factory=list)
    words: list[tuple[Any, ...]] = field(default_factory=list)


def of_record(known: Dataset, subject: int | str, *, patient: bool = True) -> str:
    """What decisions call one patient's part of a data set, or a part that is about no patient. subject: "new" for a new one."""
    return f"{'record' if patient else 'directory'}/{known['name']}/{subject}"


def _covers(handle: Handle, known: Dataset, subject: int, *actions: str) -> None:
    if handle.resource.startswith("directory/"):
        required(handle, of_record(known, subject, patient=False), *actions)
    else:
        required(handle, of_record(known, subject), *actions)


def admit_one(db: Database, handle: Handle, known: Dataset, identifier: str, *, patient: bool = True) -> int:
    """The subject id of somebody who is new here, within a decision about a new one. DescriptionError for an erased one."""
    required(handle, of_record(known, "new", patient=patient), "write")
    with db.transaction(handle.tenant) as c:
        found, erased = admit_within(c, handle, [identifier])
    if erased:
        raise DescriptionError("this patient was erased here, and comes back by a new consent only. Nothing was written.")
    return found[identifier]


def read_rows(db: Database, known: Dataset, handles: Mapping[int, Handle], rows: list[int]) -> dict[int, Kept]:
    """By row: versions of resources, each under the decision about whose it is (by subject). Rows of others are left out."""
    name = str(known["name"])
    for subject, handle in handles.items():
        _covers(handle, known, subject, "read", "search", "write")
        handle.beat()
    if not handles:
        return {}
    tenant = next(iter(handles.values())).tenant
    found: dict[int, Kept] = {}
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        sql = READ.format(marks=",".join("?" * len(part)))
        for row, subject, version, cells in db.rows(sql, [name, name, *part], tenant):
            if subject in handles:
                kept = _opened(handles[subject], name, int(row), int(subject), int(version), bytes(cells))
                if kept is not None:
                    found[int(row)] = kept
    return found


READ = (
    "SELECT d.row, d.subject, d.version, o.cells FROM documents d JOIN originals o ON o.dataset = ? AND o.row = d.row "
    "WHERE d.dataset = ? AND d.row IN ({marks})"
)
PLACES = list(enumerate(COLUMNS))


def _opened(handle: Handle, name: str, row: int, subject: int, version: int, cells: bytes) -> Kept | None:
    key = handle.keys([subject]).get(subject)
    if key is None:
        return None
    about, document = open_cells(AESGCM(key), name, row, subject, bind(name, PLACES), cells)
    kind, own, digest, beside = orjson.loads(str(about))
    handle.beat(1, len(COLUMNS), len(cells))
    return Kept(row, subject, version, kind, own, digest, beside, str(document))


def versions_of(db: Database, handle: Handle, known: Dataset, names: list[str], subject: int) -> list[Kept]:
    """Every version of resources of one subject by these names (Type/id), newest first."""
    name = str(known["name"])
    _covers(handle, known, subject, "read", "search", "write")
    tokens = handle.tokens("name", [f"{name}\0{n}" for n in names])
    d, o = documents.c, originals.c
    query = sa.select(d.row, d.subject, d.version, o.cells).where(
        (d.dataset == name) & d.name.in_(tokens) & (d.subject == subject) & (o.dataset == name) & (o.row == d.row)
    )
    with db.reading(handle.tenant) as c:
        rows = c.execute(query.order_by(d.row.desc())).all()
    found = [_opened(handle, name, int(r[0]), int(r[1]), int(r[2]), bytes(r[3])) for r in rows]
    return [k for k in found if k is not None]


def write_resources(
    db: Database, known: Dataset, changes: list[Change], keyed: Handle, then: Callable[[list[Written]], None] = lambda _w: None
) -> list[Written]:
    """Seals and stores versions, all durably or none. Conflict where another version stands than a change expects.

    keyed: the server's own decision, whose tokens names are found by. then: called before it becomes durable.
    """
    name = str(known["name"])
    for change in changes:
        _covers(change.handle, known, change.subject, "write")
    keys: dict[int, AESGCM] = {}
    for change in changes:
        if change.subject not in keys:
            keys[change.subject] = AESGCM(change.handle.new_keys([change.subject])[change.subject])
    names = keyed.tokens("name", [f"{name}\0{c.name}" for c in changes])
    words = list(dict.fromkeys(w for c in changes for w in c.words))
    tokens = dict(zip(words, keyed.tokens("word", words), strict=True))
    out: list[Written] = []
    made = _Rows()
    with db.transaction(keyed.tenant) as c:
        first = int(c.execute(sa.select(datasets.c.next_row).where(datasets.c.name == name)).scalar_one())
        standing = _standing(c, name, names)
        current: dict[bytes, int] = {}
        for change, token in zip(changes, names, strict=True):
            version, stands = standing.get(token, (0, False))
            if change.expected is not None and change.expected != (version if stands else 0):
                raise Conflict(f"{change.name} is not at the version that was expected. Read it again, and decide again.")
            row, version = first + len(out), version + 1
            document = change.render(version)
            out.append(Written(row, version, document, not stands))
            standing[token], current[token] = (version, not change.deleted), len(made.documents)
            _collect(made, change, keyed, keys[change.subject], (name, row, token, version), document, tokens)
        _retire(c, name, list(current))
        _insert(db, c, made, current, changes)
        c.execute(datasets.update().where(datasets.c.name == name).values(next_row=first + len(out)))
        artefact = {"id": f"table/{name}", "kind": "table", "made_from": ""}
        add_within(c, artefact, (x.subject for x in changes if x.subject != NOBODY))
        then(out)
    for change, one in zip(changes, out, strict=True):
        change.handle.beat(1, len(COLUMNS), len(one.document))
    return out


def _standing(c: sa.Connection, name: str, tokens: list[bytes]) -> dict[bytes, tuple[int, bool]]:
    """By name: (newest version, whether it stands)."""
    d = documents.c
    found: dict[bytes, tuple[int, bool]] = {}
    for start in range(0, len(tokens), PART):
        where = (d.dataset == name) & d.name.in_(tokens[start : start + PART])
        query = (
            sa.select(d.name, sa.func.max(d.version), sa.func.max(sa.cast(d.current, sa.Integer))).where(where).group_by(d.name)
        )
        found |= {bytes(r[0]): (int(r[1]), bool(r[2])) for r in c.execute(query)}
    return found


def _collect(
    made: _Rows,
    change: Change,
    keyed: Handle,
    key: AESGCM,
    at: tuple[str, int, bytes, int],
    document: bytes,
    words: dict[str, bytes],
) -> None:
    name, row, token, version = at
    digest = sha256(document).hexdigest()
    beside: dict[str, Any] = {"served": change.updated} | ({"deleted": True} if change.deleted else {})
    about = orjson.dumps([change.type, change.id, digest, beside]).decode()
    sealed = seal_cells(key, name, row, change.subject, list(zip(COLUMNS, (about, document.decode()), strict=True)))
    made.cells.append((name, row, keyed.tenant, change.subject, sealed))
    seen = keyed.token("digest", f"{name}\0{digest}")
    made.documents.append((name, row, keyed.tenant, change.subject, token, seen, version))
    if not change.deleted:
        spoken = {*(words[w] for w in change.words), *map(mention, change.mentions)}
        made.words += [(name, w, row, keyed.tenant) for w in spoken]


def _retire(c: sa.Connection, name: str, tokens: list[bytes]) -> None:
    for start in range(0, len(tokens), PART):
        where = (documents.c.dataset == name) & documents.c.name.in_(tokens[start : start + PART]) & documents.c.current
        c.execute(documents.update().where(where).values(current=False))


def _insert(db: Database, c: sa.Connection, made: _Rows, current: dict[bytes, int], changes: list[Change]) -> None:
    newest = set(current.values())
    stand = [(*row, i in newest and not changes[i].deleted) for i, row in enumerate(made.documents)]
    for table, columns, values in (
        ("originals", "dataset, row, tenant, subject, cells", made.cells),
        ("documents", "dataset, row, tenant, subject, name, digest, version, current", stand),
        ("document_words", "dataset, word, row, tenant", made.words),
    ):
        if values:
            mark = ", ".join(["?" if db.is_sqlite else "%s"] * (columns.count(",") + 1))
            c.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({mark})", values)  # noqa: S608


def rows_between(db: Database, handle: Handle, known: Dataset, first: int, last: int) -> list[tuple[Kept, bool]]:
    """Versions in rows `first` to before `last` for the index, with whether each is current; within the server's own decision."""
    name = str(known["name"])
    required(handle, f"dataset/{name}", "index")
    d, o = documents.c, originals.c
    query = sa.select(d.row, d.subject, d.version, o.cells, d.current).where(
        (d.dataset == name) & (d.row >= first) & (d.row < last) & (o.dataset == name) & (o.row == d.row)
    )
    with db.reading(handle.tenant) as c:
        rows = c.execute(query.order_by(d.row)).all()
    keys = {s: AESGCM(k) for s, k in handle.keys(sorted({int(r[1]) for r in rows})).items()}
    places, found = bind(name, PLACES), []
    for row, subject, version, cells, current in rows:
        if subject in keys:
            about, document = open_cells(keys[subject], name, row, subject, places, bytes(cells))
            kind, own, digest, beside = orjson.loads(str(about))
            found.append((Kept(row, subject, version, kind, own, digest, beside, str(document)), bool(current)))
    return found
