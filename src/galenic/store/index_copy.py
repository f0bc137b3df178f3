"""Copy of the search index of a data set without the rows deleted since, with another key."""

from pathlib import Path
from typing import Any

from galenic.errors import MissingExtraError, StoreError
from galenic.store.builds import finish_build
from galenic.store.database import Database
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.index import SearchIndex
from galenic.store.rows import Row

PARTS = ("rows", "tokens")  # tables of an index


def copy_index(db: Database, grant: AbstractGrant, index: SearchIndex, copy: str) -> Row:
    """Copies the rows of an index that are still in the data set to the build `copy`, so that the index can be deleted with its
    key. Raise StoreError if the index cannot be read."""
    if not isinstance(grant, AbstractGrant):
        require_grant(grant, "")
    grant.require_active()
    rows = _copy_file(db, grant, index, copy) if db.is_sqlite else _copy_tables(db, grant, index, copy)
    detail: Row = {**index.detail, "files": [f"{copy}.db"] if db.is_sqlite else [], "rows": rows}
    finish_build(db, copy, detail)
    return detail


def _table(build: str, part: str) -> str:
    return f"{build.replace('-', '_')}_{part}"


def _copy_file(db: Database, grant: AbstractGrant, index: SearchIndex, copy: str) -> int:
    try:
        import sqlcipher3  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("the search index needs SQLCipher", "index") from None
    place = index.folder / f"{index.build}.db"
    if not place.is_file():
        raise StoreError(f"{index.build} does not exist any more. Build it again: galenic records index build")
    aside = index.folder / f".{copy}.db.aside"
    aside.unlink(missing_ok=True)
    live = db.rows("SELECT row FROM originals WHERE dataset = ?", (str(index.known["name"]),), grant.tenant)
    connection = sqlcipher3.connect(str(place))
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it writes to the terminal
        connection.execute(f"PRAGMA key = \"x'{grant.build_key(index.build).hex()}'\"")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"ATTACH DATABASE ? AS copied KEY \"x'{grant.build_key(copy).hex()}'\"", (str(aside),))
        connection.execute("CREATE TEMP TABLE live (row INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO temp.live VALUES (?)", [(int(r[0]),) for r in live])
        rows = _copy_attached(connection, index.build, copy)
        connection.commit()
    except sqlcipher3.DatabaseError as error:
        raise StoreError(
            f"{index.build} cannot be read ({type(error).__name__}). Build it again: galenic records index build"
        ) from None
    finally:
        connection.close()
    _put_in_place(aside, index.folder / f"{copy}.db")
    return rows


def _copy_attached(connection: Any, build: str, copy: str) -> int:
    """Copies tables, rows and indexes between attached databases; returns the number of rows."""
    prefix, copied = build.replace("-", "_"), copy.replace("-", "_")
    for kind in ("table", "index"):
        query = "SELECT sql FROM main.sqlite_master WHERE type = ? AND sql NOT NULL"
        for (sql,) in connection.execute(query, (kind,)).fetchall():
            renamed = sql.replace(prefix, copied)
            connection.execute(renamed.replace(f" {kind.upper()} {copied}", f" {kind.upper()} copied.{copied}", 1))
        if kind == "table":
            for part in PARTS:
                where = "WHERE row IN (SELECT row FROM temp.live)"
                connection.execute(
                    f"INSERT INTO copied.{_table(copy, part)} SELECT * FROM main.{_table(build, part)} {where}"  # noqa: S608
                )
    return int(connection.execute(f"SELECT count(*) FROM copied.{_table(copy, 'rows')}").fetchone()[0])  # noqa: S608


def _put_in_place(aside: Path, place: Path) -> None:
    aside.chmod(0o600)
    aside.replace(place)


def _copy_tables(db: Database, grant: AbstractGrant, index: SearchIndex, copy: str) -> int:
    with db.transaction(grant.tenant) as c:
        for part in PARTS:
            old, new = _table(index.build, part), _table(copy, part)
            c.exec_driver_sql(f"CREATE UNLOGGED TABLE {new} (LIKE {old} INCLUDING ALL)")
            c.exec_driver_sql(
                f"INSERT INTO {new} SELECT * FROM {old} WHERE row IN (SELECT row FROM originals WHERE dataset = %s)",  # noqa: S608
                (str(index.known["name"]),),
            )
        return int(c.exec_driver_sql(f"SELECT count(*) FROM {_table(copy, 'rows')}").scalar_one())  # noqa: S608
