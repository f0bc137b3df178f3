"""Backup, restore and key rotation, for a security officer."""

from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import StateError
from galenic.installation import Installation
from galenic.security import Session


def write_backup(installation: Installation, session: Session, folder: Path) -> dict[str, Any]:
    """Writes a backup of the encrypted records and of their keys, which are useless without the root key."""
    with installation.gate.open(session, "administer", "house", "backup") as grant:
        grant.to = str(folder)
        return store.backup(installation.db, folder, session.tenant)


def restore_backup(installation: Installation, folder: Path, session: Session | None = None) -> dict[str, int]:
    """Restores records from a backup; returns counts of rows by table.

    Without a session only into an empty installation, where no roles exist yet: the holder of the root key may do that, and
    the audit log starts anew.
    """
    if session is None:
        counts = store.restore(installation.db, folder, "home")
        installation.tree.refresh()
        installation.audit.begin_anew("restored into an empty database")
        installation.audit.append("house.restored", "house", folder=folder.name, counted=counts)
        return counts
    with installation.gate.open(session, "administer", "house", "restore"):
        counts = store.restore(installation.db, folder, session.tenant)
        for build in store.list_builds(installation.db):
            store.drop_index_tables(installation.db, str(build["id"]))
            store.drop_build(installation.db, str(build["id"]), installation.shards)
    installation.audit.append("house.restored", "house", actor=session.who, folder=folder.name, counted=counts)
    installation.gate.versions.refresh()
    return counts


def rotate_keys(installation: Installation, session: Session) -> int:
    """Replaces the root key and all node keys, also those beside backups; returns the number of keys."""
    with installation.gate.open(session, "administer", "house", "rotation"):
        count = installation.tree.rotate()
        installation.escrow.sweep()
        for row in store.backups(installation.db):
            store.refresh_keys(installation.db, Path(str(row["folder"])), session.tenant)
        return count


def recover_root(installation: Installation, escrow_private: bytes) -> None:
    """Puts the escrowed root key back. escrow_private: the escrow's private key, which is kept off the machine."""
    root = installation.escrow.recover(escrow_private)
    if installation.tree.keeper.get() is not None:
        raise StateError("there is a root key already. Move it away first if it is the wrong one.")
    installation.tree.keeper.put(root)
    installation.tree.refresh()
