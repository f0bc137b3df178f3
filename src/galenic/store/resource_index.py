"""Search index of resources: derived from a data set's documents, in one completely encrypted file (SQLCipher).

It contains rows, subjects and search values, but no documents. It is updated with each write and with rows of other processes,
and is rebuilt if its file or key is lost.
"""

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from galenic.errors import GoneError, MissingExtraError, StoreError
from galenic.schema import SearchHit, SearchRequest, SearchScope
from galenic.store.files import make_private
from galenic.store.index_entry import IndexEntry, IndexReplacedError, ResourceLocation
from galenic.store.query_limit import QueryLimit
from galenic.store.resource_includes import TABLE, IncludedRows
from galenic.store.resource_query import CompiledSearch, Compiler, SearchPlace, SqlQuery, hit_of

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
STEPS = 200_000  # SQLite virtual machine instructions, some milliseconds, between checks of the time limit
# only the newest version can be current: another process may have indexed it before an older one
RETIRE = "UPDATE res SET live = 0 WHERE key = ? AND live AND row < (SELECT max(row) FROM res WHERE key = ?)"
ADVANCE = "UPDATE state SET number = max(number, ?) WHERE name = 'through' AND number >= ?"
READER_CACHE, WRITER_CACHE = -16_000, -128_000  # KiB of pages cached by each reading connection, and by the writing one
BATCH, MOST_SCOPES = 100, 200  # rows fetched from the index at once; sets of subjects that a connection remembers
FIRST = SearchPlace()


