"""Versions of resources: encrypted documents, read and written under decisions about one subject each."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import AccessDeniedError, ConflictError, StateError
from galenic.store.cells import bind, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.datasets import Dataset
from galenic.store.documents import COLUMNS, NO_SUBJECT, StoredDocument, now_micros
from galenic.store.erasable import mention
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.subjects import assign_subjects_unchecked
from galenic.store.tables import datasets, documents, originals

BATCH = 500  # rows or names in one query
CELLS = list(enumerate(COLUMNS))
READ = (
    "SELECT d.row, d.subject, d.version, o.cells FROM documents d JOIN originals o ON o.dataset = ? AND o.row = d.row "
    "WHERE d.dataset = ? AND d.row IN ({marks})"
)


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """A version to be written. render: the document, from the number and the time (µs since 1970) of its version; deleted: the
    version marks a deletion. expected: the version that must be current (0: none), None for any. words, mentions: searches and
    subjects that find it; fresh: its id was just drawn, so there is no earlier version. writer: account to
    keep with the version, empty for none."""

    grant: AbstractGrant
    subject: int
    type: str
    id: str
    render: Callable[[int, int], bytes]
    deleted: bool = False
    expected: int | None = None
    words: tuple[str, ...] = ()
    mentions: tuple[int, ...] = ()
    fresh: bool = False
    writer: str = ""

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class WrittenVersion:
    """A version as it was written. is_first: there was no current version before; updated: when, in µs since 1970."""

    row: int
    version: int
    document: bytes
    is_first: bool
    updated: int


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Keyed hashes of a data set's names and words. digest: hashes the digest of a version, which is known only once the version has a
    number, inside the write transaction."""

    names: list[bytes]
    words: dict[str, bytes]
    digest: Callable[[str], bytes]


@dataclass
class _NewRows:
    cells: list[tuple[Any, ...]] = field(default_factory=list)
    documents: list[tuple[Any, ...]] = field(default_factory=list)
    words: list[tuple[Any, ...]] = field(default_factory=list)
    current: dict[bytes, int] = field(default_factory=dict)  # by token of the name: place of the newest in `documents`


def record_resource(known: Dataset, subject: int | str, *, patient: bool = True) -> str:
    """The name of one subject's part of a data set in access decisions; subject "new" for a new one."""
    return f"{'record' if patient else 'directory'}/{known['name']}/{subject}"


def next_row(db: Database, name: str, tenant: str | None = None) -> int:
    """The row that the next version in a data set will get."""
    return int(db.rows("SELECT next_row FROM datasets WHERE name = ?", [name], tenant)[0][0])


def time_after_writes(db: Database, name: str, tenant: str | None = None) -> int:
    """Time (µs since 1970) that separates written versions in a data set from all later ones: a version that is being written
    now gets a later time."""
    with db.transaction(tenant) as c:
        c.execute(sa.select(datasets.c.next_row).where(datasets.c.name == name).with_for_update())
        return now_micros()


def _require(grant: AbstractGrant, known: Dataset, subject: int, *actions: str) -> None:
    is_directory = isinstance(grant, AbstractGrant) and grant.resource.startswith("directory/")
    require_grant(grant, record_resource(known, subject, patient=not is_directory), *actions)


def admit_subject(db: Database, grant: AbstractGrant, known: Dataset, identifier: str, *, patient: bool = True) -> int:
    """Subject id of a new person, under a decision about a new patient. Raise StateError for an erased patient."""
    require_grant(grant, record_resource(known, "new", patient=patient), "write")
    subjects, erased = assign_subjects_unchecked(db, grant, [identifier])
    if erased:
        raise StateError("this patient was erased here and can be added again only with a new consent. Nothing was written.")
    return subjects[identifier]


# reading


def read_rows(db: Database, known: Dataset, handles: Mapping[int, AbstractGrant], rows: list[int]) -> dict[int, StoredDocument]:
    """Versions by row, each under the decision about its subject. Rows of other subjects are left out."""
    name = str(known["name"])
    for subject, grant in handles.items():
        _require(grant, known, subject, "read", "search", "write")
        grant.require_active()
    if not handles:
        return {}
    tenant = next(iter(handles.values())).tenant
    found: dict[int, StoredDocument] = {}
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        sql = READ.format(marks=",".join("?" * len(part)))
        by_subject: dict[int, list[Sequence[Any]]] = {}
        for row in db.rows(sql, [name, name, *part], tenant):
            by_subject.setdefault(int(row[1]), []).append(row)
        for subject, versions in by_subject.items():
            if subject in handles:
                found |= {v.row: v for v in _open_versions(handles[subject], name, subject, versions)}
    return found


