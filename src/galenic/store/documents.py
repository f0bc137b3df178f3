"""Documents as they came: a row of the originals each, found again by keyed tokens of name, bytes and identifiers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.store.cells import bind, lend, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.erasable import mention
from galenic.store.handle import Handle, Rows, required
from galenic.store.lineage import add_within
from galenic.store.originals import Dataset, resource, standing
from galenic.store.tables import datasets, document_words, documents, facts, originals

COLUMNS = ("about", "document")  # about: JSON list of type, id, sha256 of the bytes, and what else is known of it
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
NO_SUBJECT = 0  # the subject of what is about no person: its key is a key of the house
SIZE = 1_000


@dataclass(frozen=True, slots=True)
class IncomingDocument:
    """A document on its way in. digest: of its bytes, hex; about: what else is known of it; words: what it is to be found by."""

    subject: int
    type: str
    id: str
    digest: str
    about: dict[str, Any]
    document: str
    words: tuple[str, ...] = ()
    mentions: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is kept. version: 1 for the first of its name."""

    row: int
    subject: int
    version: int
    type: str
    id: str
    digest: str
    about: dict[str, Any]
    document: str


def known_digests(db: Database, handle: Handle, known: Dataset, digests: list[str]) -> set[str]:
    """Which of these bytes are here already."""
    name = str(known["name"])
    required(handle, resource(name), "import")
    tokens = dict(zip(handle.tokens("digest", [f"{name}\0{d}" for d in digests]), digests, strict=True))
    found: set[str] = set()
    with db.reading(handle.tenant) as c:
        for part in _parts(list(tokens)):
            where = (documents.c.dataset == name) & documents.c.digest.in_(part)
            found |= {tokens[bytes(r[0])] for r in c.execute(sa.select(documents.c.digest).where(where))}
    return found


def _parts(things: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(things), 500):
        yield things[start : start + 500]


def write_documents(db: Database, handle: Handle, known: Dataset, incoming: list[IncomingDocument]) -> int:
    """Seals and stores documents, all of them durably or none; returns how many were new.

    The last one of a name is current, those before it stay as its versions; bytes that are here under that name are not stored again.
    """
    name = str(known["name"])
    required(handle, resource(name), "import")
    keys = {s: AESGCM(k) for s, k in handle.new_keys(sorted({i.subject for i in incoming})).items()}
    names = handle.tokens("name", [f"{name}\0{i.name}" for i in incoming])
    digests = handle.tokens("digest", [f"{name}\0{i.digest}" for i in incoming])
    words_of = dict.fromkeys(w for i in incoming for w in i.words)
    words_of = dict(zip(words_of, handle.tokens("word", list(words_of)), strict=True))
    with db.transaction(handle.tenant) as c:
        first = int(c.execute(sa.select(datasets.c.next_row).where(datasets.c.name == name)).scalar_one())
        standing = _standing(c, name, names)
        cells: list[tuple[Any, ...]] = []
        rows: list[list[Any]] = []
        words: list[tuple[Any, ...]] = []
        current: dict[bytes, int] = {}  # by name: place in `rows` of the newest
        for one, token, digest in zip(incoming, names, digests, strict=True):
            versions = standing.setdefault(token, set())
            if digest in versions:
                continue
            row = first + len(rows)
            versions.add(digest)
            current[token] = len(rows)
            about = orjson.dumps([one.type, one.id, one.digest, one.about]).decode()
            texts = zip(COLUMNS, (about, one.document), strict=True)
            cells.append(
                (name, row, handle.tenant, one.subject, seal_cells(keys[one.subject], name, row, one.subject, list(texts)))
            )
            rows.append([name, row, handle.tenant, one.subject, token, digest, len(versions), False])
            spoken = {*(words_of[w] for w in one.words), *map(mention, one.mentions)}
            words += [(name, w, row, handle.tenant) for w in spoken]
        for place in current.values():
            rows[place][7] = True
        _insert(db, c, name, cells, rows, words, current)
        if rows:
            c.execute(datasets.update().where(datasets.c.name == name).values(next_row=first + len(rows)))
            artefact = {"id": f"table/{name}", "kind": "table", "made_from": ""}
            add_within(c, artefact, (r[3] for r in cells if r[3] != NO_SUBJECT))
    handle.beat(len(rows), len(rows) * len(COLUMNS), sum(len(r[4]) for r in cells))
    return len(rows)


def _standing(c: sa.Connection, name: str, tokens: list[bytes]) -> dict[bytes, set[bytes]]:
    """By name: the digests of all versions."""
    found: dict[bytes, set[bytes]] = {}
    for part in _parts(sorted(set(tokens))):
        where = (documents.c.dataset == name) & documents.c.name.in_(part)
        for token, digest in c.execute(sa.select(documents.c.name, documents.c.digest).where(where)):
            found.setdefault(bytes(token), set()).add(bytes(digest))
    return found


def _insert(  # the statements that run for each document
    db: Database,
    c: sa.Connection,
    name: str,
    cells: list[tuple[Any, ...]],
    rows: list[list[Any]],
    words: list[tuple[Any, ...]],
    current: dict[bytes, int],
) -> None:
    old = [t for t, place in current.items() if rows[place][6] > 1]
    for part in _parts(old):
        where = (documents.c.dataset == name) & documents.c.name.in_(part)
        c.execute(documents.update().where(where).values(current=False))
    for table, columns, values in (
        ("originals", "dataset, row, tenant, subject, cells", cells),
        ("documents", "dataset, row, tenant, subject, name, digest, version, current", [tuple(r) for r in rows]),
        ("document_words", "dataset, word, row, tenant", words),
    ):
        if values:
            mark = ", ".join(["?" if db.is_sqlite else "%s"] * (columns.count(",") + 1))
            c.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({mark})", values)  # noqa: S608


