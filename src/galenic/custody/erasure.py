"""Erasure of a patient from custody: derived copies, the patient's key, and the keys beside backups."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galenic import store
from galenic.custody.bulk_files import drop_bulk
from galenic.custody.search_index import drop_index
from galenic.errors import StoreError
from galenic.installation import Installation
from galenic.schema import ErasureOutcome
from galenic.security import Grant, opens

Forget = Callable[[Installation, str], str]
"""Applies an erasure to the artifact with an id; returns its fate in words."""


def forget(installation: Installation, _grant: Grant, subject: int) -> tuple[ErasureOutcome, ...]:
    """Drops the derived copies that contain a subject. May be repeated."""
    return tuple(
        ErasureOutcome(str(row["id"]), str(row["kind"]), str(row["place"]), FORGET[row["kind"]](installation, str(row["id"])))
        for row in store.artefacts_of(installation.db, subject)
        if row["kind"] in FORGET
    )


def _rows_deleted(_installation: Installation, _artifact: str) -> str:
    """Rows are deleted with the originals (store.forget)."""
    return "rows deleted"


def _drop_build(installation: Installation, artifact: str) -> str:
    drop_index(installation, artifact)
    return "dropped; built again from what is left"


def _drop_bulk(installation: Installation, artifact: str) -> str:
    drop_bulk(installation, artifact.partition("/")[2])
    return "dropped; exported again from what is left"


FORGET: dict[str, Forget] = {"table": _rows_deleted, "index": _drop_build, "shards": _drop_build, "bulk": _drop_bulk}
"""Erasure of a patient: the effect on each kind of artifact of custody."""


def destroy_key(installation: Installation, subject: int) -> dict[str, Any]:
    """Destroys the key of a subject and all older copies of the key tree; returns the facts for the receipt."""
    before = time.perf_counter()
    rewrapped = installation.tree.forget([subject])
    seconds = time.perf_counter() - before
    installation.escrow.sweep()
    dead = not opens(store.read_all_nodes(installation.db), installation.tree.root(), subject)
    return {"destroyed": dead, "keys_rewrapped": rewrapped, "milliseconds": round(1000 * seconds, 2)}


def forget_in_backups(installation: Installation, subject: int, tenant: str) -> list[dict[str, Any]]:
    """Replaces the keys beside each backup by today's; returns for each whether the old ones still open the subject's key."""
    folders = [Path(str(row["folder"])) for row in store.backups(installation.db)]
    return [_forget_in_backup(installation, folder, subject, tenant) for folder in folders]


def _forget_in_backup(installation: Installation, folder: Path, subject: int, tenant: str) -> dict[str, Any]:
    try:
        keys = store.read_keys(folder)
    except StoreError:
        return {"folder": str(folder), "reached": False, "opens_with_todays_root": False}
    alive = opens(keys.nodes, installation.tree.root(), subject)
    reached = store.refresh_keys(installation.db, folder, tenant)
    return {"folder": str(folder), "reached": reached, "opens_with_todays_root": alive}
