"""Files of the search index of resources: opening, checking for damage, and rebuilding."""

from pathlib import Path

from galenic import store
from galenic.custody.fhir.erasure import KIND, files_of
from galenic.errors import KeyErasedError, StoreError
from galenic.installation import Installation
from galenic.security import BUILDS, Grant, Session


def open_index(installation: Installation, grant: Grant, name: str, *, intact: bool = False) -> store.ResourceIndex:
    """Index of a data set; a new empty one if it cannot be opened. intact: also if any part of its file is damaged."""
    while finished := _finished(
        installation, name
    ):  # read again each time, because an erasure may just have replaced the newest one
        index = _opened(installation, grant, finished[-1], intact=intact)
        if index is not None:
            return index
        for file in files_of(finished[-1]):
            (installation.shards / file).unlink(missing_ok=True)
        store.drop_build(installation.db, finished[-1], installation.shards)
        installation.tree.drop(BUILDS + int(finished[-1].rpartition("-")[2]))
    build_id, number = store.next_build(installation.db, KIND, name)
    installation.tree.add([BUILDS + number])
    store.finish_build(installation.db, build_id, {"files": files_of(build_id)})
    return store.ResourceIndex(_place(installation, build_id), grant.build_key(build_id))


def damaged_index(installation: Installation, session: Session, name: str) -> str:
    """File name of a data set's index if it is damaged or its key is missing; else ""."""
    finished = _finished(installation, name)
    if not finished or not _place(installation, finished[-1]).exists():
        return ""
    with installation.gate.open(session, "index", store.resource(name), "operations") as grant:
        index = _opened(installation, grant, finished[-1], intact=True)
    if index is None:
        return _place(installation, finished[-1]).name
    index.close()
    return ""


def _finished(installation: Installation, name: str) -> list[str]:
    """The indexes of a data set, oldest first, without those that another process is building."""
    return [str(b["id"]) for b in store.list_builds(installation.db, name, KIND) if b["detail"]]


def _place(installation: Installation, build: str) -> Path:
    return installation.shards / f"{build}.db"


def _opened(installation: Installation, grant: Grant, build: str, *, intact: bool) -> store.ResourceIndex | None:
    """Index of a build; None if it is missing, damaged, or has no key."""
    place = _place(installation, build)
    if not place.exists():
        return None
    try:
        index = store.ResourceIndex(place, grant.build_key(build), is_new=False)
    except (StoreError, KeyErasedError):
        return None
    if intact and not index.is_intact():
        index.close()
        return None
    return index
