"""Search index of a data set: derived, with one key per build.

Codes, dates and quantities are in plain form inside a completely encrypted file (SQLCipher). All other texts are indexed by
keyed tokens of their words and prefixes, which reveal that rows share a word, but not the word. On PostgreSQL the index is an
unlogged table with plain columns. It is neither in backups nor in the write-ahead log, but the disk must be encrypted.
"""

import contextlib
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from galenic.errors import AccessDeniedError, MissingExtraError, OptionError, StoreError, UnknownNameError
from galenic.store.builds import finish_build
from galenic.store.database import Database
from galenic.store.datasets import Dataset, kinds_of, resource, schema_of
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.index_comparison import IndexComparison
from galenic.store.originals import numbered
from galenic.store.row_reads import points
from galenic.store.rows import Row

OPERATORS = {"=": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
WORD = re.compile(r"\w+")
PREFIX = 3  # shortest prefix that can be searched
BOUND = 2_000  # rows that a search may decrypt to search inside a text
Condition = tuple[str, str, str]


def build_index(
    db: Database, grant: AbstractGrant, known: Dataset, build: str, folder: Path, *, codes: tuple[str, ...] = ()
) -> Row:
    """Indexes the rows that the decision covers. codes: text columns with codes that may be in plain form inside the index."""
    name = str(known["name"])
    require_grant(grant, resource(name), "index")
    schema = schema_of(known)
    absent = sorted(set(codes) - set(schema.names))
    if absent or known["patient"] in codes:
        raise OptionError(
            f"columns {absent or [known['patient']]} are missing or identify the patient. Name other code columns."
        )
    names = [c for c in schema.names if c not in grant.masked]
    kinds = kinds_of(known)
    clear = [c for c in names if c in codes or (c != known["patient"] and kinds[c] in ("integer", "numeric", "date"))]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    rows = 0
    with _opened(db, grant, build, folder, make=True) as run:
        columns = "".join(f", c{i} {_type(kinds[c])}" for i, c in enumerate(clear))
        run(f"CREATE {_kind(db)} TABLE {_name(build)}_rows (row BIGINT PRIMARY KEY{columns})")
        run(f"CREATE {_kind(db)} TABLE {_name(build)}_tokens (token BIGINT, row BIGINT)")
        for places, table in numbered(db, grant, known, names):
            values = [[_plain(v, kinds[c]) for v in table[c].to_pylist()] for c in clear]
            _insert(run, db, f"{_name(build)}_rows", list(zip(places, *values, strict=True)))
            words = [
                (token, place)
                for c in names
                if c not in clear
                for place, text in zip(places, table[c].to_pylist(), strict=True)
                for token in _tokens(grant, c, text)
            ]
            _insert(run, db, f"{_name(build)}_tokens", words)
            rows += table.num_rows
        run(f"CREATE INDEX {_name(build)}_by_token ON {_name(build)}_tokens (token)")
        for i in range(len(clear)):
            run(f"CREATE INDEX {_name(build)}_c{i} ON {_name(build)}_rows (c{i})")
    files = [f"{build}.db"] if db.is_sqlite else []
    detail: Row = {"files": files, "rows": rows, "clear": clear, "columns": names, "through": known["next_row"]}
    finish_build(db, build, detail)
    return detail


@dataclass(frozen=True)
class SearchIndex:
    """One build of the index of a data set. build: its id; detail: from `build_index`; folder: folder of the index files."""

    known: Dataset
    build: str
    detail: Row
    folder: Path


def search(
    db: Database, grant: AbstractGrant, index: SearchIndex, conditions: list[Condition], limit: int = 100
) -> list[dict[str, object]]:
    """Rows that match all conditions, among those that the decision covers. Conditions: (column, operator, value).

    = < <= > >= on codes, dates and quantities; = (whole), word, starts on other texts; contains only if the other conditions
    leave few enough rows to decrypt. Raise AccessDeniedError for a withheld column, because its hits would reveal it.
    """
    require_grant(grant, resource(str(index.known["name"])), "search", "read")
    inside = [c for c in conditions if c[1] == "contains"]
    for column, operator, _ in conditions:
        if column in grant.masked:
            raise AccessDeniedError(f"column {column!r} is withheld by the access decision, so it cannot be searched.")
        _check(index.detail, column, operator)
    quick = [c for c in conditions if c[1] != "contains"]
    query, compared = _candidates(db, grant, index, quick, BOUND + 1 if inside else None)
    with _opened(db, grant, index.build, index.folder) as run:
        rows = [int(r[0]) for r in run(query, compared).fetchall()]
    if inside and len(rows) > BOUND:
        raise OptionError(
            f"'contains' would have to decrypt more than {BOUND} rows. Narrow the search first, by a code, a date or a word."
        )
    found: list[dict[str, object]] = []
    for start in range(0, len(rows), 500):  # rows that the decision does not cover look missing
        for values in points(db, grant, index.known, rows[start : start + 500]):
            if all(text.lower() in str(values.get(column) or "").lower() for column, _, text in inside):
                found.append(values)
        if len(found) >= limit:
            break
    return found[:limit]


def _check(detail: Row, column: str, operator: str) -> None:
    if column not in detail["columns"]:
        raise UnknownNameError(f"column {column!r} is not in the index; it has {detail['columns']}.")
    allowed = list(OPERATORS) if column in detail["clear"] else ["=", "word", "starts", "contains"]
    if operator not in allowed:
        raise OptionError(f"column {column!r} cannot be searched by {operator!r}. Expected one of {', '.join(allowed)}.")


def _candidates(
    db: Database, grant: AbstractGrant, index: SearchIndex, conditions: list[Condition], most: int | None
) -> tuple[str, tuple[Any, ...]]:
    """SQL of the rows that meet the conditions, and its values."""
    mark, table, clear = ("?" if db.is_sqlite else "%s"), _name(index.build), index.detail["clear"]
    parts, values = ["1 = 1"], []
    for column, operator, text in conditions:
        if column in clear:
            parts.append(f"c{clear.index(column)} {OPERATORS[operator]} {mark}")
            values.append(_typed(text, kinds_of(index.known)[column]))
        else:
            kind = {"=": "whole", "word": "word", "starts": "prefix"}[operator]
            if kind == "prefix" and len(text) < PREFIX:
                raise OptionError(f"a prefix search needs at least {PREFIX} letters.")
            parts.append(f"row IN (SELECT row FROM {table}_tokens WHERE token = {mark})")  # noqa: S608
            values.append(_token(grant, column, kind, text.lower()))
    query = f"SELECT row FROM {table}_rows WHERE {' AND '.join(parts)} ORDER BY row" + (f" LIMIT {most}" if most else "")  # noqa: S608
    return query, tuple(values)


def _tokens(grant: AbstractGrant, column: str, text: str | None) -> Iterator[int]:
    if text is None:
        return
    yield _token(grant, column, "whole", text.lower())
    for word in set(WORD.findall(text.lower())):
        yield _token(grant, column, "word", word)
        for size in range(PREFIX, min(len(word), 12) + 1):
            yield _token(grant, column, "prefix", word[:size])


def _token(grant: AbstractGrant, column: str, kind: str, text: str) -> int:
    return int.from_bytes(grant.token(f"index {column} {kind}", text)[:8], "big", signed=True)


@contextlib.contextmanager
def _opened(db: Database, grant: AbstractGrant, build: str, folder: Path, *, make: bool = False) -> Iterator[Any]:
    """Yields run(sql, values)."""
    if not db.is_sqlite:
        with db.transaction(grant.tenant) as c:
            yield lambda sql, values=(): c.exec_driver_sql(sql, values or None)
        return
    try:
        import sqlcipher3  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("the search index needs SQLCipher", "index") from None
    place = folder / f"{build}.db"
    if not make and not place.exists():
        raise StoreError(f"{build} is gone: it was deleted, for example when a patient in it was erased. Build it again.")
    connection = sqlcipher3.connect(str(place))
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it writes to the terminal
        connection.execute(f"PRAGMA key = \"x'{grant.build_key(build).hex()}'\"")
        connection.execute("PRAGMA temp_store = MEMORY")
        yield (
            lambda sql, values=(): (
                connection.executemany(sql, values) if isinstance(values, list) else connection.execute(sql, values)
            )
        )
        connection.commit()
    except sqlcipher3.DatabaseError as error:
        raise StoreError(
            f"{build} cannot be read ({type(error).__name__}). Build it again: galenic records index build"
        ) from None
    finally:
        connection.close()
    if make:
        place.chmod(0o600)


def compare_rows(db: Database, grant: AbstractGrant, index: SearchIndex) -> IndexComparison:
    """Compares an index with the stored rows, and reads it to the end. Raise StoreError if that is not possible. Rows that
    existed when the index was built and are not in it were not covered by its decision, if the index has as many rows as
    were written to it."""
    name = str(index.known["name"])
    require_grant(grant, resource(name), "index")
    stored = {int(r[0]) for r in db.rows("SELECT row FROM originals WHERE dataset = ?", (name,), grant.tenant)}
    table, through = _name(index.build), int(index.detail.get("through", str(index.known["next_row"])))
    try:
        with _opened(db, grant, index.build, index.folder) as run:
            if db.is_sqlite and run("PRAGMA cipher_integrity_check").fetchall():
                raise StoreError(f"{index.build} is damaged. Build it again: galenic records index build {name}")
            indexed = {int(r[0]) for r in run(f"SELECT row FROM {table}_rows").fetchall()}  # noqa: S608
            run(f"SELECT count(*) FROM {table}_tokens").fetchall()  # noqa: S608
    except sa.exc.DBAPIError as error:
        kind = type(error.orig).__name__
        raise StoreError(f"{index.build} cannot be read ({kind}). Build it again: galenic records index build {name}") from None
    if len(indexed) != int(index.detail["rows"]):
        raise StoreError(f"{index.build} has lost rows. Build it again: galenic records index build {name}")
    missing, extra = sorted(r for r in stored - indexed if r >= through), sorted(indexed - stored)
    return IndexComparison(len(stored), len(indexed), missing=missing, extra=extra)


def drop_index_tables(db: Database, build: str) -> None:
    """Drops an index that is stored in PostgreSQL."""
    if not db.is_sqlite:
        with db.transaction() as c:
            c.exec_driver_sql(f"DROP TABLE IF EXISTS {_name(build)}_rows, {_name(build)}_tokens")


def _insert(run: Any, db: Database, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join(["?" if db.is_sqlite else "%s"] * len(rows[0]))
        run(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


def _name(build: str) -> str:
    return build.replace("-", "_")


def _kind(db: Database) -> str:
    return "" if db.is_sqlite else "UNLOGGED"


def _type(kind: str) -> str:
    return "DOUBLE PRECISION" if kind in ("integer", "numeric") else "TEXT"


def _plain(value: Any, kind: str) -> Any:
    if kind in ("integer", "numeric") and value is not None:
        try:
            return float(value)
        except ValueError:
            return None  # not a quantity: not found by one
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    return value if value is None else str(value)


def _typed(text: str, kind: str) -> Any:
    if kind not in ("integer", "numeric"):
        return text
    try:
        return float(text)
    except ValueError:
        raise OptionError("the value to compare with is not a number. Expected a number, for example: age >= 65") from None
