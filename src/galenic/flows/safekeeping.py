"""Backup, restore, rotation: what a security officer does."""

from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import DescriptionError
from galenic.flows.house import House
from galenic.security import Session


def backup(house: House, session: Session, folder: Path) -> dict[str, Any]:
    """Writes a backup: sealed records, and beside them the keys, which are useless without the root."""
    with house.gate.open(session, "administer", "house", "backup") as handle:
        handle.to = str(folder)
        return store.backup(house.db, folder, session.tenant)


def restore(house: House, folder: Path, session: Session | None = None) -> dict[str, int]:
    """Brings records back. Into a living installation: past the gate. Into an empty one, where nobody has a role yet: by
    whoever holds the root, and the audit chain begins anew."""
    if session is None:
        counted = store.restore(house.db, folder, "home")
        house.tree.refresh()
        house.audit.begin_anew("restored into an empty database")
        house.audit.append("house.restored", "house", folder=folder.name, counted=counted)
        return counted
    with house.gate.open(session, "administer", "house", "restore"):
        counted = store.restore(house.db, folder, session.tenant)
        for build in store.all_builds(house.db):
            store.drop_index_tables(house.db, str(build["id"]))
            store.drop_build(house.db, str(build["id"]), house.shards)
    house.audit.append("house.restored", "house", actor=session.who, folder=folder.name, counted=counted)
    house.gate.versions.look_again()
    return counted


def rotate(house: House, session: Session) -> int:
    """A new root and new node keys; backups get today's keys, so that they go on opening."""
    with house.gate.open(session, "administer", "house", "rotation"):
        count = house.tree.rotate()
        house.escrow.sweep()
        for row in store.backups(house.db):
            store.refresh_keys(house.db, Path(str(row["folder"])), session.tenant)
        return count


def recover_root(house: House, escrow_private: bytes) -> None:
    """Puts the escrowed root back in its place, by the private half that was kept off the machine."""
    root = house.escrow.recover(escrow_private)
    if house.tree.keeper.get() is not None:
        raise DescriptionError("there is a root already. Move it away first, if it really is the wrong one.")
    house.tree.keeper.put(root)
    house.tree.refresh()
