"""The search index of resources: derived from a data set's documents, in one file that is encrypted as a whole (SQLCipher).

It knows rows, subjects and what resources are found by, never a document. It is kept as resources are written, catches up with
what was written past it, and is made anew where its file or key is gone.
"""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from galenic.errors import MissingExtraError, StoreError
from galenic.store.criteria import Hit, Link, OneOf, ResourceQuery
from galenic.store.resource_query import Compiler

TABLES = """
CREATE TABLE IF NOT EXISTS res (row INTEGER PRIMARY KEY, type INT, key INT, name TEXT, subject INT, patient INT, updated INT, live INT);
CREATE INDEX IF NOT EXISTS res_by_key ON res (key);
CREATE INDEX IF NOT EXISTS res_by_type ON res (type, row) WHERE live;
CREATE INDEX IF NOT EXISTS res_by_subject ON res (subject, type);
CREATE TABLE IF NOT EXISTS token (p INT, h INT, row INT, s INT, PRIMARY KEY (p, h, row, s)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS link (row INT, p INT, h INT, PRIMARY KEY (row, p, h)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS word (w INTEGER PRIMARY KEY, p INT, plain TEXT, exact TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS word_exact ON word (p, exact);
CREATE INDEX IF NOT EXISTS word_plain ON word (p, plain);
CREATE TABLE IF NOT EXISTS text (p INT, w INT, row INT, PRIMARY KEY (p, w, row)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS text_by_row ON text (row, p);
CREATE TABLE IF NOT EXISTS label (p INT, w INT, row INT, PRIMARY KEY (p, w, row)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS span (row INT, p INT, low INT, high INT, PRIMARY KEY (row, p, low, high)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS span_by_time ON span (p, low, high);
CREATE TABLE IF NOT EXISTS amount (row INT, p INT, low REAL, high REAL, s INT, c INT, u INT,
  PRIMARY KEY (row, p, low, high, s, c, u)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS amount_by_size ON amount (p, low, high, s, c, u);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, number INT);
CREATE TABLE IF NOT EXISTS salt (one INTEGER PRIMARY KEY CHECK (one = 1), bytes BLOB);
"""
CACHE, WRITERS_CACHE = -16_000, -128_000  # KiB of pages that each reader keeps, and the one that writes
WALK = 100  # rows that are taken from the index at once
SHOWN_SETS = 200  # sets of subjects that a connection remembers


@dataclass(slots=True)
class IndexEntry:
    """One version of a resource on its way into the index. tokens (parameter, system, code), texts (parameter, compared form, as
    written), spans (parameter, low, high), amounts (parameter, low, high, system, code, unit), links (parameter, name); live: current
    and not deleted."""

    row: int
    kind: str
    id: str
    subject: int
    patient: bool
    updated: int
    live: bool
    tokens: Iterable[tuple[str, str, str]] = ()
    texts: Iterable[tuple[str, str, str]] = ()
    spans: Iterable[tuple[str, int, int]] = ()
    amounts: Iterable[tuple[str, float, float, str, str, str]] = ()
    links: Iterable[tuple[str, str]] = ()

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.kind}/{self.id}"