def _open_versions(grant: AbstractGrant, name: str, subject: int, rows: list[Sequence[Any]]) -> list[StoredDocument]:
    """Decrypts versions (row, subject, version, cells) of one subject; none where the subject's key is destroyed."""
    key = grant.keys([subject]).get(subject)
    if key is None:
        return []
    cipher = AESGCM(key)
    found = [_decrypt(cipher, name, (int(row[0]), subject, int(row[2])), bytes(row[3])) for row in rows]
    grant.require_active(len(rows), len(rows) * len(COLUMNS), sum(len(row[3]) for row in rows))
    return found


def _decrypt(key: AESGCM, name: str, place: tuple[int, int, int], cells: bytes) -> StoredDocument:
    """place: row, subject, version."""
    row, subject, version = place
    about, document = open_cells(key, name, row, subject, bind(name, CELLS), cells)
    resource_type, resource_id, digest, other = orjson.loads(str(about))
    return StoredDocument(row, subject, version, resource_type, resource_id, digest, other, str(document))


def read_versions(db: Database, grant: AbstractGrant, known: Dataset, names: list[str], subject: int) -> list[StoredDocument]:
    """Every version of one subject's resources by these names (Type/id), newest first."""
    name = str(known["name"])
    _require(grant, known, subject, "read", "search", "write")
    tokens = grant.tokens("name", [f"{name}\0{n}" for n in names])
    d, o = documents.c, originals.c
    query = sa.select(d.row, d.subject, d.version, o.cells).where(
        (d.dataset == name) & d.name.in_(tokens) & (d.subject == subject) & (o.dataset == name) & (o.row == d.row)
    )
    with db.reading(grant.tenant) as c:
        rows = c.execute(query.order_by(d.row.desc())).all()
    return _open_versions(grant, name, subject, list(rows))


def rows_between(
    db: Database, grant: AbstractGrant, known: Dataset, first: int, last: int
) -> list[tuple[StoredDocument, bool]]:
    """Versions in rows `first` to before `last`, with a flag for current ones; for the index, under the server's own decision.
    Versions of erased patients, whose keys are destroyed, are left out."""
    return _indexable(db, grant, known, (documents.c.row >= first) & (documents.c.row < last))


def versions_at(db: Database, grant: AbstractGrant, known: Dataset, rows: list[int]) -> list[tuple[StoredDocument, bool]]:
    """As `rows_between`, of these rows."""
    found = []
    for start in range(0, len(rows), BATCH):
        found += _indexable(db, grant, known, documents.c.row.in_(rows[start : start + BATCH]))
    return found


def _indexable(
    db: Database, grant: AbstractGrant, known: Dataset, which: sa.ColumnElement[bool]
) -> list[tuple[StoredDocument, bool]]:
    name = str(known["name"])
    require_grant(grant, f"dataset/{name}", "index")
    d, o = documents.c, originals.c
    query = sa.select(d.row, d.subject, d.version, o.cells, d.current).where(
        (d.dataset == name) & which & (o.dataset == name) & (o.row == d.row)
    )
    with db.reading(grant.tenant) as c:
        rows = c.execute(query.order_by(d.row)).all()
    # a key is durable before its rows are written, so a missing key was destroyed
    keys = {s: AESGCM(k) for s, k in grant.keys(sorted({int(r[1]) for r in rows})).items()}
    return [
        (_decrypt(keys[subject], name, (row, subject, version), bytes(cells)), bool(current))
        for row, subject, version, cells, current in rows
        if subject in keys
    ]


def newer_version(
    db: Database, grant: AbstractGrant, known: Dataset, resource: str, first: int
) -> tuple[StoredDocument, bool] | None:
    """The newest version of a resource (Type/id) in the rows from `first` on, with whether it is current; for the index."""
    name = str(known["name"])
    require_grant(grant, f"dataset/{name}", "index")
    sql = "SELECT max(row) FROM documents WHERE dataset = ? AND name = ? AND row >= ?"
    row = db.rows(sql, (name, grant.token("name", f"{name}\0{resource}"), first), grant.tenant)[0][0]
    return next(iter(rows_between(db, grant, known, int(row), int(row) + 1)), None) if row is not None else None