def document_subjects(db: Database, handle: Handle, known: Dataset, names: list[str]) -> dict[str, int]:
    """Whose documents of these names (Type/id) are; names that are not here are left out."""
    required(handle, resource(str(known["name"])), "import")
    tokens = dict(zip(handle.tokens("name", [f"{known['name']}\0{n}" for n in names]), names, strict=True))
    found: dict[str, int] = {}
    with db.reading(handle.tenant) as c:
        for part in _parts(list(tokens)):
            where = (documents.c.dataset == known["name"]) & documents.c.name.in_(part)
            found |= {
                tokens[bytes(t)]: int(s) for t, s in c.execute(sa.select(documents.c.name, documents.c.subject).where(where))
            }
    return found


def documents_by_identifier(db: Database, handle: Handle, known: Dataset, words: list[str]) -> dict[str, list[str]]:
    """By word: Type/id of the current documents that are found by it."""
    name = str(known["name"])
    required(handle, resource(name), "import", "read", "train", "export")
    tokens = dict(zip(handle.tokens("word", words), words, strict=True))
    found: dict[str, list[str]] = {}
    keys: dict[int, AESGCM] = {}
    d, w, o = documents.c, document_words.c, originals.c
    query = sa.select(w.word, o.row, o.subject, o.cells).where(
        (w.dataset == name) & (d.dataset == name) & (d.row == w.row) & d.current & (o.dataset == name) & (o.row == w.row)
    )
    places = bind(name, [(0, "about")])
    with db.reading(handle.tenant) as c:
        rows = [r for part in _parts(list(tokens)) for r in c.execute(query.where(w.word.in_(part)))]
    lend(handle, keys, {int(r[2]) for r in rows})
    for word, row, subject, cells in rows:
        if subject in keys:
            kind, own, *_ = orjson.loads(str(open_cells(keys[subject], name, row, subject, places, cells)[0]))
            found.setdefault(tokens[bytes(word)], []).append(f"{kind}/{own}")
    return found


def shared_document(db: Database, handle: Handle, known: Dataset, name: str) -> StoredDocument | None:
    """The current document of a name (Type/id) that is nobody's: a medication, a place."""
    required(handle, resource(str(known["name"])), "read", "train", "export", "index")
    token = handle.token("name", f"{known['name']}\0{name}")
    d = documents.c
    query = _query(str(known["name"])).where((d.name == token) & (d.subject == NO_SUBJECT) & d.current)
    with db.reading(handle.tenant) as c:
        rows = c.execute(query).all()
    return next(iter(_opened(handle, known, {}, rows)), None)


def read_documents(db: Database, handle: Handle, known: Dataset, *, history: bool = False) -> Iterator[list[StoredDocument]]:
    """Batches of current documents (history: of all versions) that the decision covers, by subject: nobody's first, unless the
    decision is about one subject; no subject's documents lie apart. Each batch is checked against the decision again."""
    name, after = str(known["name"]), (-1, -1)
    required(handle, resource(name), "read", "train", "export", "index")
    keys: dict[int, AESGCM] = {}
    d = documents.c
    while True:
        handle.beat()
        query, with_fact = _covered(name, handle.rows, datetime.now(UTC).isoformat(timespec="seconds"))
        query = query if history else query.where(d.current)
        beyond = sa.or_(d.subject > after[0], sa.and_(d.subject == after[0], d.row > after[1])) & (d.subject >= after[0])
        with db.reading(handle.tenant) as c:
            rows = c.execute(query.where(beyond).order_by(d.subject, d.row).limit(SIZE)).all()
        if not rows:
            return
        after = (int(rows[-1][1]), int(rows[-1][0]))
        genuine = [r for r in rows if not with_fact or r[1] == NO_SUBJECT or handle.genuine(dict(r._mapping))]
        yield _opened(handle, known, keys, genuine)


def _query(name: str) -> sa.Select[Any]:
    d, o = documents.c, originals.c
    here = (d.dataset == name) & (o.dataset == d.dataset) & (o.row == d.row)
    return sa.select(d.row, d.subject, d.version, o.cells).where(here)


def _covered(name: str, rows: Rows, now: str) -> tuple[sa.Select[Any], bool]:
    """What a decision covers: patients' documents as rows of tables, and nobody's."""
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


def _opened(handle: Handle, known: Dataset, keys: dict[int, AESGCM], rows: Sequence[Any]) -> list[StoredDocument]:
    name = str(known["name"])
    lend(handle, keys, {int(r[1]) for r in rows})
    places = bind(name, list(enumerate(COLUMNS)))
    found = []
    for row, subject, version, cells in (r[:4] for r in rows):
        if subject in keys:
            about, document = open_cells(keys[subject], name, row, subject, places, cells)
            kind, own, digest, beside = orjson.loads(str(about))
            found.append(StoredDocument(row, subject, version, kind, own, digest, beside, str(document)))
    handle.beat(len(found), len(found) * len(COLUMNS), sum(len(r[3]) for r in rows))
    return found
