"""Erasure from the search indexes of resources: a copy without the patient with a new key; the old key is destroyed."""

import contextlib

from galenic import store
from galenic.custody.search_index import drop_index
from galenic.errors import KeyErasedError, MissingExtraError, StoreError
from galenic.installation import Installation
from galenic.schema import ErasureOutcome
from galenic.security import BUILDS, Grant

KIND = "resources"  # of builds


def forget(installation: Installation, grant: Grant, subject: int) -> tuple[ErasureOutcome, ...]:
    """Rebuilds every index of resources without a subject. An unreadable index is deleted and rebuilt from the documents later."""
    outcomes = []
    for build in store.list_builds(installation.db, kind=KIND):
        build_id, dataset = str(build["id"]), str(build["dataset"])
        copied = False
        if (installation.shards / f"{build_id}.db").exists():
            with contextlib.suppress(StoreError, KeyErasedError):
                _copy_without(installation, grant, dataset, build_id, subject)
                copied = True
        drop_index(installation, build_id)
        left = "NOT DELETED: delete its files yourself" if (installation.shards / f"{build_id}.db").exists() else "deleted"
        then = "replaced by a copy without the patient" if copied else "rebuilt from the documents at the next start"
        outcomes.append(ErasureOutcome(build_id, "index", "inside", f"{left}; {then}"))
    return tuple(outcomes)


def count_references(installation: Installation, grant: Grant, subject: int) -> dict[str, int | None]:
    """By data set, the number of other patients' documents that refer to a subject and remain; None without a search index."""
    builds = {str(b["dataset"]): str(b["id"]) for b in store.list_builds(installation.db, kind=KIND)}
    names = [str(d["name"]) for d in store.list_datasets(installation.db, grant.tenant) if d["kind"] == "fhir"]
    return {name: _count_in(installation, grant, builds.get(name, ""), subject) for name in names}


def _count_in(installation: Installation, grant: Grant, build_id: str, subject: int) -> int | None:
    place = installation.shards / f"{build_id}.db"
    if not build_id or not place.exists():
        return None
    try:
        with contextlib.closing(store.ResourceIndex(place, grant.build_key(build_id), is_new=False)) as index:
            return index.count_references(subject)
    except (StoreError, KeyErasedError, MissingExtraError):
        return None


def _copy_without(installation: Installation, grant: Grant, dataset: str, build_id: str, subject: int) -> None:
    index = store.ResourceIndex(installation.shards / f"{build_id}.db", grant.build_key(build_id), is_new=False)
    try:
        copy_id, number = store.next_build(installation.db, KIND, dataset)
        installation.tree.add([BUILDS + number])
        index.copy_without(subject, installation.shards / f"{copy_id}.db", grant.build_key(copy_id))
    finally:
        index.close()
    store.finish_build(installation.db, copy_id, {"files": files_of(copy_id)})


def files_of(build: str) -> list[str]:
    """The files of one index."""
    return [f"{build}.db", f"{build}.db-wal", f"{build}.db-shm"]
