"""Resources one by one: each version a sealed document, read and written under decisions about one patient each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import ConflictError, StateError
from galenic.store.cells import bind, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.documents import COLUMNS, NO_SUBJECT, StoredDocument
from galenic.store.erasable import mention
from galenic.store.handle import Handle, required
from galenic.store.originals import Dataset, admit_known
from galenic.store.tables import documents, originals

PART = 500


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """A version on its way in. render: the document, from its version's number; deleted: there is none any more. expected: the
    version that must be current (0: none may stand), None for any. words, mentions: what it is to be found by; fresh: its id was drawn
    just now, so that nothing can stand under it."""

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
    fresh: bool = False

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class WrittenVersion:
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


def record_resource(known: Dataset, subject: int | str, *, patient: bool = True) -> str:
    """What decisions call one patient's part of a data set, or a part that is about no patient. subject: "new" for a new one."""
    return f"{'record' if patient else 'directory'}/{known['name']}/{subject}"


def _covers(handle: Handle, known: Dataset, subject: int, *actions: str) -> None:
    if isinstance(handle, Handle) and handle.resource.startswith("directory/"):
        required(handle, record_resource(known, subject, patient=False), *actions)
    else:
        required(handle, record_resource(known, subject), *actions)


def admit_subject(db: Database, handle: Handle, known: Dataset, identifier: str, *, patient: bool = True) -> int:
    """The subject id of somebody who is new here, within a decision about a new one. StateError for an erased one."""
    required(handle, record_resource(known, "new", patient=patient), "write")
    found, erased = admit_known(db, handle, [identifier])
    if erased:
        raise StateError("this patient was erased here, and comes back by a new consent only. Nothing was written.")
    return found[identifier]


def read_rows(db: Database, known: Dataset, handles: Mapping[int, Handle], rows: list[int]) -> dict[int, StoredDocument]:
    """By row: versions of resources, each under the decision about whose it is (by subject). Rows of others are left out."""
    name = str(known["name"])
    for subject, handle in handles.items():
        _covers(handle, known, subject, "read", "search", "write")
        handle.beat()
    if not handles:
        return {}
    tenant = next(iter(handles.values())).tenant
    found: dict[int, StoredDocument] = {}
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


def _opened(handle: Handle, name: str, row: int, subject: int, version: int, cells: bytes) -> StoredDocument | None:
    key = handle.keys([subject]).get(subject)
    if key is None:
        return None
    about, document = open_cells(AESGCM(key), name, row, subject, bind(name, PLACES), cells)
    kind, own, digest, beside = orjson.loads(str(about))
    handle.beat(1, len(COLUMNS), len(cells))
    return StoredDocument(row, subject, version, kind, own, digest, beside, str(document))


def read_versions(db: Database, handle: Handle, known: Dataset, names: list[str], subject: int) -> list[StoredDocument]:
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


