"""Check of the search index of a data set: whether a search finds what is stored."""

from dataclasses import dataclass

from galenic import store
from galenic.custody.fhir import repository_as_it_is
from galenic.custody.service_accounts import server_session
from galenic.errors import StateError
from galenic.installation import Installation


@dataclass(frozen=True)
class IndexCheck:
    """Result of a check. comparison: of the rows before a repair; repaired: whether the differences were removed; advice: what to do
    now, "" for nothing."""

    dataset: str
    comparison: store.IndexComparison
    repaired: bool
    advice: str

    @property
    def is_consistent(self) -> bool:
        """Whether a search now finds what is stored, and nothing else."""
        return self.repaired or self.comparison.is_consistent


def check_index(installation: Installation, name: str, *, repair: bool = False) -> IndexCheck:
    """Compares the index of a data set with what is stored; with `repair`, removes the differences. It shows rows, and no patient's
    data. StateError if the data set has no index."""
    session = server_session(installation)
    dataset = store.dataset(installation.db, name, session.tenant)
    if dataset["kind"] == "table":
        return _check_table(installation, dataset)
    builds = store.list_builds(installation.db, name, "resources")
    if not any((installation.shards / f"{b['id']}.db").exists() for b in builds):
        raise StateError(f"data set {name!r} has no search index of resources. The server makes it: galenic serve")
    repository = repository_as_it_is(installation, session, name)
    try:
        found = repository.compare()
        repaired = repair and not found.is_consistent
        if repaired:
            repository.repair(found)
            repository.catch_up()
            after = repository.compare()
            if not after.is_consistent:
                return IndexCheck(name, after, False, _advice(name, after))
    finally:
        repository.close()
    return IndexCheck(name, found, repaired, "" if repaired else _advice(name, found))


def _advice(name: str, found: store.IndexComparison) -> str:
    if not found.is_consistent:
        return f"Searches miss or show other resources than are stored. Repair the index: galenic index check {name} --repair"
    if found.unreadable:
        return (
            "Documents without a key can be read by nobody. Restore a backup from before their keys were lost: galenic restore"
        )
    return ""


def _check_table(installation: Installation, dataset: store.Dataset) -> IndexCheck:
    """A table's index is a build of the rows that were there: rows that came later are missing."""
    name = str(dataset["name"])
    builds = [b for b in store.list_builds(installation.db, name, "index") if b["detail"]]
    if not builds:
        raise StateError(f"data set {name!r} has no index. Build one: galenic index build {name}")
    detail, rows = builds[-1]["detail"], int(str(dataset["next_row"]))
    through = int(detail.get("through", rows))
    found = store.IndexComparison(rows, int(detail["rows"]), missing=list(range(through, rows)))
    advice = (
        ""
        if found.is_consistent
        else f"Rows were imported after the index was built. Build it again: galenic index build {name}"
    )
    return IndexCheck(name, found, False, advice)
