"""Search index over the rows of a data set: build, search, drop."""

from typing import Any

from galenic import store
from galenic.errors import StateError
from galenic.installation import Installation
from galenic.security import BUILDS, Session

Condition = tuple[str, str, str]
"""Column, operator and value."""


def build_index(
    installation: Installation, session: Session, name: str, purpose: str, *, codes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Builds the search index of a data set and drops the previous one. codes: text columns that hold codes."""
    dataset = store.dataset(installation.db, name, session.tenant)
    previous = store.list_builds(installation.db, name, "index")
    with installation.gate.open(session, "index", store.resource(name), purpose) as grant:
        build, number = store.next_build(installation.db, "index", name)
        installation.tree.add([BUILDS + number])
        try:
            detail = store.build_index(installation.db, grant, dataset, build, installation.shards, codes=codes)
        except BaseException:
            drop_index(installation, build)  # the previous index stays in use
            raise
        artifact: store.Row = {"id": build, "kind": "index", "made_from": f"table/{name}"}
        store.add_artefact(installation.db, artifact, store.subjects_of(installation.db, grant, name))
    for row in previous:
        drop_index(installation, str(row["id"]))
    return {"build": build, **detail}


def drop_index(installation: Installation, build: str) -> None:
    """Deletes a build: its files, its tables and its key."""
    store.drop_index_tables(installation.db, build)
    store.drop_build(installation.db, build, installation.shards)
    (installation.shards / f"{build}.db").unlink(missing_ok=True)  # of an unfinished build
    installation.tree.drop(BUILDS + int(build.rpartition("-")[2]))
    store.set_state(installation.db, build, "gone")


def search_rows(
    installation: Installation,
    session: Session,
    name: str,
    purpose: str,
    conditions: list[Condition],
    *,
    limit: int = 100,
) -> list[dict[str, object]]:
    """Rows that match all conditions, among those that the session may see for the purpose."""
    dataset = store.dataset(installation.db, name, session.tenant)
    builds = [b for b in store.list_builds(installation.db, name, "index") if b["detail"]]  # finished ones
    if not builds:
        raise StateError(f"data set {name!r} has no index. Build one: galenic records index build {name}")
    last = builds[-1]
    added = int(str(dataset["next_row"])) - int(last["detail"].get("through", dataset["next_row"]))
    if added:
        raise StateError(
            f"{added:,} rows were imported after the index of {name!r} was built, so searches would miss them. Build it "
            f"again: galenic records index build {name}"
        )
    index = store.SearchIndex(dataset, str(last["id"]), last["detail"], installation.shards)
    with installation.gate.open(session, "search", store.resource(name), purpose) as grant:
        return store.search(installation.db, grant, index, conditions, limit)