def current_rows(db: Database, grant: AbstractGrant, known: Dataset, subject: int) -> list[int]:
    """Rows of one subject's current resources in the order of writing; under a decision about the subject."""
    _require(grant, known, subject, "read", "search")
    d = documents.c
    query = sa.select(d.row).where((d.dataset == str(known["name"])) & (d.subject == subject) & d.current)
    with db.reading(grant.tenant) as c:
        return [int(r[0]) for r in c.execute(query.order_by(d.row))]


def deleted_rows(db: Database, grant: AbstractGrant, known: Dataset, subject: int) -> list[int]:
    """Rows of the newest version of each resource that belonged to one subject and has no current version, in the order of
    writing. A row may belong to another subject, the last owner of the resource; `read_rows` leaves it out."""
    _require(grant, known, subject, "read")
    d, name = documents.c, str(known["name"])
    of_subject = sa.select(d.name).where((d.dataset == name) & (d.subject == subject))
    is_current = sa.func.max(sa.case((d.current, 1), else_=0))
    query = sa.select(sa.func.max(d.row)).where((d.dataset == name) & d.name.in_(of_subject)).group_by(d.name)
    with db.reading(grant.tenant) as c:
        return sorted(int(r[0]) for r in c.execute(query.having(is_current == 0)))


# writing


def write_resources(db: Database, known: Dataset, changes: list[ResourceChange], keyed: AbstractGrant) -> list[WrittenVersion]:
    """Encrypts and stores versions, all durably or none. Raise ConflictError if the current version is not the one that a
    change expects.

    keyed: the server's own decision, under which names are hashed.
    """
    name = str(known["name"])
    keys: dict[int, AESGCM] = {}
    for change in changes:
        _require(change.grant, known, change.subject, "write")
    for change in changes:
        if change.subject not in keys:
            keys[change.subject] = AESGCM(change.grant.new_keys([change.subject])[change.subject])
    tokens = _tokens(keyed, name, changes)
    with db.writing(keyed.tenant) as cursor:
        statements = _Statements(cursor, "?" if db.is_sqlite else "%s")
        written, new_rows = _render(statements, keyed.tenant, name, changes, keys, tokens)
        _insert(statements, new_rows, changes)
        statements.many("UPDATE datasets SET next_row = ? WHERE name = ?", [(written[-1].row + 1, name)] if written else [])
        _trace(statements, name, sorted({x.subject for x in changes if x.subject != NO_SUBJECT}))
    for change, version in zip(changes, written, strict=True):
        with contextlib.suppress(AccessDeniedError):  # counted; a later withdrawal does not undo durable writes
            change.grant.require_active(1, len(COLUMNS), len(version.document))
    return written


@dataclass(frozen=True, slots=True)
class _Statements:
    """Statements on the driver's own cursor, with ? for each value."""

    cursor: Any
    mark: str

    def rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        self.cursor.execute(sql.replace("?", self.mark), values)
        return list(self.cursor.fetchall())

    def lock_rows(self, name: str) -> int:
        """Next row of a data set. No other process can assign it before this transaction ends, so that rows become visible in
        the order of their numbers."""
        lock = "" if self.mark == "?" else " FOR UPDATE"  # SQLite has only one writing transaction at a time
        return int(self.rows(f"SELECT next_row FROM datasets WHERE name = ?{lock}", (name,))[0][0])  # noqa: S608

    def require_subjects(self, numbers: set[int]) -> None:
        """As `subjects.require_subjects`."""
        wanted, found = sorted(numbers - {NO_SUBJECT}), 0
        lock = "" if self.mark == "?" else " FOR SHARE"
        for start in range(0, len(wanted), BATCH):
            part = wanted[start : start + BATCH]
            found += len(self.rows(f"SELECT id FROM subjects WHERE id IN ({','.join('?' * len(part))}){lock}", part))  # noqa: S608
        if found < len(wanted):
            raise StateError("a patient was erased during this write. Nothing was written. Repeat the request.")

    def many(self, sql: str, values: list[tuple[Any, ...]]) -> None:
        if values:
            self.cursor.executemany(sql.replace("?", self.mark), values)


def _tokens(keyed: AbstractGrant, name: str, changes: list[ResourceChange]) -> _Tokens:
    words = list(dict.fromkeys(w for c in changes for w in c.words))
    names = keyed.tokens("name", [f"{name}\0{c.name}" for c in changes])
    return _Tokens(names, dict(zip(words, keyed.tokens("word", words), strict=True)), keyed.hasher("digest"))


