"""Import of a table, batch by batch. Each cell is encrypted with the key of the row's patient."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from galenic import records, store
from galenic.custody.datasets import describe_dataset
from galenic.custody.importer import ALL_ROWS, ImportRequest, ImportResult, RowRange
from galenic.errors import OptionError, RecordError
from galenic.installation import Installation
from galenic.records import Source
from galenic.schema import Progress, no_progress
from galenic.security import Grant, Session

IMPORT_ROWS = 2_000  # of a batch
STORED_TYPES = frozenset(("int64", "double", "bool", "string", "date32[day]", "timestamp[us]"))


def import_table(
    installation: Installation,
    session: Session,
    source: Source,
    request: ImportRequest,
    *,
    rows: RowRange = ALL_ROWS,
    progress: Progress = no_progress,
) -> ImportResult:
    """Imports rows of a table. An import that stops early keeps the batches that it has written.

    Rows of erased patients are left out and counted. They can be imported again only after a new consent.
    """
    if request.patient not in source.names:
        raise OptionError(
            f"column {request.patient!r} does not exist in {source.name}; it has {list(source.names)}. Name the patient column."
        )
    mapping = records.read_mapping(request.mapping, source.names).toml if request.mapping else ""
    total = max(source.count(), 1)
    with installation.gate.open(session, "import", store.resource(request.dataset), "records") as grant:
        running = _TableImport(
            installation, grant, request, {c.name: c.kind for c in records.describe(source)}, mapping, rows.skip
        )
        for first, batch in _batches(source, rows):
            running.add(_storable(batch), first)
            progress("sealing", running.result.new / total)
    installation.gate.versions.refresh()
    return running.finish()


@dataclass
class _TableImport:
    """Import of a table in progress. mapping: TOML; skip: number of rows to skip because they are already stored."""

    installation: Installation
    grant: Grant
    request: ImportRequest
    kinds: dict[str, str]
    mapping: str
    skip: int
    result: ImportResult = field(init=False)
    dataset: store.Dataset | None = None
    patients: set[int] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.result = ImportResult(self.request.dataset)

    def add(self, batch: pa.Table, first: int) -> None:
        """Stores one batch; `first` is the number of its first row in the file."""
        db, name = self.installation.db, self.request.dataset
        identifiers = _identifiers(
            batch, self.request.patient, first, self.result.new
        )  # before a data set is created for a refused table
        if self.dataset is None:
            row: store.Row = {
                "name": name,
                "region": self.request.region,
                "label": self.request.label,
                "patient": self.request.patient,
                "mapping": self.mapping,
            }
            self.dataset = describe_dataset(self.installation, self.grant, row, batch.schema, self.kinds)
        subjects, erased = store.assign_subjects(db, self.grant, self.dataset, identifiers)
        admitted = [i for i, v in enumerate(identifiers) if v in subjects]
        self.erased |= erased
        self.result.erased += len(identifiers) - len(admitted)
        skip, self.skip = self.skip, max(self.skip - len(admitted), 0)
        rows = admitted[skip:]
        row_subjects = [subjects[identifiers[i]] for i in rows]
        if rows:
            self.result.new += store.write(db, self.grant, self.dataset, batch.take(pa.array(rows)), row_subjects)
            store.add_artefact(db, {"id": f"table/{name}", "kind": "table", "made_from": ""}, row_subjects)
        self.patients |= set(row_subjects)

    def finish(self) -> ImportResult:
        """The counts of the whole import."""
        self.result.seen = Counter({"rows": self.result.new + self.result.erased})
        self.result.patients = len(self.patients)
        self.result.erased_patients = len(self.erased)
        return self.result


def _batches(source: Source, rows: RowRange) -> Iterator[tuple[int, pa.Table]]:
    """(number of the first row in the file, rows) of each batch within the range."""
    for offset, raw in source.raw():
        for start in range(0, raw.num_rows, IMPORT_ROWS):
            batch = raw.slice(start, IMPORT_ROWS)
            number = offset + start
            first = max(rows.start - number, 0)
            last = batch.num_rows if rows.stop is None else min(rows.stop - number, batch.num_rows)
            if first < last:
                yield number + first, batch.slice(first, last - first)


def _identifiers(batch: pa.Table, patient: str, first: int, stored: int) -> list[str]:
    """Patient identifier of each row. Raise RecordError if a row has none."""
    identifiers: list[str | None] = batch[patient].cast(pa.string()).to_pylist()
    empty = next((i for i, v in enumerate(identifiers) if v is None or v == ""), None)
    if empty is not None:
        raise RecordError(
            f"row {first + empty + 1} has no value in the patient column {patient!r}. Every row needs one: fill it in, or "
            f"leave the row out. The {stored} rows before it were imported."
        )
    return [str(v) for v in identifiers]


def _storable(batch: pa.Table) -> pa.Table:
    """The batch in the types of STORED_TYPES; dictionaries, large strings and other types become strings. RecordError for lists."""
    nested = [name for name in batch.column_names if records.is_nested(batch[name].type)]
    if nested:
        raise RecordError(
            f"columns {nested} hold lists, structures or bytes; expected one number, date or text per row. Leave them out, or write one "
            "column for each of their parts."
        )
    return pa.table([_storable_column(c) for c in batch.columns], names=batch.column_names)


def _storable_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return column.cast(pa.timestamp("us"))
    return column if str(kind) in STORED_TYPES else column.cast(pa.string())
