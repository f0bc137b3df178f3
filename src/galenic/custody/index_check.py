"""Comparison of the search index of a data set with the stored records."""

from dataclasses import dataclass

from galenic import store
from galenic.custody.fhir import damaged_index, repository_as_it_is
from galenic.custody.service_accounts import short_server_session
from galenic.errors import KeyErasedError, StateError, StoreError
from galenic.installation import Installation
from galenic.security import Session


@dataclass(frozen=True)
class IndexCheck:
    """Result of a check. comparison: differences before a repair; repaired: True if they were removed; advice: next step, ""
    for none; damaged: file that cannot be read to the end, or could not before a repair."""

    dataset: str
    comparison: store.IndexComparison
    repaired: bool
    advice: str
    damaged: str = ""

    @property
    def is_consistent(self) -> bool:
        """True if searches now find exactly the stored records."""
        return self.repaired or (self.comparison.is_consistent and not self.damaged)


def check_index(installation: Installation, name: str, *, repair: bool = False) -> IndexCheck:
    """Compares the index of a data set with the stored records; with `repair`, removes the differences. It reports row numbers,
    but no patient data. Raise StateError if the data set has no index."""
    with short_server_session(installation) as session:
        return _check(installation, session, name, repair)


def _check(installation: Installation, session: Session, name: str, repair: bool) -> IndexCheck:
    dataset = store.dataset(installation.db, name, session.tenant)
    if dataset["kind"] == "table":
        return _check_table(installation, session, dataset)
    builds = store.list_builds(installation.db, name, "resources")
    if not any((installation.shards / f"{b['id']}.db").exists() for b in builds):
        raise StateError(
            f"data set {name!r} has no search index of resources. Start the server, which builds it: galenic serve"
        )
    damaged = damaged_index(installation, session, name)
    if damaged and not repair:
        advice = (
            f"The index file is damaged: {damaged}. Build it again from the records: galenic records index check {name} "
            "--repair"
        )
        return IndexCheck(name, store.IndexComparison(), False, advice, damaged)
    repository = repository_as_it_is(installation, session, name, intact=repair)
    try:
        if damaged:
            repository.catch_up()
        found = repository.compare()
        repaired = bool(damaged) or (repair and not found.is_consistent)
        if repaired and not found.is_consistent:
            repository.repair(found)
            repository.catch_up()
            after = repository.compare()
            if not after.is_consistent:
                return IndexCheck(name, after, False, _advice(name, after))
    finally:
        repository.close()
    return IndexCheck(name, found, repaired, "" if repaired else _advice(name, found), damaged)


def _advice(name: str, found: store.IndexComparison) -> str:
    if not found.is_consistent:
        return f"Searches do not match the stored resources. Repair the index: galenic records index check {name} --repair"
    if found.unreadable:
        return (
            "Documents without a key cannot be read by anybody. Restore a backup from before their keys were lost: galenic "
            "backup restore"
        )
    return ""


def _check_table(installation: Installation, session: Session, dataset: store.Dataset) -> IndexCheck:
    """Compares a table's index with its rows: rows that were imported later are missing."""
    name = str(dataset["name"])
    builds = [b for b in store.list_builds(installation.db, name, "index") if b["detail"]]
    if not builds:
        raise StateError(f"data set {name!r} has no index. Build one: galenic records index build {name}")
    build = str(builds[-1]["id"])
    index = store.SearchIndex(dataset, build, builds[-1]["detail"], installation.shards)
    try:
        with installation.gate.open(session, "index", store.resource(name), "operations") as grant:
            found = store.compare_rows(installation.db, grant, index)
    except (StoreError, KeyErasedError):
        advice = f"The index is damaged: {build}. Build it again: galenic records index build {name}"
        return IndexCheck(name, store.IndexComparison(), False, advice, build)
    advice = (
        ""
        if found.is_consistent
        else f"Rows were imported or erased after the index was built. Build it again: galenic records index build {name}"
    )
    return IndexCheck(name, found, False, advice)