class ResourceIndex:
    """The index of one data set, for the threads of one process and beside others. It writes under a lock, and reads without."""

    def __init__(self, place: Path, key: bytes) -> None:
        self.place, self.key = place, key
        self._local = threading.local()
        self._errors: tuple[type[BaseException], ...] = (Exception,)
        self._all: list[Any] = []
        self._writer: Any = None
        self._mutex, self._writing = threading.Lock(), threading.RLock()
        self.hashed = lru_cache(100_000)(self._hash)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = self._connection()
        for statement in TABLES.split(";"):
            connection.execute(statement)
        connection.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", (os.urandom(32),))
        self._salt = bytes(connection.execute("SELECT bytes FROM salt").fetchone()[0])
        place.chmod(0o600)

    def _hash(self, text: str) -> int:
        """64 bits that stand for a text in this index alone."""
        return int.from_bytes(blake2b(text.encode(), digest_size=8, key=self._salt).digest(), "big", signed=True)

    def _connection(self) -> Any:
        found = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connect()
            self._local.shown = {}
            with self._mutex:
                self._all.append(found)
        return found

    def _connect(self, cache: int = CACHE) -> Any:
        try:
            import sqlcipher3  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("searching resources needs SQLCipher: pip install 'galenic[server]'") from None
        try:
            connection = sqlcipher3.connect(str(self.place), isolation_level=None, check_same_thread=False, timeout=60)
            connection.execute(f"PRAGMA key = \"x'{self.key.hex()}'\"")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(f"PRAGMA cache_size={cache}")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("CREATE TEMP TABLE shown (k INT, subject INT, PRIMARY KEY (k, subject)) WITHOUT ROWID")
        except sqlcipher3.DatabaseError as error:
            raise StoreError(
                f"the search index can not be opened ({type(error).__name__}). It is made anew: start again."
            ) from None
        self._errors = (sqlcipher3.Error,)
        return connection

    def close(self) -> None:
        """Lets go of every connection."""
        with self._mutex:
            for connection in [*self._all, *([self._writer] if self._writer is not None else [])]:
                connection.close()
            self._all.clear()
            self._writer = None

    # what it knows

    def through(self) -> int:
        """Every row below this one is in the index."""
        found = self._connection().execute("SELECT number FROM state WHERE name = 'through'").fetchone()
        return int(found[0]) if found else 0

    def find(self, name: str) -> tuple[int, int, bool, bool] | None:
        """(row, subject, whether the subject is a patient, whether it stands) of the newest version of a name (Type/id)."""
        query = "SELECT row, subject, patient, live FROM res WHERE key = ? ORDER BY row DESC LIMIT 1"
        found = self._connection().execute(query, (self.hashed(name),)).fetchone()
        return (int(found[0]), int(found[1]), bool(found[2]), bool(found[3])) if found else None

    def search(self, asked: ResourceQuery, *, limit: int, after: int = -1, offset: int = 0, below: int = 2**62) -> list[Hit]:
        """Resources that meet the search, in its order, else in that of writing: those after row `after`, up to row `below`."""
        found = islice(self._found(asked, after, below), offset, offset + limit)
        return [Hit(int(r[0]), str(r[1]), int(r[2]), bool(r[3])) for r in found]

    def count(self, asked: ResourceQuery, most: int | None = None) -> int:
        """How many resources meet the search; counted up to `most`."""
        compiled = Compiler(self.hashed, self._shown(asked), self._run).compile(replace(asked, order=()))
        rows, different = map(sum, zip(*(self._run(*query.counted(most))[0] for query in compiled), strict=True))
        return most if most is not None and rows >= most else int(different)

    def _found(self, asked: ResourceQuery, after: int, below: int) -> Iterator[Any]:
        """Rows as they come, each once."""
        seen: set[int] = set()
        for query in Compiler(self.hashed, self._shown(asked), self._run).compile(asked):
            for row in self._walk(*query.rows(after, below)):
                if row[0] not in seen:
                    seen.add(row[0])
                    yield row

    def of_subject(self, subject: int, after: int, limit: int, since: int = 0, kinds: tuple[str, ...] = ()) -> list[Hit]:
        """What stands of one subject, in the order of writing: after a row, changed since a time, of these types (none: of all)."""
        where, values = "r.subject = ? AND r.live AND r.row > ? AND r.updated >= ?", [subject, after, since]
        if kinds:
            where += f" AND r.type IN ({','.join('?' * len(kinds))})"
            values += [self.hashed(k) for k in kinds]
        sql = f"SELECT r.row, r.name, r.subject, r.patient FROM res r WHERE {where} ORDER BY r.row LIMIT ?"  # noqa: S608
        return [Hit(int(r[0]), str(r[1]), int(r[2]), bool(r[3])) for r in self._run(sql, [*values, limit])]

    def newest(self) -> int:
        """The last row in the index."""
        return int(self._run("SELECT coalesce(max(row), 0) FROM res", [])[0][0])

    def referring(self, names: list[str], parameter: str, kind: str, asked: ResourceQuery, limit: int) -> list[Hit]:
        """Resources of a type that refer to one of these names by a parameter, of those that are shown."""
        tests = OneOf((Link(parameter, tuple(names)),))
        return self.search(ResourceQuery(kind, (tests,), (), asked.shown, asked.shown_as), limit=limit)

    def named(self, names: list[str], asked: ResourceQuery) -> list[Hit]:
        """Resources of these names, of those that are shown."""
        found: list[Hit] = []
        for start in range(0, len(names), 200):
            part = names[start : start + 200]
            where, values = self._shown(asked)
            marks = ",".join("?" * len(part))
            sql = f"SELECT r.row, r.name, r.subject, r.patient FROM res r WHERE r.live AND r.key IN ({marks}){where}"  # noqa: S608
            rows = self._run(sql, [*map(self.hashed, part), *values])
            found += [Hit(int(r[0]), str(r[1]), int(r[2]), bool(r[3])) for r in rows]
        return found

    def _shown(self, asked: ResourceQuery) -> tuple[str, list[Any]]:
        """What keeps a query to the subjects that are shown."""
        if asked.shown is None:
            return "", []
        connection, sets = self._connection(), self._local.shown
        number = sets.get(asked.shown_as)
        if number is None:
            if len(sets) >= SHOWN_SETS:
                connection.execute("DELETE FROM temp.shown")
                sets.clear()
            number = sets[asked.shown_as] = len(sets) + 1
            connection.executemany("INSERT OR IGNORE INTO temp.shown VALUES (?, ?)", [(number, s) for s in asked.shown])
        return " AND (NOT r.patient OR r.subject IN (SELECT subject FROM temp.shown WHERE k = ?))", [number]

    def _run(self, sql: str, values: list[Any]) -> list[Any]:
        return list(self._walk(sql, values))

    def _walk(self, sql: str, values: list[Any]) -> Iterator[Any]:
        try:
            cursor = self._connection().execute(sql, values)
            try:
                while part := cursor.fetchmany(WALK):
                    yield from part
            finally:
                cursor.close()
        except self._errors as error:
            raise StoreError(
                f"the search index did not answer ({type(error).__name__}). Start again: it is made anew."
            ) from None

    # what is written

    @contextlib.contextmanager
    def writing(self) -> Iterator[Any]:
        """One change of the index, whole or not at all."""
        with self._writing:
            if self._writer is None:
                self._writer = self._connect(WRITERS_CACHE)
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def put(self, rows: list[IndexEntry], *, through: int | None = None) -> None:
        """Adds versions of resources; an older version of the same name stands no more. through: every row below is here now."""
        if not rows and through is None:
            return
        h = self.hashed
        res, tokens, links, spans, amounts, texts = [], [], [], [], [], []
        for one in rows:
            row, kind = one.row, one.kind
            res.append((row, h(kind), h(one.name), one.name, one.subject, one.patient, one.updated, one.live))
            if not one.live:
                continue
            tokens += [(h(f"{kind}.{p}"), h(c), row, h(s) if s else 0) for p, s, c in one.tokens]
            named = [(h(f"{kind}.{p}"), h(t)) for p, t in one.links]
            tokens += [(p, t, row, 0) for p, t in named]
            links += [(row, p, t) for p, t in named]
            spans += [(row, h(f"{kind}.{p}"), low, high) for p, low, high in one.spans]
            amounts += [(row, h(f"{kind}.{p}"), lo, hi, h(s) if s else 0, h(c), h(u)) for p, lo, hi, s, c, u in one.amounts]
            texts += [(h(f"{kind}.{p}"), plain, exact, row, p.endswith(":text")) for p, plain, exact in one.texts]
        with self.writing() as c:
            c.executemany("UPDATE res SET live = 0 WHERE key = ? AND live AND row < ?", [(r[2], r[0]) for r in res])
            c.executemany("INSERT OR REPLACE INTO res VALUES (?, ?, ?, ?, ?, ?, ?, ?)", res)
            c.executemany("INSERT OR IGNORE INTO token VALUES (?, ?, ?, ?)", tokens)
            c.executemany("INSERT OR IGNORE INTO link VALUES (?, ?, ?)", links)
            c.executemany("INSERT OR IGNORE INTO span VALUES (?, ?, ?, ?)", spans)
            c.executemany("INSERT OR IGNORE INTO amount VALUES (?, ?, ?, ?, ?, ?, ?)", amounts)
            self._put_texts(c, texts)
            if through is not None:
                c.execute("INSERT OR REPLACE INTO state VALUES ('through', ?)", (through,))

    def _put_texts(self, c: Any, texts: list[tuple[int, str, str, int, bool]]) -> None:
        words = list(dict.fromkeys((p, plain, exact) for p, plain, exact, *_ in texts))
        c.executemany("INSERT OR IGNORE INTO word (p, plain, exact) VALUES (?, ?, ?)", words)
        for table, is_label in (("text", False), ("label", True)):
            query = f"INSERT OR IGNORE INTO {table} SELECT ?1, w, ?2 FROM word WHERE p = ?1 AND exact = ?3"  # noqa: S608
            c.executemany(query, [(p, row, exact) for p, _, exact, row, label in texts if label == is_label])

    def copy_without(self, subject: int, place: Path, key: bytes) -> None:
        """Writes a copy under another key in which the subject was never: what it is kept from can be dropped with its key."""
        aside = place.with_name(f".{place.name}.aside")
        aside.unlink(missing_ok=True)
        with self._writing:
            connection = self._connection()
            connection.execute(f"ATTACH DATABASE ? AS copied KEY \"x'{key.hex()}'\"", (str(aside),))
            try:
                for sql, *_ in connection.execute("SELECT sql FROM main.sqlite_master WHERE type = 'table'").fetchall():
                    connection.execute(sql.replace("CREATE TABLE ", "CREATE TABLE copied.", 1))
                connection.execute("BEGIN")
                self._copy(connection, subject)
                for sql, *_ in connection.execute(
                    "SELECT sql FROM main.sqlite_master WHERE type = 'index' AND sql NOT NULL"
                ).fetchall():
                    name = sql.split(" INDEX ", 1)
                    connection.execute(f"{name[0]} INDEX copied.{name[1]}")
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # it failed: nothing may be left open that the next copy would trip over
                    connection.execute("ROLLBACK")
                connection.execute("DETACH DATABASE copied")
        aside.replace(place)
        place.chmod(0o600)

    def _copy(self, connection: Any, subject: int) -> None:
        connection.execute("CREATE TEMP TABLE gone AS SELECT row FROM main.res WHERE subject = ?", (subject,))
        for table in ("res", "token", "link", "text", "label", "span", "amount"):
            where = "WHERE row NOT IN (SELECT row FROM temp.gone)"
            connection.execute(f"INSERT INTO copied.{table} SELECT * FROM main.{table} {where}")  # noqa: S608
        connection.execute(
            "INSERT INTO copied.word SELECT * FROM main.word m WHERE EXISTS (SELECT 1 FROM copied.text t WHERE t.p = m.p AND t.w = m.w) "
            "OR EXISTS (SELECT 1 FROM copied.label t WHERE t.p = m.p AND t.w = m.w)"
        )
        connection.execute("INSERT INTO copied.state SELECT * FROM main.state")
        connection.execute("INSERT INTO copied.salt SELECT * FROM main.salt")
        connection.execute("DROP TABLE temp.gone")
