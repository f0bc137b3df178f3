"""Erasure of a patient from the record store: derived copies, the patient's key, and the keys stored with backups."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galenic import store
from galenic.custody.bulk_files import BULK_BUILD, drop_abandoned_uploads, drop_bulk
from galenic.custody.quality_measurement import drop_quality, stored_pages
from galenic.custody.search_index import drop_index
from galenic.errors import KeyErasedError, MissingExtraError, StoreError
from galenic.installation import Installation
from galenic.schema import ErasureOutcome
from galenic.security import BUILDS, Grant, opens

Forget = Callable[[Installation, Grant, store.Row], str]
"""Applies an erasure to an artifact; returns its fate in words, or an empty text where nothing was left to do."""


def forget(installation: Installation, grant: Grant, subject: int) -> tuple[ErasureOutcome, ...]:
    """Deletes the derived copies that contain a subject. It can be repeated."""
    drop_abandoned_uploads(installation)
    for folder in ("quality", "builds", "released", "jobs"):
        store.sweep(installation.home / folder)
    outcomes = _drop_unfinished(installation)
    for row in store.artefacts_of(installation.db, subject):
        fate = FORGET[row["kind"]](installation, grant, row) if row["kind"] in FORGET else ""
        if fate:
            outcomes.append(ErasureOutcome(str(row["id"]), str(row["kind"]), str(row["place"]), fate))
    copies = installation.db.drop_upgrade_copies()
    outcomes += [ErasureOutcome(place, "copy of the database before an upgrade", "inside", "deleted") for place in copies]
    return (*outcomes, *_drop_unknown_pages(installation))


def _rows_deleted(_installation: Installation, _grant: Grant, _row: store.Row) -> str:
    """Rows are deleted with the originals (store.forget), which the receipt counts."""
    return "rows deleted"


def _renew_index(installation: Installation, grant: Grant, row: store.Row) -> str:
    """Replaces a search index by a copy without deleted rows, with another key. An unreadable index is deleted without a copy."""
    build = str(row["id"])
    found = next((b for b in store.list_builds(installation.db, kind="index") if b["id"] == build), None)
    if found is None:
        return ""  # it was already replaced or deleted
    copy = _copy_of_index(installation, grant, found) if found["detail"] else ""
    drop_index(installation, build)
    renewed = (
        f"searches use {copy}, a copy without the patient"
        if copy
        else f"build it again: galenic records index build {found['dataset']}"
    )
    return f"{_gone(installation, build)}; {renewed}"


def _copy_of_index(installation: Installation, grant: Grant, found: store.Row) -> str:
    """Id of the copy; empty if the index cannot be read."""
    build, name = str(found["id"]), str(found["dataset"])
    dataset = store.dataset(installation.db, name, grant.tenant)
    copy, number = store.next_build(installation.db, "index", name)
    installation.tree.add([BUILDS + number])
    try:
        store.copy_index(installation.db, grant, store.SearchIndex(dataset, build, found["detail"], installation.shards), copy)
    except (StoreError, KeyErasedError, MissingExtraError):
        drop_index(installation, copy)
        return ""
    store.derive(installation.db, {"id": copy, "kind": "index", "made_from": build})
    return copy


def _gone(installation: Installation, build: str) -> str:
    """Text that states whether the files of a build are deleted."""
    left = [p for p in (installation.shards / f"{build}.db", installation.shards / build) if p.exists()]
    return "NOT DELETED: delete its files yourself" if left else "deleted"


def _drop_shards(installation: Installation, _grant: Grant, row: store.Row) -> str:
    drop_index(installation, str(row["id"]))
    return _gone(installation, str(row["id"]))


def _drop_bulk(installation: Installation, _grant: Grant, row: store.Row) -> str:
    build = str(row["id"]).partition("/")[2]
    drop_bulk(installation, build)
    return f"{_gone(installation, build)}; export again to get it without the patient"


def _drop_page(installation: Installation, _grant: Grant, row: store.Row) -> str:
    left = drop_quality(installation, str(row["id"]))
    return "NOT DELETED: delete it yourself" if left else "deleted; measure the quality again"


def _drop_unfinished(installation: Installation) -> list[ErasureOutcome]:
    """Deletes copies for training, and unfinished indexes and exports, because their patients are not recorded yet. Work on
    them stops and starts again."""
    outcomes = []
    for build in store.list_builds(installation.db):
        name, kind = str(build["id"]), str(build["kind"])
        recorded = {"shards": "", "index": name, BULK_BUILD: f"bulk/{name}"}.get(kind)
        if recorded is None or store.artefact(installation.db, recorded) is not None:
            continue
        (drop_bulk if kind == BULK_BUILD else drop_index)(installation, name)
        outcomes.append(ErasureOutcome(name, kind, "inside", f"{_gone(installation, name)}; it was not finished"))
    return outcomes


def _drop_unknown_pages(installation: Installation) -> list[ErasureOutcome]:
    """Deletes quality pages that an earlier version made without a list of their patients."""
    pages = [name for name in stored_pages(installation) if store.artefact(installation.db, name) is None]
    return [
        ErasureOutcome(
            name, "quality", "inside", "NOT DELETED: delete it yourself" if drop_quality(installation, name) else "deleted"
        )
        for name in pages
    ]


def _outside(_installation: Installation, _grant: Grant, _row: store.Row) -> str:
    return "outside this installation: ask its holders to delete it"


FORGET: dict[str, Forget] = {
    "table": _rows_deleted,
    "index": _renew_index,
    "shards": _drop_shards,
    "bulk": _drop_bulk,
    "quality": _drop_page,
    "export": _outside,
    "access": _outside,
    "page": _outside,
    "reveal": _outside,
    "download": _outside,
}
"""Erasure of a patient: the effect on each kind of artifact of custody."""


def destroy_key(installation: Installation, subject: int) -> dict[str, Any]:
    """Destroys the key of a subject and all older copies of the key tree; returns the facts for the receipt."""
    before = time.perf_counter()
    rewrapped = installation.tree.forget([subject])
    seconds = time.perf_counter() - before
    installation.escrow.sweep()
    dead = not opens(store.read_all_nodes(installation.db), installation.tree.root(), subject)
    return {"destroyed": dead, "keys_rewrapped": rewrapped, "milliseconds": round(1000 * seconds, 2)}


def backup_folders(installation: Installation) -> list[tuple[str, bool]]:
    """Each backup that was made: its folder, and whether it can be reached now."""
    return [(str(row["folder"]), Path(str(row["folder"])).is_dir()) for row in store.backups(installation.db)]


def forget_in_backups(installation: Installation, subject: int, tenant: str) -> list[dict[str, Any]]:
    """Replaces the keys stored with each backup by the current ones. Returns for each backup whether they open the subject's
    key, or None if not checked."""
    folders = [Path(str(row["folder"])) for row in store.backups(installation.db)]
    return [_forget_in_backup(installation, folder, subject, tenant) for folder in folders]


def _forget_in_backup(installation: Installation, folder: Path, subject: int, tenant: str) -> dict[str, Any]:
    """Replaces the keys stored with one backup, and reads them again. Returns None if the backup cannot be reached."""
    reached = store.refresh_keys(installation.db, folder, tenant)
    try:
        alive = opens(store.read_keys(folder).nodes, installation.tree.root(), subject)
    except StoreError:
        return {"folder": str(folder), "reached": False, "opens_with_todays_root": None}
    return {"folder": str(folder), "reached": reached, "opens_with_todays_root": alive}
