"""Backup, restore and key rotation, for a security officer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import StateError, StoreError
from galenic.installation import Installation
from galenic.security import Session, opens, subkey


def write_backup(installation: Installation, session: Session, folder: Path) -> dict[str, Any]:
    """Writes a backup of the encrypted records and of their keys, which are unusable without the root key."""
    with installation.gate.open(session, "administer", "house", "backup") as grant:
        grant.to = str(folder)
        return store.backup(installation.db, folder, session.tenant)


def restore_backup(
    installation: Installation, folder: Path, session: Session | None = None, *, keys: Path | None = None
) -> dict[str, int]:
    """Restores records from a backup. Returns the number of rows by table, of patients and of readable patients.

    keys: a newer backup, whose keys also open this one if keys were replaced since. Raise StateError, before anything is
    changed, if no patient in the backup could be read. Without a session, a backup can be restored only into an empty
    installation without roles: the holder of the root key may do that, and a new audit log begins.
    """
    if session is None:
        _require_readable(installation, folder, keys)
        counts = store.restore(installation.db, folder, "home", keys)
        installation.tree.refresh()
        counts |= count_readable(installation, "home")
        installation.audit.begin_anew("restored into an empty database")
        _end_invitations(installation)
        installation.audit.append("house.restored", "house", folder=folder.name, counted=counts)
        return counts
    with installation.gate.open(session, "administer", "house", "restore"):
        counts = store.restore(installation.db, folder, session.tenant, keys)
        for build in store.list_builds(installation.db):
            store.drop_index_tables(installation.db, str(build["id"]))
            store.drop_build(installation.db, str(build["id"]), installation.shards)
    counts |= count_readable(installation, session.tenant)
    installation.audit.append("house.restored", "house", actor=session.who, folder=folder.name, counted=counts)
    installation.gate.versions.refresh()
    return counts


def _require_readable(installation: Installation, folder: Path, keys: Path | None) -> None:
    """Raise StateError if the existing root key opens no patient's key in a backup. Without a root key this is not checked."""
    root = installation.tree.keeper.get()
    if root is None:
        return
    snapshot = store.read_keys(keys or folder)
    erased = {s for _tenant, _token, s, _at in snapshot.tombstones}
    patients = [s for s in store.patients_in_backup(folder) if s not in erased]
    if patients and not any(opens(snapshot.nodes, root, s) for s in patients):
        raise StateError(
            f"the keys beside {keys or folder} do not open with this root: they were replaced by a later erasure or rotation, which "
            f"did not reach this folder. None of its {len(patients):,} patients could be read, and nothing was restored. Give a "
            "newer backup, whose keys open this one too: galenic backup restore FOLDER --keys-from NEWER"
        )


def count_readable(installation: Installation, tenant: str) -> dict[str, int]:
    """Counts patients with rows, and those with a readable row in each of their data sets (keys `patients` and `readable`)."""

    def keys(subjects: list[int]) -> dict[int, bytes]:
        try:
            return {s: subkey(k, "record") for s, k in installation.tree.keys(subjects).items()}
        except StoreError:  # no root key, or another one
            return {}

    patients, readable = store.readable_patients(installation.db, tenant, keys)
    return {"patients": patients, "readable": readable}


def _end_invitations(installation: Installation) -> None:
    """Ends invitations that were open when a backup was taken, because they may have been used since. Needs the root key."""
    if installation.tree.keeper.get() is None:
        return
    invited = [f for f in installation.facts.of("person") if f.state == "invited" and f.get("invitation")]
    if invited:
        installation.facts.put_many([replace(f, body=tuple(b for b in f.body if b[0] == "shown")) for f in invited])
    installation.gate.versions.refresh()


def rotate_keys(installation: Installation, session: Session) -> int:
    """Replaces the root key and all node keys, also those beside backups; returns the number of keys."""
    with installation.gate.open(session, "administer", "house", "rotation"):
        count = installation.tree.rotate()
        installation.escrow.sweep()
        for row in store.backups(installation.db):
            store.refresh_keys(installation.db, Path(str(row["folder"])), session.tenant)
        return count


def recover_root(installation: Installation, escrow_private: bytes) -> dict[str, int]:
    """Restores the root key from its recovery copy. Returns the number of patients, and how many of them can be read with it.

    escrow_private: private key of the recovery copy, which is stored on another machine.
    """
    root = installation.escrow.recover(escrow_private)
    if installation.tree.keeper.get() is not None:
        raise StateError("a root key already exists. If it is the wrong one, move it away first.")
    installation.tree.keeper.put(root)
    installation.tree.refresh()
    _end_invitations(installation)
    return count_readable(installation, "home")