def _render(
    statements: _Statements,
    tenant: str,
    name: str,
    changes: list[ResourceChange],
    keys: dict[int, AESGCM],
    tokens: _Tokens,
) -> tuple[list[WrittenVersion], _NewRows]:
    """Versions with their numbers, and the rows to insert. Earlier versions are no longer current."""
    first, updated = statements.lock_rows(name), now_micros()
    statements.require_subjects({change.subject for change in changes})
    newest = _newest(statements, name, [n for n, change in zip(tokens.names, changes, strict=True) if not change.fresh])
    written: list[WrittenVersion] = []
    new_rows = _NewRows()
    for change, token in zip(changes, tokens.names, strict=True):
        version, is_current = newest.get(token, (0, False))
        if change.expected is not None and change.expected != (version if is_current else 0):
            raise ConflictError(f"{change.name} does not have the expected version. Read it again, then repeat the change.")
        row, version = first + len(written), version + 1
        document = change.render(version, updated)
        written.append(WrittenVersion(row, version, document, not is_current, updated))
        if is_current:
            retire = "UPDATE documents SET current = ? WHERE dataset = ? AND name = ? AND current"
            statements.many(retire, [(False, name, token)])
        newest[token], new_rows.current[token] = (version, not change.deleted), len(new_rows.documents)
        digest = sha256(document).hexdigest()
        cells = _seal(keys[change.subject], name, change, written[-1], digest)
        new_rows.cells.append((name, row, tenant, change.subject, cells))
        seen = tokens.digest(f"{name}\0{digest}")
        new_rows.documents.append((name, row, tenant, change.subject, token, seen, version))
        if not change.deleted:
            words = {*(tokens.words[w] for w in change.words), *map(mention, change.mentions)}
            new_rows.words += [(name, w, row, tenant) for w in words]
    return written, new_rows


def _seal(key: AESGCM, name: str, change: ResourceChange, version: WrittenVersion, digest: str) -> bytes:
    """The encrypted cells of a version."""
    other: dict[str, Any] = {"served": version.updated} | ({"deleted": True} if change.deleted else {})
    other |= {"writer": change.writer} if change.writer else {}
    about = orjson.dumps([change.type, change.id, digest, other]).decode()
    texts: list[tuple[str, str | None]] = list(zip(COLUMNS, (about, version.document.decode()), strict=True))
    return seal_cells(key, name, version.row, change.subject, texts)


def _newest(statements: _Statements, name: str, tokens: list[bytes]) -> dict[bytes, tuple[int, bool]]:
    """(newest version, True if it is current and not a deletion) by token of the name."""
    found: dict[bytes, tuple[int, bool]] = {}
    for start in range(0, len(tokens), BATCH):
        part = tokens[start : start + BATCH]
        sql = (
            "SELECT name, max(version), max(CASE WHEN current THEN 1 ELSE 0 END) FROM documents "  # noqa: S608
            f"WHERE dataset = ? AND name IN ({','.join('?' * len(part))}) GROUP BY name"
        )
        found |= {bytes(r[0]): (int(r[1]), bool(r[2])) for r in statements.rows(sql, (name, *part))}
    return found


def _trace(statements: _Statements, name: str, subjects: list[int]) -> None:
    """Lineage: the subjects in the data set."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    artefact = (f"table/{name}", "table", "", False, "inside", "live", at)
    columns = "(id, kind, made_from, private, place, state, made_at)"
    statements.many(f"INSERT INTO artefacts {columns} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", [artefact])  # noqa: S608
    rows: list[tuple[Any, ...]] = [(artefact[0], s) for s in subjects]
    statements.many("INSERT INTO lineage (artefact, subject) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)


def _insert(statements: _Statements, new_rows: _NewRows, changes: list[ResourceChange]) -> None:
    newest = set(new_rows.current.values())
    rows = [(*row, i in newest and not changes[i].deleted) for i, row in enumerate(new_rows.documents)]
    statements.many("INSERT INTO originals (dataset, row, tenant, subject, cells) VALUES (?, ?, ?, ?, ?)", new_rows.cells)
    columns = "(dataset, row, tenant, subject, name, digest, version, current)"
    statements.many(f"INSERT INTO documents {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
    statements.many("INSERT INTO document_words (dataset, word, row, tenant) VALUES (?, ?, ?, ?)", new_rows.words)
