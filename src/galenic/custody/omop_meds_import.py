"""Import of OMOP and MEDS: each patient's rows of a table become one document, encrypted with the patient's key."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from galenic import store
from galenic.custody.datasets import describe_dataset
from galenic.custody.importer import ColumnDifferences, ImportRequest, ImportResult
from galenic.errors import RecordError
from galenic.installation import Installation
from galenic.records import Omop, by_subject, pack, read_codes_whole, read_whole
from galenic.schema import Progress, no_progress
from galenic.security import Grant, Session

BATCH_DOCUMENTS = 500  # documents that are stored together
CHUNK_ROWS = 10_000  # rows about no patient in one document
PART_BYTES = 256 * 2**20  # bytes of input that are sorted by patient at once


@dataclass(frozen=True)
class DocumentRows:
    """Rows to store as one document. person: the patient's id, "" for rows about no patient."""

    person: str
    kind: str
    id: str
    rows: pa.Table
    about: dict[str, Any] = field(default_factory=dict)


def import_omop(
    installation: Installation, session: Session, place: Path, request: ImportRequest, *, progress: Progress = no_progress
) -> ImportResult:
    """Imports OMOP CDM 5.3 or 5.4 (a folder of CSV or Parquet files, a DuckDB file) and compares its columns with the standard.

    Documents that are already stored are skipped, so an interrupted import can be repeated.
    """
    source = Omop(place)
    result = ImportResult(request.dataset)
    size = sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) if place.is_dir() else place.stat().st_size
    try:
        for table in source.tables:
            source.compare_columns(table)
            report = source.report[table]
            result.columns[table] = ColumnDifferences(report.absent, report.unknown)
        documents = _omop_documents(source, result, -(-size // PART_BYTES), progress)
        _DocumentImport(installation, session, request, result, "omop").run(documents)
    finally:
        source.close()
    return result


def _omop_documents(source: Omop, result: ImportResult, parts: int, progress: Progress) -> Iterator[DocumentRows]:
    tables = sorted(source.tables)
    for number, table in enumerate(tables):
        progress("importing", number / len(tables))
        if source.has_persons(table):
            yield from _person_documents(source, table, result, parts)
        else:
            yield from _shared_documents(source, table, result)


def _shared_documents(source: Omop, table: str, result: ImportResult) -> Iterator[DocumentRows]:
    """Documents of a table about no person: vocabulary, care sites."""
    for number, rows in enumerate(source.rows(table)):
        for start in range(0, rows.num_rows, CHUNK_ROWS):
            chunk = rows.slice(start, CHUNK_ROWS)
            result.seen[table] += chunk.num_rows
            yield DocumentRows("", table, f"{number}-{start}", chunk)


def _person_documents(source: Omop, table: str, result: ImportResult, parts: int) -> Iterator[DocumentRows]:
    for part in range(parts):
        for person, rows in source.persons(table, part, parts):
            if person:
                result.seen[table] += rows.num_rows
                yield DocumentRows(person, table, person, rows)
            else:
                result.left_out.setdefault(table, {})["rows without a person, left out"] = rows.num_rows


def import_meds(
    installation: Installation, session: Session, place: Path, request: ImportRequest, *, progress: Progress = no_progress
) -> ImportResult:
    """Imports a MEDS data set: events by subject, codes with their descriptions and parents."""
    result = ImportResult(request.dataset)
    documents = _meds_documents(place, result, progress)
    _DocumentImport(installation, session, request, result, "meds").run(documents)
    return result


def _meds_documents(place: Path, result: ImportResult, progress: Progress) -> Iterator[DocumentRows]:
    codes = read_codes_whole(place)
    for start in range(0, codes.num_rows, CHUNK_ROWS):
        yield DocumentRows("", "codes", str(start), codes.slice(start, CHUNK_ROWS), _schema(codes.schema))
    files = read_whole(place)
    for number, (where, table) in enumerate(files):
        progress("importing", number / max(len(files), 1))
        result.seen["data"] += table.num_rows
        for subject, rows in by_subject(table, "subject_id"):
            yield DocumentRows(subject, "events", f"{where}/{subject}", rows, _schema(rows.schema))


def _schema(schema: pa.Schema) -> dict[str, Any]:
    return {"columns": [[f.name, str(f.type)] for f in schema]}


class _DocumentImport:
    """An import of documents in progress."""

    def __init__(
        self, installation: Installation, session: Session, request: ImportRequest, result: ImportResult, kind: str
    ) -> None:
        self.installation, self.session, self.request, self.result, self.kind = installation, session, request, result, kind
        self._dataset: store.Dataset | None = None
        self._subjects: set[int] = set()

    def run(self, documents: Iterator[DocumentRows]) -> None:
        """Stores the documents in batches. Raise RecordError if there are no rows."""
        resource = store.resource(self.request.dataset)
        with self.installation.gate.open(self.session, "import", resource, "records") as grant:
            waiting: list[DocumentRows] = []
            for document in documents:
                waiting.append(document)
                if len(waiting) >= BATCH_DOCUMENTS:
                    self._store(grant, waiting)
                    waiting = []
            if waiting:
                self._store(grant, waiting)
        self.result.patients = len(self._subjects)
        self.installation.gate.versions.refresh()
        if not self.result.seen.total():
            raise RecordError("the file has no rows. Expected at least one.")

    def _register(self, grant: Grant) -> store.Dataset:
        """Data set of the import, which is registered after the first batch was read without an error."""
        if self._dataset is None:
            request = self.request
            row: store.Row = {"name": request.dataset, "region": request.region, "label": request.label, "patient": ""}
            row |= {"kind": self.kind, "ids": request.namespace}
            self._dataset = describe_dataset(self.installation, grant, row, store.SCHEMA)
        return self._dataset

    def _store(self, grant: Grant, documents: list[DocumentRows]) -> None:
        """Encrypts and stores one batch durably."""
        db, dataset, namespace = self.installation.db, self._register(grant), self.request.namespace
        identifiers = {d.person: f"{namespace}|{d.person}" if namespace else d.person for d in documents if d.person}
        subjects, erased = store.assign_subjects(db, grant, dataset, list(identifiers.values()))
        admitted = [d for d in documents if identifiers.get(d.person) not in erased]
        incoming = []
        for document in admitted:
            text = pack(document.rows)
            subject = subjects[identifiers[document.person]] if document.person else store.NO_SUBJECT
            digest = sha256(text.encode()).hexdigest()
            incoming.append(store.IncomingDocument(subject, document.kind, document.id, digest, document.about, text))
        new = store.write_documents(db, grant, dataset, incoming)
        self.result.erased += len(documents) - len(admitted)
        self.result.new += new
        self.result.already_stored += len(incoming) - new
        self._subjects |= {i.subject for i in incoming if i.subject != store.NO_SUBJECT}
