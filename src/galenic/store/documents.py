"""Documents in their original form: one row each, found by keyed hashes of name, content and identifiers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.store.cells import add_record_keys, bind, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource
from galenic.store.erasable import mention
from galenic.store.grant import AbstractGrant, Rows, require_grant
from galenic.store.lineage import add_within
from galenic.store.originals import standing
from galenic.store.subjects import require_subjects
from galenic.store.tables import datasets, document_words, documents, facts, originals

COLUMNS = ("about", "document")  # about: JSON list of type, id, SHA-256 of the bytes, further details
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
NO_SUBJECT = 0  # subject of documents about no person, whose key belongs to the installation
SIZE = 1_000


@dataclass(frozen=True, slots=True)
class IncomingDocument:
    """Document to store. digest: of its bytes, hex; about: further details; words: searches that find it; mentions: subjects;
    deleted: True if it marks the deletion of the document with its name; variant: options that changed its content, in
    addition to the bytes."""

    subject: int
    type: str
    id: str
    digest: str
    about: dict[str, Any]
    document: str
    words: tuple[str, ...] = ()
    mentions: tuple[int, ...] = ()
    deleted: bool = False
    variant: str = ""

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A stored document. version: 1 for the first of its name; about: further details, among them "written": time of storage,
    in µs since 1970 (not in documents stored before version 0005 of the database)."""

    row: int
    subject: int
    version: int
    type: str
    id: str
    digest: str
    about: dict[str, Any]
    document: str


def now_micros() -> int:
    """Current time in µs since 1970, in whole milliseconds, which is the precision of instants in FHIR resources."""
    return int(datetime.now(UTC).timestamp() * 1000) * 1000


def current_digests(db: Database, grant: AbstractGrant, known: Dataset, digests: list[str]) -> dict[str, set[bytes]]:
    """For each digest of a current document, the tokens of the names (see `name_tokens`) that have it."""
    name = str(known["name"])
    require_grant(grant, resource(name), "import")
    tokens = dict(zip(grant.tokens("digest", [f"{name}\0{d}" for d in digests]), digests, strict=True))
    found: dict[str, set[bytes]] = {}
    d = documents.c
    with db.reading(grant.tenant) as c:
        for part in _parts(list(tokens)):
            where = (d.dataset == name) & d.digest.in_(part) & d.current
            for digest, token in c.execute(sa.select(d.digest, d.name).where(where)):
                found.setdefault(tokens[bytes(digest)], set()).add(bytes(token))
    return found


def name_tokens(grant: AbstractGrant, known: Dataset, names: list[str]) -> list[bytes]:
    """Keyed hashes of names (Type/id) of a data set."""
    require_grant(grant, resource(str(known["name"])), "import")
    return grant.tokens("name", [f"{known['name']}\0{n}" for n in names])


def newest_rows(db: Database, grant: AbstractGrant, known: Dataset, names: list[str]) -> dict[str, int]:
    """The row of the newest version of each name (Type/id) that is stored."""
    tokens = dict(zip(name_tokens(grant, known, names), names, strict=True))
    found: dict[str, int] = {}
    d = documents.c
    with db.reading(grant.tenant) as c:
        for part in _parts(list(tokens)):
            query = sa.select(d.name, sa.func.max(d.row)).where((d.dataset == known["name"]) & d.name.in_(part))
            found |= {tokens[bytes(t)]: int(row) for t, row in c.execute(query.group_by(d.name))}
    return found


def _parts(things: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(things), 500):
        yield things[start : start + 500]


_Newest = tuple[int, bytes | None]
"""Of a name: number of its newest version, and the digest of its current document (None: it has none)."""


@dataclass(frozen=True, slots=True)
class _HashedDocument:
    """A document with the tokens of its name, its digest, and the searches and subjects that find it."""

    document: IncomingDocument
    name: bytes
    digest: bytes
    words: frozenset[bytes]


@dataclass
class _NewDocuments:
    """Rows to insert. current: by token of the name, the place in `documents` of the newest version."""

    cells: list[tuple[Any, ...]] = field(default_factory=list)
    documents: list[list[Any]] = field(default_factory=list)
    words: list[tuple[Any, ...]] = field(default_factory=list)
    current: dict[bytes, int] = field(default_factory=dict)


