"""Backup, restore, rotation: what a security officer does."""

from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import DescriptionError
from galenic.installation import Installation
from galenic.security import Session


def backup(installation: Installation, session: Session, folder: Path) -> dict[str, Any]:
    """Writes a backup: sealed records, and beside them the keys, which are useless without the root."""
    with installation.gate.open(session, "administer", "house", "backup") as handle:
        handle.to = str(folder)
        return store.backup(installation.db, folder, session.tenant)


def restore(installation: Installation, folder: Path, session: Session | None = None) -> dict[str, int]:
    """Brings records back. Into a living installation: past the gate. Into an empty one, where nobody has a role yet: by
    whoever holds the root, and the audit chain begins anew."""
    if session is None:
        counted = store.restore(installation.db, folder, "home")
        installation.tree.refresh()
        installation.audit.begin_anew("restored into an empty database")
        installation.audit.append("house.restored", "house", folder=folder.name, counted=counted)
        return counted
    with installation.gate.open(session, "administer", "house", "restore"):
        counted = store.restore(installation.db, folder, session.tenant)
        for build in store.all_builds(installation.db):
            store.drop_index_tables(installation.db, str(build["id"]))
            store.drop_build(installation.db, str(build["id"]), installation.shards)
    installation.audit.append("house.restored", "house", actor=session.who, folder=folder.name, counted=counted)
    installation.gate.versions.look_again()
    return counted


def rotate(installation: Installation, session: Session) -> int:
    """A new root and new node keys; backups get today's keys, so that they go on opening."""
    with installation.gate.open(session, "administer", "house", "rotation"):
        count = installation.tree.rotate()
        installation.escrow.sweep()
        for row in store.backups(installation.db):
            store.refresh_keys(installation.db, Path(str(row["folder"])), session.tenant)
        return count


def recover_root(installation: Installation, escrow_private: bytes) -> None:
    """Puts the escrowed root back in its place, by the private half that was kept off the machine."""
    root = installation.escrow.recover(escrow_private)
    if installation.tree.keeper.get() is not None:
        raise DescriptionError("there is a root already. Move it away first, if it really is the wrong one.")
    installation.tree.keeper.put(root)
    installation.tree.refresh()
