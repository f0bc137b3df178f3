"""Derived copies (shards, indexes), with one key per build. They are never backed up, and can be rebuilt from the originals."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import sqlalchemy as sa

from galenic.errors import StoreError
from galenic.store.blobs import read_blob, write_blob
from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource, schema_of
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.originals import read
from galenic.store.rows import Row
from galenic.store.tables import builds, versions

SHARD_ROWS = 20_000


def next_build(db: Database, kind: str, name: str) -> tuple[str, int]:
    """Id and number for a new build."""
    with db.transaction() as c:
        where = versions.c.name == "builds"
        if c.execute(versions.update().where(where).values(number=versions.c.number + 1)).rowcount == 0:
            c.execute(versions.insert().values(name="builds", number=1))
        number = int(c.execute(sa.select(versions.c.number).where(where)).scalar_one())
        erasures = c.execute(sa.select(versions.c.number).where(versions.c.name == "erasures")).scalar_one_or_none() or 0
        at = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"id": f"{kind}-{number}", "kind": kind, "dataset": name, "made_at": at, "erasures": erasures, "detail": "{}"}
        c.execute(builds.insert().values(**row))
    return f"{kind}-{number}", number


def finish_build(db: Database, build: str, detail: Row) -> None:
    """Records the content of a build, which makes it valid."""
    with db.transaction() as c:
        c.execute(builds.update().where(builds.c.id == build).values(detail=json.dumps(detail)))


def list_builds(db: Database, name: str | None = None, kind: str | None = None) -> list[Row]:
    """Builds, newest last."""
    query = sa.select(builds).order_by(builds.c.made_at, builds.c.id)
    query = query.where(builds.c.dataset == name) if name else query
    query = query.where(builds.c.kind == kind) if kind else query
    with db.reading() as c:
        return [{**dict(r), "detail": json.loads(r["detail"])} for r in c.execute(query).mappings()]


def drop_build(db: Database, build: str, folder: Path) -> None:
    """Deletes a build's files and its row. The security package deletes its key."""
    for row in list_builds(db):
        if row["id"] == build:
            for name in row["detail"].get("files", []):
                (folder / name).unlink(missing_ok=True)
    with db.transaction() as c:
        c.execute(builds.delete().where(builds.c.id == build))


def build_shards(db: Database, grant: AbstractGrant, known: Dataset, build: str, folder: Path) -> Row:
    """Writes the rows and columns that the decision covers as encrypted Arrow shards. Returns the details of the build."""
    names: list[str] = []
    rows = 0
    waiting: list[pa.Table] = []

    def flush() -> None:
        nonlocal waiting
        buffer = io.BytesIO()
        table = pa.concat_tables(waiting)
        with pa.ipc.new_stream(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(table)
        names.append(write_blob(folder, grant.build_key(build), [buffer.getvalue()]))
        waiting = []

    for batch in read(db, grant, known):
        waiting.append(batch)
        rows += batch.num_rows
        if sum(t.num_rows for t in waiting) >= SHARD_ROWS:
            flush()
    if waiting:
        flush()
    columns = [n for n in schema_of(known).names if n not in grant.masked]
    detail: Row = {"files": names, "rows": rows, "columns": columns}
    finish_build(db, build, detail)
    return detail


def read_shards(
    grant: AbstractGrant, known: Dataset, build: str, detail: Row, folder: Path, names: list[str] | None
) -> Iterator[pa.Table]:
    """Batches of a build. The decision is checked again for each shard."""
    require_grant(grant, resource(str(known["name"])), "train", "read", "export", "index")
    key = grant.build_key(build)
    for file in detail["files"]:
        grant.require_active()
        data = b"".join(read_blob(folder / file, key))
        try:
            table = pa.ipc.open_stream(data).read_all()
        except pa.ArrowInvalid:
            raise StoreError(f"shard {file[:12]} of {build} cannot be read. Build it again.") from None
        yield table if names is None else table.select(names)