def write_documents(db: Database, grant: AbstractGrant, known: Dataset, incoming: list[IncomingDocument]) -> int:
    """Encrypts and stores documents, all of them durably or none. Returns the number of new ones.

    The last document with a name becomes current, and earlier ones remain as its versions. A document that equals the current
    one is not stored again, nor is the deletion of a name without a current document.
    """
    name = str(known["name"])
    require_grant(grant, resource(name), "import")
    keys = {s: AESGCM(k) for s, k in grant.new_keys(sorted({i.subject for i in incoming})).items()}
    hashed = _hash_documents(grant, name, incoming)
    with db.transaction(grant.tenant) as c:
        # locked until the end of the transaction, so that rows become visible in the order of their numbers (PostgreSQL)
        next_row = sa.select(datasets.c.next_row).where(datasets.c.name == name).with_for_update()
        first = int(c.execute(next_row).scalar_one())
        require_subjects(c, {h.document.subject for h in hashed})
        stored = _newest_versions(c, name, [h.name for h in hashed])
        new = _new_documents(grant.tenant, name, hashed, stored, keys, first)
        _insert(db, c, name, new)
        if new.documents:
            c.execute(datasets.update().where(datasets.c.name == name).values(next_row=first + len(new.documents)))
            artefact = {"id": f"table/{name}", "kind": "table", "made_from": ""}
            add_within(c, artefact, (r[3] for r in new.cells if r[3] != NO_SUBJECT))
    count = len(new.documents)
    grant.require_active(count, count * len(COLUMNS), sum(len(r[4]) for r in new.cells))
    return count


def _hash_documents(grant: AbstractGrant, name: str, incoming: list[IncomingDocument]) -> list[_HashedDocument]:
    """Must run before the write transaction, because a grant that ends here writes to the audit log, which waits for that
    transaction."""
    names = grant.tokens("name", [f"{name}\0{i.name}" for i in incoming])
    digests = grant.tokens("digest", [f"{name}\0{i.digest}{i.variant}" for i in incoming])
    words = list(dict.fromkeys(w for i in incoming for w in i.words))
    tokens = dict(zip(words, grant.tokens("word", words), strict=True))
    return [
        _HashedDocument(i, token, digest, frozenset((*(tokens[w] for w in i.words), *map(mention, i.mentions))))
        for i, token, digest in zip(incoming, names, digests, strict=True)
    ]


def _new_documents(
    tenant: str,
    name: str,
    hashed: list[_HashedDocument],
    stored: dict[bytes, _Newest],
    keys: dict[int, AESGCM],
    first: int,
) -> _NewDocuments:
    """Rows of documents that differ from the current one with their name. stored: by token of the name; first: the next row."""
    new, written = _NewDocuments(), now_micros()
    for entry in hashed:
        one, row = entry.document, first + len(new.documents)
        version, digest = stored.get(entry.name, (0, None))
        if digest == (None if one.deleted else entry.digest):
            continue
        stored[entry.name] = (version + 1, None if one.deleted else entry.digest)
        new.current[entry.name] = len(new.documents)
        details = {**one.about, "written": written} | ({"deleted": True} if one.deleted else {})
        about = orjson.dumps([one.type, one.id, one.digest, details]).decode()
        texts: list[tuple[str, str | None]] = list(zip(COLUMNS, (about, one.document), strict=True))
        cells = seal_cells(keys[one.subject], name, row, one.subject, texts)
        new.cells.append((name, row, tenant, one.subject, cells))
        new.documents.append([name, row, tenant, one.subject, entry.name, entry.digest, version + 1, False])
        new.words += [(name, w, row, tenant) for w in entry.words]
    for token, place in new.current.items():
        new.documents[place][7] = stored[token][1] is not None
    return new


def _newest_versions(c: sa.Connection, name: str, names: list[bytes]) -> dict[bytes, _Newest]:
    found: dict[bytes, _Newest] = {}
    d = documents.c
    for part in _parts(sorted(set(names))):
        query = sa.select(d.name, d.version, d.digest, d.current).where((d.dataset == name) & d.name.in_(part))
        for token, number, digest, current in c.execute(query):
            version, newest = found.get(bytes(token), (0, None))
            found[bytes(token)] = (max(version, int(number)), bytes(digest) if current else newest)
    return found


def _insert(db: Database, c: sa.Connection, name: str, new: _NewDocuments) -> None:
    replaced = [t for t, place in new.current.items() if new.documents[place][6] > 1]
    for part in _parts(replaced):
        where = (documents.c.dataset == name) & documents.c.name.in_(part) & documents.c.current
        c.execute(documents.update().where(where).values(current=False))
    for table, columns, values in (
        ("originals", "dataset, row, tenant, subject, cells", new.cells),
        ("documents", "dataset, row, tenant, subject, name, digest, version, current", [tuple(r) for r in new.documents]),
        ("document_words", "dataset, word, row, tenant", new.words),
    ):
        if values:
            mark = ", ".join(["?" if db.is_sqlite else "%s"] * (columns.count(",") + 1))
            c.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({mark})", values)  # noqa: S608


def document_subjects(db: Database, grant: AbstractGrant, known: Dataset, names: list[str]) -> dict[str, int]:
    """Subjects of documents by name (Type/id); names that are not stored are left out."""
    require_grant(grant, resource(str(known["name"])), "import")
    tokens = dict(zip(grant.tokens("name", [f"{known['name']}\0{n}" for n in names]), names, strict=True))
    found: dict[str, int] = {}
    with db.reading(grant.tenant) as c:
        for part in _parts(list(tokens)):
            where = (documents.c.dataset == known["name"]) & documents.c.name.in_(part)
            query = sa.select(documents.c.name, documents.c.subject).where(where).order_by(documents.c.row)  # the newest counts
            found |= {tokens[bytes(t)]: int(s) for t, s in c.execute(query)}
    return found