class ResourceIndex:
    """Index of one data set, shared by the threads of a process and by other processes. Writing takes a lock; reading does not."""

    def __init__(self, path: Path, key: bytes, *, is_new: bool = True) -> None:  # is_new: created if it does not exist
        self.path, self.key = path, key
        self._local = threading.local()
        self._errors: tuple[type[BaseException], ...] = (StoreError,)  # and those of SQLCipher, once it is loaded
        self._readers: list[Any] = []
        self._writer: Any = None
        self._mutex, self._write_lock = threading.Lock(), threading.RLock()
        self.hashed = lru_cache(100_000)(self._hash)
        if is_new:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private(path)
        try:
            with self._readable():
                connection = self._connection()
                for statement in TABLES.split(";"):
                    connection.execute(statement)
                connection.execute("INSERT OR IGNORE INTO salt VALUES (1, ?)", (os.urandom(32),))
                connection.execute("INSERT OR IGNORE INTO state VALUES ('through', 0)")
                self._salt = bytes(connection.execute("SELECT bytes FROM salt").fetchone()[0])
        except StoreError:
            self.close()
            raise

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Raise StoreError if the file cannot be read or written."""
        try:
            yield
        except self._errors as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"the search index {self.path.name} cannot be used ({type(error).__name__}). Start the server again: it rebuilds the "
                "index."
            ) from None

    def is_intact(self) -> bool:
        """True if every page of the file is unchanged; reads the whole file."""
        with contextlib.suppress(*self._errors):
            connection = self._connection()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not connection.execute("PRAGMA cipher_integrity_check").fetchall()
        return False

    def _hash(self, text: str) -> int:
        """64-bit hash of a text, keyed by the salt of this index."""
        return int.from_bytes(blake2b(text.encode(), digest_size=8, key=self._salt).digest(), "big", signed=True)

    def _connection(self) -> Any:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.set_progress_handler(self._must_end, STEPS)
            self._local.scopes = {}
            with self._mutex:
                self._readers.append(connection)
        return connection

    def _connect(self, cache: int = READER_CACHE) -> Any:
        try:
            import sqlcipher3  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("the search index needs SQLCipher", "server") from None
        try:
            place = f"{self.path.absolute().as_uri()}?mode=rw"  # a file that another process just deleted is not made again
            connection = sqlcipher3.connect(place, isolation_level=None, check_same_thread=False, timeout=60, uri=True)
            connection.execute("PRAGMA cipher_log_level = NONE")  # it writes to the terminal
            connection.execute(f"PRAGMA key = \"x'{self.key.hex()}'\"")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(f"PRAGMA cache_size={cache}")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute(TABLE)
            connection.execute("CREATE TEMP TABLE shown (k INT, subject INT, PRIMARY KEY (k, subject)) WITHOUT ROWID")
        except sqlcipher3.DatabaseError as error:
            raise (StoreError if self.path.exists() else IndexReplacedError)(
                f"the search index cannot be opened ({type(error).__name__}). Start the server again: it rebuilds the index."
            ) from None
        self._errors = (sqlcipher3.Error,)
        return connection

    def close(self) -> None:
        """Closes every connection."""
        with self._mutex:
            for connection in [*self._readers, *([self._writer] if self._writer is not None else [])]:
                connection.close()
            self._readers.clear()
            self._writer = None

    # limits

    @contextlib.contextmanager
    def limited(self, limit: QueryLimit) -> Iterator[None]:
        """Ends queries of this thread with TooCostlyError as soon as this or an outer limit is reached."""
        limits = self._local.__dict__.setdefault("limits", [])
        limits.append(limit)
        try:
            yield
        finally:
            limits.remove(limit)

    def require_time(self) -> None:
        """Raise TooCostlyError if a limit of this thread is reached."""
        for limit in getattr(self._local, "limits", ()):
            limit.require()

    def _must_end(self) -> bool:
        return any(limit.is_over for limit in getattr(self._local, "limits", ()))

    # searches

    def through(self) -> int:
        """Every row below this number is in the index."""
        found = self._run("SELECT number FROM state WHERE name = 'through'", [])
        return int(found[0][0]) if found else 0

    def locate(self, name: str) -> tuple[ResourceLocation | None, int]:
        """(location of the newest version of a resource (Type/id), None if it was never written; `through` at that moment)."""
        query = (
            "SELECT number, row, subject, patient, live FROM state LEFT JOIN res ON res.key = ? WHERE state.name = 'through' "
            "ORDER BY row DESC LIMIT 1"
        )
        through, row, subject, is_patient, is_live = self._run(query, [self.hashed(name)])[0]
        found = None if row is None else ResourceLocation(int(row), int(subject), bool(is_patient), bool(is_live))
        return found, int(through)

    def compile(self, request: SearchRequest) -> CompiledSearch:
        """Search as SQL, for this thread."""
        return Compiler(self.hashed, self._scope(request.scope), self._run).compile(request)

    def search(self, request: SearchRequest, *, limit: int) -> list[SearchHit]:
        """The first matches of a search."""
        return self.page(self.compile(request), limit=limit)[0]

    def page(
        self, compiled: CompiledSearch, *, limit: int, start: SearchPlace = FIRST, below: int | None = None
    ) -> tuple[list[SearchHit], SearchPlace | None]:
        """(matches of a search in order; start of the next page, None after the last match). below: only rows up to this
        number."""
        hits: list[SearchHit] = []
        place = start
        for number, query in enumerate(compiled.ordered[start.query :], start.query):
            offset = start.offset if not query.keys else 0
            for row in self._matches(query, start if number == start.query else FIRST, below):
                if offset:
                    offset -= 1
                elif len(hits) == limit:
                    return hits, place
                else:
                    hits.append(hit_of(row))
                    place = SearchPlace(number, hits[-1].row) if query.keys else SearchPlace(number, None, start.offset + limit)
        return hits, None

    def count(self, compiled: CompiledSearch, limit: int | None = None) -> int:
        """Number of matches, counted up to `limit`."""
        rows, distinct = self._run(*compiled.counted.count(limit))[0]
        return limit if limit is not None and rows >= limit else int(distinct)

    def _matches(self, query: SqlQuery, start: SearchPlace, below: int | None) -> Iterator[Any]:
        """Rows of a query in order, each once, after a place."""
        after: Sequence[Any] = ()
        if start.row is not None:
            sql, values = query.key_of
            after = next(iter(self._run(sql, [start.row, *values])), ())
            if not after:  # the patient was erased
                raise GoneError("the search has changed since this page link was made. Start again at the first page.")
        seen: set[int] = set()
        for row in self._walk(*query.rows(after, below)):
            if row[0] not in seen:
                seen.add(row[0])
                yield row

    def of_subject(self, subject: int, after: int, limit: int, since: int = 0, types: tuple[str, ...] = ()) -> list[SearchHit]:
        """Current resources of a subject in the order of writing: after a row, changed since a time, of these types (none: all)."""
        where, values = "r.subject = ? AND r.live AND r.row > ? AND r.updated >= ?", [subject, after, since]
        if types:
            where += f" AND r.type IN ({','.join('?' * len(types))})"
            values += [self.hashed(t) for t in types]
        sql = f"SELECT r.row, r.name, r.subject, r.patient FROM res r WHERE {where} ORDER BY r.row LIMIT ?"  # noqa: S608
        return [hit_of(r) for r in self._run(sql, [*values, limit])]

    def newest(self) -> int:
        """The last row in the index."""
        return int(self._run("SELECT coalesce(max(row), 0) FROM res", [])[0][0])

    def included(self, scope: SearchScope | None, below: int) -> IncludedRows:
        """Follows references from and to rows, for this thread."""
        return IncludedRows(self.hashed, self._scope(scope), self._run, below)

    def _scope(self, scope: SearchScope | None) -> tuple[str, list[Any]]:
        """SQL that limits a query to the subjects in scope, which are in a temporary table of this thread's connection."""
        if scope is None:
            return "", []
        connection, numbers = self._connection(), self._local.scopes
        number = numbers.get(scope.key)
        if number is None:
            if len(numbers) >= MOST_SCOPES:
                connection.execute("DELETE FROM temp.shown")
                numbers.clear()
            number = len(numbers) + 1
            try:
                connection.executemany("INSERT OR IGNORE INTO temp.shown VALUES (?, ?)", [(number, s) for s in scope.subjects])
            except self._errors:
                self.require_time()  # it was interrupted; the next use inserts the rest
                raise
            numbers[scope.key] = number
        return " AND (NOT r.patient OR r.subject IN (SELECT subject FROM temp.shown WHERE k = ?))", [number]

    def _run(self, sql: str, values: list[Any]) -> list[Any]:
        return list(self._walk(sql, values))

    def _walk(self, sql: str, values: list[Any]) -> Iterator[Any]:
        try:
            cursor = self._connection().execute(sql, values)
            try:
                while part := cursor.fetchmany(BATCH):
                    self.require_time()
                    yield from part
            finally:
                cursor.close()
        except self._errors as error:
            self.require_time()
            raise StoreError(
                f"a query of the search index failed ({type(error).__name__}). Start the server again: it rebuilds the index."
            ) from None

    # writes

    @contextlib.contextmanager
    def writing(self) -> Iterator[Any]:
        """Transaction on the index."""
        with self._write_lock, self._readable():
            if self._writer is None:
                self._writer = self._connect(WRITER_CACHE)
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a damaged file ends it
                    connection.execute("ROLLBACK")
                raise

    def put(self, rows: list[IndexEntry], *, first: int | None = None, through: int = 0) -> None:
        """Adds versions of resources. Older versions with the same name are no longer current, in any order of arrival.

        first, through: `rows` are all versions from row `first` to before row `through`. If every row below `first` is in the
        index, every row below `through` is afterwards.
        """
        if not rows and first is None:
            return
        h = self.hashed
        res, tokens, links, spans, amounts, texts = [], [], [], [], [], []
        for one in rows:
            row, kind = one.row, one.resource_type
            res.append((row, h(kind), h(one.name), one.name, one.subject, one.is_patient, one.updated, one.live))
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
            known = _known_keys(c, [r[2] for r in res])
            c.executemany("INSERT OR REPLACE INTO res VALUES (?, ?, ?, ?, ?, ?, ?, ?)", res)
            c.executemany(RETIRE, [(key, key) for key in known])
            c.executemany("INSERT OR IGNORE INTO token VALUES (?, ?, ?, ?)", tokens)
            c.executemany("INSERT OR IGNORE INTO link VALUES (?, ?, ?)", links)
            c.executemany("INSERT OR IGNORE INTO span VALUES (?, ?, ?, ?)", spans)
            c.executemany("INSERT OR IGNORE INTO amount VALUES (?, ?, ?, ?, ?, ?, ?)", amounts)
            self._put_texts(c, texts)
            if first is not None:
                c.execute(ADVANCE, (through, first))

    def _put_texts(self, c: Any, texts: list[tuple[int, str, str, int, bool]]) -> None:
        words = list(dict.fromkeys((p, plain, exact) for p, plain, exact, *_ in texts))
        c.executemany("INSERT OR IGNORE INTO word (p, plain, exact) VALUES (?, ?, ?)", words)
        for table, is_label in (("text", False), ("label", True)):
            query = f"INSERT OR IGNORE INTO {table} SELECT ?1, w, ?2 FROM word WHERE p = ?1 AND exact = ?3"  # noqa: S608
            c.executemany(query, [(p, row, exact) for p, _, exact, row, label in texts if label == is_label])

    def count_references(self, subject: int) -> int:
        """Number of other people's current resources that refer to a subject's Patient by a reference that searches know."""
        query = (
            "SELECT count(DISTINCT l.row) FROM link l JOIN res r ON r.row = l.row WHERE r.live AND r.subject NOT IN (0, ?1) "
            "AND l.h IN (SELECT key FROM res WHERE subject = ?1 AND type = ?2)"
        )
        return int(self._run(query, [subject, self.hashed("Patient")])[0][0])

    def copy_without(self, subject: int, path: Path, key: bytes) -> None:
        """Writes a copy without the subject, with another key, so that this index can be deleted with its key."""
        aside = path.with_name(f".{path.name}.aside")
        aside.unlink(missing_ok=True)
        with self._write_lock, self._readable():
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
                if connection.in_transaction:  # it failed: an open transaction would break the next copy
                    connection.execute("ROLLBACK")
                connection.execute("DETACH DATABASE copied")
        aside.replace(path)
        path.chmod(0o600)

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


def _known_keys(c: Any, keys: list[int]) -> set[int]:
    """Keys that have a version in the index already, or occur more than once."""
    counts = Counter(keys)
    found = {key for key, count in counts.items() if count > 1}
    distinct = list(counts)
    for start in range(0, len(distinct), BATCH):
        part = distinct[start : start + BATCH]
        query = f"SELECT key FROM res WHERE key IN ({','.join('?' * len(part))})"  # noqa: S608
        found |= {int(r[0]) for r in c.execute(query, part)}
    return found
