"""Patients of the database that can be read with the available keys; one encrypted row of each is opened to check."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import StoreError
from galenic.store.cells import bind, open_cells
from galenic.store.database import Database
from galenic.store.datasets import list_datasets, schema_of
from galenic.store.documents import NO_SUBJECT
from galenic.store.tables import originals

RecordKeys = Callable[[list[int]], dict[int, bytes]]
"""The record keys of subjects, as far as they can be opened."""
BATCH = 2_000  # patients


def readable_patients(db: Database, tenant: str, keys: RecordKeys) -> tuple[int, int]:
    """(patients with rows, patients whose first row in each data set can be decrypted)."""
    there: set[int] = set()
    closed: set[int] = set()
    for dataset in list_datasets(db, tenant):
        name = str(dataset["name"])
        first = bind(name, [(0, schema_of(dataset).names[0])])
        for rows in _first_rows(db, tenant, name):
            found = keys([r[1] for r in rows])
            for row, subject, cells in rows:
                there.add(subject)
                if subject not in found or not _opens(AESGCM(found[subject]), name, (row, subject), first, cells):
                    closed.add(subject)
    return len(there), len(there - closed)


def _first_rows(db: Database, tenant: str, dataset: str) -> Iterator[list[tuple[int, int, bytes]]]:
    """(row, subject, cells) of the first row of each patient."""
    o = originals.c
    first = sa.select(sa.func.min(o.row).label("row")).where((o.dataset == dataset) & (o.subject != NO_SUBJECT))
    found = first.group_by(o.subject).subquery()
    query = sa.select(o.row, o.subject, o.cells).where(o.dataset == dataset).join(found, found.c.row == o.row)
    with db.reading(tenant) as c:
        for part in c.execute(query.execution_options(yield_per=BATCH)).partitions():
            yield [(int(r[0]), int(r[1]), bytes(r[2])) for r in part]


def _opens(key: AESGCM, dataset: str, place: tuple[int, int], first: list[tuple[int, bytes]], cells: bytes) -> bool:
    try:
        open_cells(key, dataset, *place, first, cells)
    except StoreError:
        return False
    return True


def patients_in_backup(folder: Path) -> list[int]:
    """The subject ids in a backup."""
    with pa.ipc.open_file(folder / "subjects.arrow") as reader:
        return [int(s) for i in range(reader.num_record_batches) for s in reader.get_batch(i).column("id").to_pylist()]