def documents_by_identifier(db: Database, grant: AbstractGrant, known: Dataset, words: list[str]) -> dict[str, list[str]]:
    """Names (Type/id) of current documents by the search that finds them (Type?identifier=system|value)."""
    name = str(known["name"])
    require_grant(grant, resource(name), "import", "read", "train", "export")
    tokens = dict(zip(grant.tokens("word", words), words, strict=True))
    found: dict[str, list[str]] = {}
    keys: dict[int, AESGCM] = {}
    d, w, o = documents.c, document_words.c, originals.c
    query = sa.select(w.word, o.row, o.subject, o.cells).where(
        (w.dataset == name) & (d.dataset == name) & (d.row == w.row) & d.current & (o.dataset == name) & (o.row == w.row)
    )
    places = bind(name, [(0, "about")])
    with db.reading(grant.tenant) as c:
        rows = [r for part in _parts(list(tokens)) for r in c.execute(query.where(w.word.in_(part)))]
    add_record_keys(grant, keys, {int(r[2]) for r in rows})
    for word, row, subject, cells in rows:
        if subject in keys:
            kind, own, *_ = orjson.loads(str(open_cells(keys[subject], name, row, subject, places, cells)[0]))
            found.setdefault(tokens[bytes(word)], []).append(f"{kind}/{own}")
    return found


def shared_document(db: Database, grant: AbstractGrant, known: Dataset, name: str) -> StoredDocument | None:
    """Current document with a name (Type/id) that is about no person: a medication, a location."""
    require_grant(grant, resource(str(known["name"])), "read", "train", "export", "index")
    token = grant.token("name", f"{known['name']}\0{name}")
    d = documents.c
    query = _query(str(known["name"])).where((d.name == token) & (d.subject == NO_SUBJECT) & d.current)
    with db.reading(grant.tenant) as c:
        rows = c.execute(query).all()
    return next(iter(_opened(grant, known, {}, rows)), None)


def read_documents(
    db: Database, grant: AbstractGrant, known: Dataset, *, history: bool = False
) -> Iterator[list[StoredDocument]]:
    """Batches of current documents (history: of all versions) that the decision covers, ordered by subject; those about no
    person come first, unless the decision is about one subject. The decision is checked again before each batch."""
    name, after = str(known["name"]), (-1, -1)
    require_grant(grant, resource(name), "read", "train", "export", "index")
    keys: dict[int, AESGCM] = {}
    d = documents.c
    while True:
        grant.require_active()
        query, with_fact = _covered(name, grant.rows, grant.now())
        query = query if history else query.where(d.current)
        beyond = sa.or_(d.subject > after[0], sa.and_(d.subject == after[0], d.row > after[1])) & (d.subject >= after[0])
        with db.reading(grant.tenant) as c:
            rows = c.execute(query.where(beyond).order_by(d.subject, d.row).limit(SIZE)).all()
        if not rows:
            return
        after = (int(rows[-1][1]), int(rows[-1][0]))
        genuine = [r for r in rows if not with_fact or r[1] == NO_SUBJECT or grant.genuine(dict(r._mapping))]
        yield _opened(grant, known, keys, genuine)


def _query(name: str) -> sa.Select[Any]:
    d, o = documents.c, originals.c
    here = (d.dataset == name) & (o.dataset == d.dataset) & (o.row == d.row)
    return sa.select(d.row, d.subject, d.version, o.cells).where(here)


def _covered(name: str, rows: Rows, now: str) -> tuple[sa.Select[Any], bool]:
    """The documents that a decision covers: patients' documents as rows of tables, and those about no person."""
    d, f = documents.c, facts.c
    query = _query(name)
    if rows.subject is not None:
        query = query.where(d.subject == rows.subject)
    if rows.care_of is None and rows.consent_to is None:
        return query, False
    stands = standing(rows, d.subject, now)
    joined = sa.outerjoin(
        sa.join(documents, originals, (originals.c.dataset == d.dataset) & (originals.c.row == d.row)), facts, stands
    )
    query = query.add_columns(*f).select_from(joined)
    return query.where((d.subject == NO_SUBJECT) | f.subject.is_not(None)), True


def _opened(grant: AbstractGrant, known: Dataset, keys: dict[int, AESGCM], rows: Sequence[Any]) -> list[StoredDocument]:
    name = str(known["name"])
    add_record_keys(grant, keys, {int(r[1]) for r in rows})
    places = bind(name, list(enumerate(COLUMNS)))
    found = []
    for row, subject, version, cells in (r[:4] for r in rows):
        if subject in keys:
            about, document = open_cells(keys[subject], name, row, subject, places, cells)
            kind, own, digest, beside = orjson.loads(str(about))
            found.append(StoredDocument(row, subject, version, kind, own, digest, beside, str(document)))
    grant.require_active(len(found), len(found) * len(COLUMNS), sum(len(r[3]) for r in rows))
    return found
