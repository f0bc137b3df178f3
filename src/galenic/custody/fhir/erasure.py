"""An erased patient leaves the index of resources: a copy without the patient under another key, and the old key destroyed."""

import contextlib

from galenic import store
from galenic.custody.search_index import drop_index
from galenic.errors import KeyErasedError, StoreError
from galenic.installation import Installation
from galenic.security import BUILDS, Grant

KIND = "resources"  # of builds


def forget_in_indexes(installation: Installation, handle: Grant, subject: int) -> list[str]:
    """Makes every index of resources anew without a subject; returns those that were dropped. One that can not be read is dropped
    alone: it is made of the documents again."""
    dropped = []
    for build in store.all_builds(installation.db, kind=KIND):
        old, name = str(build["id"]), str(build["dataset"])
        place = installation.shards / f"{old}.db"
        if place.exists():
            with contextlib.suppress(StoreError, KeyErasedError):
                _without(installation, handle, name, old, subject)
        drop_index(installation, old)
        dropped.append(old)
    return dropped


def _without(installation: Installation, handle: Grant, name: str, old: str, subject: int) -> None:
    index = store.ResourceIndex(installation.shards / f"{old}.db", handle.build_key(old))
    try:
        made, number = store.next_build(installation.db, KIND, name)
        installation.tree.add([BUILDS + number])
        index.copy_without(subject, installation.shards / f"{made}.db", handle.build_key(made))
    finally:
        index.close()
    store.finish_build(installation.db, made, {"files": files_of(made)})


def files_of(build: str) -> list[str]:
    """The files of one index."""
    return [f"{build}.db", f"{build}.db-wal", f"{build}.db-shm"]
