"""An erased patient leaves the index of resources: a copy without the patient under another key, and the old key destroyed."""

import contextlib

from galenic import store
from galenic.errors import KeyGone, StoreError
from galenic.flows.custody import drop
from galenic.flows.house import House
from galenic.security import BUILDS, Pass

KIND = "resources"  # of builds


def forget_in_indexes(house: House, handle: Pass, subject: int) -> list[str]:
    """Makes every index of resources anew without a subject; returns those that were dropped. One that can not be read is dropped
    alone: it is made of the documents again."""
    dropped = []
    for build in store.all_builds(house.db, kind=KIND):
        old, name = str(build["id"]), str(build["dataset"])
        place = house.shards / f"{old}.db"
        if place.exists():
            with contextlib.suppress(StoreError, KeyGone):
                _without(house, handle, name, old, subject)
        drop(house, old)
        dropped.append(old)
    return dropped


def _without(house: House, handle: Pass, name: str, old: str, subject: int) -> None:
    index = store.ResourceIndex(house.shards / f"{old}.db", handle.build_key(old))
    try:
        made, number = store.next_build(house.db, KIND, name)
        house.tree.add([BUILDS + number])
        index.copy_without(subject, house.shards / f"{made}.db", handle.build_key(made))
    finally:
        index.close()
    store.finish_build(house.db, made, {"files": files_of(made)})


def files_of(build: str) -> list[str]:
    """The files of one index."""
    return [f"{build}.db", f"{build}.db-wal", f"{build}.db-shm"]
