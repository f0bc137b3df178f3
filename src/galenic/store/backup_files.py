"""Backups with support for erasure: encrypted records in one set of files, and the key tree in another, which is replaced at
every erasure."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import sqlalchemy as sa

from galenic.errors import RecordError, StoreError
from galenic.store.database import Database
from galenic.store.erasable import forget_documents
from galenic.store.files import file_aside, folder_aside
from galenic.store.key_rows import Nodes, read_all_nodes
from galenic.store.lineage import LOST_WITH_RECORDS
from galenic.store.rows import Row
from galenic.store.subjects import list_tombstones
from galenic.store.tables import backups as backup_rows
from galenic.store.tables import facts, key_nodes, metadata, originals, subjects, tombstones

KEYS = "keys.json"
DERIVED = {"key_nodes", "builds", "backups"}  # keys are stored apart; builds are rebuilt
# tables that a restore into a running installation replaces
PATIENTS = (
    "datasets",
    "subjects",
    "originals",
    "documents",
    "document_words",
    "vault",
    "artefacts",
    "lineage",
)  # tables that a restore into a running installation replaces


ENDED_BY_RESTORE = ("session", "recovery")  # facts that give access, and may have ended or been used since the backup


@dataclass(frozen=True)
class Snapshot:
    """Key tree and tombstones in a backup folder."""

    nodes: Nodes
    tombstones: list[tuple[str, bytes, int, str]]


def backup(db: Database, folder: Path, tenant: str) -> dict[str, object]:
    """Writes every table except derived ones from one state of the database; returns the manifest."""
    with folder_aside(folder) as aside:
        sums, counted = {}, {}
        with db.reading(tenant) as c:
            for table in metadata.sorted_tables:
                if table.name not in DERIVED:
                    counted[str(table.name)] = _dump(c, table, aside / f"{table.name}.arrow")
                    sums[str(table.name)] = _digest(aside / f"{table.name}.arrow")
        _write_keys(aside / KEYS, read_all_nodes(db), db, tenant)
        manifest: dict[str, object] = {"made_at": _now(), "rows": counted, "sha256": sums}
        (aside / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    with db.transaction() as c:
        c.execute(backup_rows.delete().where(backup_rows.c.folder == str(folder.absolute())))
        c.execute(backup_rows.insert().values(folder=str(folder.absolute()), made_at=_now()))
    return manifest


def backups(db: Database) -> list[Row]:
    """Every backup that was made, by folder."""
    with db.reading() as c:
        return [dict(r) for r in c.execute(sa.select(backup_rows).order_by(backup_rows.c.made_at)).mappings()]


def refresh_keys(db: Database, folder: Path, tenant: str) -> bool:
    """Replaces the keys stored with a backup by the current ones. Return False if the folder cannot be reached: then the backup
    cannot be used."""
    if not (folder / KEYS).is_file():
        return False
    with (folder / KEYS).open("r+b") as old:
        old.write(b"\0" * (folder / KEYS).stat().st_size)
    _write_keys(folder / KEYS, read_all_nodes(db), db, tenant)
    return True


def read_keys(folder: Path) -> Snapshot:
    """Keys stored with a backup."""
    try:
        data = json.loads((folder / KEYS).read_text(encoding="ascii"))
        nodes = {(int(a), int(b)): base64.b64decode(c) for a, b, c in data["nodes"]}
        gone = [(str(t), base64.b64decode(k), int(s), str(at)) for t, k, s, at in data["tombstones"]]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{folder / KEYS} cannot be read ({type(error).__name__}). Take another backup.") from None
    return Snapshot(nodes, gone)


def restore(db: Database, folder: Path, tenant: str, keys: Path | None = None) -> dict[str, int]:
    """Restores patients' records, except those of patients with a tombstone, current or in the backup. Returns counts.

    keys: a newer backup, whose keys are used instead. In a running installation only records are restored: keys, audit log,
    ledger, register, consents and roles stay as they are now, since an older state would restore what was withdrawn, spent or
    erased since. In an empty one everything is restored, with the newest keys beside the backup. Copies derived since the
    backup remain in the lineage, so that a later erasure reaches them.
    """
    manifest = _manifest(folder)
    with db.reading(tenant) as c:
        living = c.execute(sa.select(sa.func.count()).select_from(metadata.tables["audit"])).scalar_one() > 1 or bool(
            c.execute(sa.select(key_nodes.c.level).limit(1)).first()
        )
    snapshot, older = read_keys(keys or folder), read_keys(folder)
    names = [t for t in metadata.sorted_tables if t.name in PATIENTS] if living else [
        t for t in metadata.sorted_tables if t.name not in DERIVED and t.name not in ("audit", "audit_heads")
    ]  # fmt: skip
    counted = {}
    with db.transaction(tenant) as c:
        derived = _derived(c) if living else {}
        for table in reversed(names):
            c.execute(table.delete())
        for table in names:
            # missing if a version before this table made the backup
            counted[str(table.name)] = _fill(c, table, folder) if table.name in manifest["sha256"] else 0
        _put_back(c, derived)
        if not living:
            c.execute(facts.delete().where(facts.c.kind.in_(ENDED_BY_RESTORE)))
            c.execute(key_nodes.delete())
            nodes = [{"level": a, "place": b, "children": v} for (a, b), v in snapshot.nodes.items()]
            if nodes:
                c.execute(key_nodes.insert(), nodes)
        counted["erased_again"] = _bury(c, Snapshot(snapshot.nodes, [*snapshot.tombstones, *older.tombstones]))
    return counted


def _fill(c: sa.Connection, table: sa.Table, folder: Path) -> int:
    count = 0
    for rows in _load(folder / f"{table.name}.arrow"):
        c.execute(table.insert(), rows)
        count += len(rows)
    return count


def _derived(c: sa.Connection) -> dict[str, list[Row]]:
    """Rows of artifacts that a restore of records does not change, and of their lineage."""
    artifacts, lineage = metadata.tables["artefacts"], metadata.tables["lineage"]
    kept = [dict(r) for r in c.execute(sa.select(artifacts).where(artifacts.c.kind.not_in(LOST_WITH_RECORDS))).mappings()]
    query = sa.select(lineage).join(artifacts, artifacts.c.id == lineage.c.artefact)
    of = [dict(r) for r in c.execute(query.where(artifacts.c.kind.not_in(LOST_WITH_RECORDS))).mappings()]
    return {"artefacts": kept, "lineage": of}


def _put_back(c: sa.Connection, derived: dict[str, list[Row]]) -> None:
    """Replaces artifacts and their lineage by those rows."""
    artifacts, lineage = metadata.tables["artefacts"], metadata.tables["lineage"]
    ids = [r["id"] for r in derived.get("artefacts", [])]
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        c.execute(lineage.delete().where(lineage.c.artefact.in_(part)))
        c.execute(artifacts.delete().where(artifacts.c.id.in_(part)))
    for name, rows in derived.items():
        if rows:
            c.execute(metadata.tables[name].insert(), rows)


def _bury(c: sa.Connection, snapshot: Snapshot) -> int:
    """Deletes the rows of all patients with a tombstone. Returns the number of restored rows among them."""
    for tenant, token, subject, at in snapshot.tombstones:
        there = c.execute(sa.select(tombstones.c.subject).where(tombstones.c.token == token)).first()
        if there is None:
            c.execute(tombstones.insert().values(tenant=tenant, token=token, subject=subject, erased_at=at))
    gone = [int(r[0]) for r in c.execute(sa.select(tombstones.c.subject))]
    back = 0
    for subject in gone:
        forget_documents(c, subject)
        c.execute(originals.delete().where(originals.c.subject == subject))
        for table in (metadata.tables["lineage"], metadata.tables["vault"]):
            c.execute(table.delete().where(table.c.subject == subject))
        back += c.execute(subjects.delete().where(subjects.c.id == subject)).rowcount
    return back


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RecordError(f"{folder} is not a backup. Expected a folder written by galenic backup create.") from None
    for name, digest in manifest["sha256"].items():
        place = folder / f"{name}.arrow"
        if not place.is_file() or _digest(place) != digest:
            raise StoreError(f"{place} differs from the file that was backed up. Nothing was restored. Use another backup.")
    return manifest


def _dump(c: sa.Connection, table: sa.Table, place: Path) -> int:
    schema = pa.schema([(col.name, _arrow(col.type)) for col in table.columns])
    rows = 0
    with pa.ipc.new_file(place, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for part in c.execute(sa.select(table).execution_options(yield_per=5_000)).mappings().partitions():
            batch = {n: [bytes(r[n]) if isinstance(r[n], memoryview) else r[n] for r in part] for n in schema.names}
            writer.write_table(pa.table(batch, schema=schema))
            rows += len(part)
    return rows


def _load(place: Path) -> Iterator[list[Row]]:
    with pa.ipc.open_file(place) as reader:
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i).to_pylist()


def _arrow(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(kind, sa.LargeBinary):
        return pa.binary()
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):  # BigInteger too
        return pa.int64()
    return pa.float64() if isinstance(kind, sa.Float) else pa.string()


def _write_keys(place: Path, nodes: Nodes, db: Database, tenant: str) -> None:
    rows = [[a, b, base64.b64encode(v).decode()] for (a, b), v in sorted(nodes.items()) if a >= 0]
    gone = [
        [str(t["tenant"]), base64.b64encode(t["token"]).decode(), t["subject"], t["erased_at"]]
        for t in list_tombstones(db, tenant)
    ]
    with file_aside(place) as aside:
        aside.write_text(json.dumps({"made_at": _now(), "nodes": rows, "tombstones": gone}), encoding="ascii")
    place.chmod(0o600)


def _digest(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
