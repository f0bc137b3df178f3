"""Comparison of the search index of resources with the documents that it was built from."""

from dataclasses import dataclass, field

import sqlalchemy as sa

from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource
from galenic.store.documents import StoredDocument
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.resource_index import ResourceIndex
from galenic.store.resources import versions_at
from galenic.store.tables import documents

ROWS = 10_000  # compared in one batch
ENVELOPE = "Bundle"  # type of documents with the parts of an imported Bundle beside its resources: not indexed


@dataclass
class IndexComparison:
    """Differences between stored versions and the index, by row. stored, indexed: number of versions; missing: not in the
    index; extra: only in the index; outdated: wrong state or patient in the index; unreadable: stored with a key that does
    not exist; waiting: stored but not yet due for the index."""

    stored: int = 0
    indexed: int = 0
    missing: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    outdated: list[int] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    waiting: int = 0

    @property
    def is_consistent(self) -> bool:
        """True if searches find exactly the stored versions."""
        return not (self.missing or self.extra or self.outdated)


def compare_index(db: Database, grant: AbstractGrant, known: Dataset, index: ResourceIndex) -> IndexComparison:
    """Compares the index with the documents in all rows that it should contain, in bounded memory."""
    name = str(known["name"])
    require_grant(grant, resource(name), "index")
    found, through, d = IndexComparison(), index.through(), documents.c
    for first in range(0, max(through, index.newest() + 1), ROWS):
        query = sa.select(d.row, d.subject, d.current).where((d.dataset == name) & (d.row >= first) & (d.row < first + ROWS))
        indexed = states_of(index, first, first + ROWS)  # read before the documents, so that indexed versions are stored
        with db.reading(grant.tenant) as c:
            stored = {int(row): (int(subject), bool(current)) for row, subject, current in c.execute(query)}
        found.stored, found.indexed = found.stored + len(stored), found.indexed + len(indexed)
        found.extra += [row for row in indexed if row not in stored]
        found.outdated += [row for row, state in indexed.items() if row in stored and stored[row] != state]
        _add_absent(db, grant, known, found, [r for r in stored if r not in indexed and r < through])
    with db.reading(grant.tenant) as c:
        rows = sa.select(sa.func.count()).where((d.dataset == name) & (d.row >= through))
        found.waiting = int(c.execute(rows).scalar_one())
    return found


def _add_absent(db: Database, grant: AbstractGrant, known: Dataset, found: IndexComparison, absent: list[int]) -> None:
    """Adds rows that are not in the index to those that should be, unless they are envelopes of Bundles or cannot be read."""
    readable = {stored.row: stored for stored, _ in versions_at(db, grant, known, absent)}
    found.missing += [row for row in absent if row in readable and not is_envelope(readable[row])]
    found.unreadable += [row for row in absent if row not in readable]
    found.stored -= len([row for row in absent if row in readable and is_envelope(readable[row])])


def is_envelope(stored: StoredDocument) -> bool:
    """True if a document contains the parts of an imported Bundle beside its resources, which is not a resource itself."""
    return stored.type == ENVELOPE and "served" not in stored.about


def states_of(index: ResourceIndex, first: int, last: int) -> dict[int, tuple[int, bool]]:
    """(subject, whether it is current) of each version in rows `first` to before `last` of an index."""
    with index.writing() as c:
        found = c.execute("SELECT row, subject, live FROM res WHERE row >= ? AND row < ?", (first, last)).fetchall()
    return {int(row): (int(subject), bool(live)) for row, subject, live in found}


def drop_versions(index: ResourceIndex, rows: list[int]) -> None:
    """Removes versions from an index."""
    with index.writing() as c:
        for table in ("res", "token", "link", "text", "label", "span", "amount"):
            c.executemany(f"DELETE FROM {table} WHERE row = ?", [(row,) for row in rows])  # noqa: S608


def is_checked(index: ResourceIndex) -> bool:
    """True if an index was compared with the documents by a version of Galenic that does not miss rows of other processes."""
    with index.writing() as c:
        return c.execute("SELECT 1 FROM state WHERE name = 'checked'").fetchone() is not None


def mark_checked(index: ResourceIndex) -> None:
    """Marks an index as compared with the documents."""
    with index.writing() as c:
        c.execute("INSERT OR REPLACE INTO state VALUES ('checked', 1)")