def write_resources(db: Database, known: Dataset, changes: list[ResourceChange], keyed: Handle) -> list[WrittenVersion]:
    """Seals and stores versions, all durably or none. Conflict where another version stands than a change expects.

    keyed: the server's own decision, whose tokens names are found by.
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
    out: list[WrittenVersion] = []
    made = _Rows()
    with db.writing(keyed.tenant) as cursor:
        ask = _Statements(cursor, "?" if db.is_sqlite else "%s")
        first = int(ask.rows("SELECT next_row FROM datasets WHERE name = ?", (name,))[0][0])
        standing = _standing(ask, name, [n for n, change in zip(names, changes, strict=True) if not change.fresh])
        current: dict[bytes, int] = {}
        for change, token in zip(changes, names, strict=True):
            version, stands = standing.get(token, (0, False))
            if change.expected is not None and change.expected != (version if stands else 0):
                raise ConflictError(f"{change.name} is not at the version that was expected. Read it again, and decide again.")
            row, version = first + len(out), version + 1
            document = change.render(version)
            out.append(WrittenVersion(row, version, document, not stands))
            if stands:
                retire = "UPDATE documents SET current = ? WHERE dataset = ? AND name = ? AND current"
                ask.many(retire, [(False, name, token)])
            standing[token], current[token] = (version, not change.deleted), len(made.documents)
            _collect(made, change, keyed, keys[change.subject], (name, row, token, version), document, tokens)
        _insert(ask, made, current, changes)
        ask.many("UPDATE datasets SET next_row = ? WHERE name = ?", [(first + len(out), name)])
        _trace(ask, name, sorted({x.subject for x in changes if x.subject != NO_SUBJECT}))
    for change, one in zip(changes, out, strict=True):
        change.handle.beat(1, len(COLUMNS), len(one.document))
    return out


@dataclass(frozen=True, slots=True)
class _Statements:
    """Statements on the driver's own cursor, with ? for each value."""

    cursor: Any
    mark: str

    def rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        self.cursor.execute(sql.replace("?", self.mark), values)
        return list(self.cursor.fetchall())

    def many(self, sql: str, values: list[tuple[Any, ...]]) -> None:
        if values:
            self.cursor.executemany(sql.replace("?", self.mark), values)


def _standing(ask: _Statements, name: str, tokens: list[bytes]) -> dict[bytes, tuple[int, bool]]:
    """By name: (newest version, whether it stands)."""
    found: dict[bytes, tuple[int, bool]] = {}
    for start in range(0, len(tokens), PART):
        part = tokens[start : start + PART]
        sql = (
            "SELECT name, max(version), max(CASE WHEN current THEN 1 ELSE 0 END) FROM documents "  # noqa: S608
            f"WHERE dataset = ? AND name IN ({','.join('?' * len(part))}) GROUP BY name"
        )
        found |= {bytes(r[0]): (int(r[1]), bool(r[2])) for r in ask.rows(sql, (name, *part))}
    return found


def _trace(ask: _Statements, name: str, subjects: list[int]) -> None:
    """Lineage: whose rows the data set holds."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    artefact = (f"table/{name}", "table", "", False, "inside", "live", at)
    columns = "(id, kind, made_from, private, place, state, made_at)"
    ask.many(f"INSERT INTO artefacts {columns} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", [artefact])  # noqa: S608
    rows: list[tuple[Any, ...]] = [(artefact[0], s) for s in subjects]
    ask.many("INSERT INTO lineage (artefact, subject) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)


def _collect(
    made: _Rows,
    change: ResourceChange,
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


def _insert(ask: _Statements, made: _Rows, current: dict[bytes, int], changes: list[ResourceChange]) -> None:
    newest = set(current.values())
    stand = [(*row, i in newest and not changes[i].deleted) for i, row in enumerate(made.documents)]
    ask.many("INSERT INTO originals (dataset, row, tenant, subject, cells) VALUES (?, ?, ?, ?, ?)", made.cells)
    columns = "(dataset, row, tenant, subject, name, digest, version, current)"
    ask.many(f"INSERT INTO documents {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", stand)  # noqa: S608
    ask.many("INSERT INTO document_words (dataset, word, row, tenant) VALUES (?, ?, ?, ?)", made.words)


def rows_between(db: Database, handle: Handle, known: Dataset, first: int, last: int) -> list[tuple[StoredDocument, bool]]:
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
            found.append((StoredDocument(row, subject, version, kind, own, digest, beside, str(document)), bool(current)))
    return found


def current_rows(db: Database, handle: Handle, known: Dataset, subject: int) -> list[int]:
    """Rows of what stands of one subject, in the order of writing; within a decision about whose it is."""
    _covers(handle, known, subject, "read", "search")
    d = documents.c
    query = sa.select(d.row).where((d.dataset == str(known["name"])) & (d.subject == subject) & d.current)
    with db.reading(handle.tenant) as c:
        return [int(r[0]) for r in c.execute(query.order_by(d.row))]
