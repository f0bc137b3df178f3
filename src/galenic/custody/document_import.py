"""OMOP and MEDS go into custody: each person's rows of a table as one document under that person's key."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from galenic import store
from galenic.custody.datasets import describe_dataset
from galenic.errors import RecordError
from galenic.installation import Installation
from galenic.records import Omop, columnar, read_codes_whole, read_whole
from galenic.schema import Progress, no_progress
from galenic.security import Grant, Session

TOGETHER = 500  # documents that become durable together
CHUNK = 10_000  # rows of nobody's that make one document
PART = 256 * 2**20  # bytes of input that are ordered by person at once


@dataclass(frozen=True)
class Document:
    """Rows on their way in. person: whose, "" for nobody's."""

    person: str
    kind: str
    id: str
    rows: pa.Table
    about: dict[str, Any] = field(default_factory=dict)


@dataclass
class Taken:
    """What an import did. rows: of each table; new, again: documents; people: persons with rows here; counted: what was left
    out or is doubtful, by table and reason; absent, strange: columns that the standard has, or has not."""

    dataset: str
    rows: Counter[str] = field(default_factory=Counter)
    new: int = 0
    again: int = 0
    people: int = 0
    erased: int = 0
    counted: dict[str, dict[str, int]] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)
    strange: dict[str, list[str]] = field(default_factory=dict)


def import_omop(
    installation: Installation, session: Session, place: Path, name: str, *,
    ids: str | None = None, label: str = "clinical", region: str = "", progress: Progress = no_progress,
) -> Taken:  # fmt: skip
    """Brings OMOP CDM 5.3 or 5.4 (a folder of CSV or Parquet files, a DuckDB file) into custody, with a report of its columns.

    What is here already is passed over, so an import that was cut short is simply run again.
    """
    source = Omop(place)
    done = Taken(name)
    size = sum(f.stat().st_size for f in place.rglob("*") if f.is_file()) if place.is_dir() else place.stat().st_size
    try:
        for table in source.tables:
            source.look(table)
            report = source.report[table]
            done.absent[table], done.strange[table] = report.absent, report.strange
        _take(installation, session, done, _omop(source, done, -(-size // PART), progress), "omop", ids, label, region)
    finally:
        source.close()
    return done


def _omop(source: Omop, done: Taken, parts: int, progress: Progress) -> Iterator[Document]:
    tables = sorted(source.tables)
    for number, table in enumerate(tables):
        progress("importing", number / len(tables))
        if not source.has_persons(table):
            for chunk, rows in enumerate(source.rows(table)):
                for start in range(0, rows.num_rows, CHUNK):
                    part = rows.slice(start, CHUNK)
                    done.rows[table] += part.num_rows
                    yield Document("", table, f"{chunk}-{start}", part)
            continue
        for at in range(parts):
            for person, rows in source.persons(table, at, parts):
                if person:
                    done.rows[table] += rows.num_rows
                    yield Document(person, table, person, rows)
                else:
                    done.counted.setdefault(table, {})["rows without a person, left out"] = rows.num_rows


def import_meds(
    installation: Installation, session: Session, place: Path, name: str, *,
    ids: str | None = None, label: str = "clinical", region: str = "", progress: Progress = no_progress,
) -> Taken:  # fmt: skip
    """Brings a MEDS data set into custody: events by subject, codes with their descriptions and parents."""
    done = Taken(name)
    _take(installation, session, done, _meds(place, done, progress), "meds", ids, label, region)
    return done


def _meds(place: Path, done: Taken, progress: Progress) -> Iterator[Document]:
    codes = read_codes_whole(place)
    for start in range(0, codes.num_rows, CHUNK):
        yield Document("", "codes", str(start), codes.slice(start, CHUNK), _schema(codes.schema))
    files = read_whole(place)
    for number, (where, table) in enumerate(files):
        progress("importing", number / max(len(files), 1))
        done.rows["data"] += table.num_rows
        for subject, rows in columnar.by_subject(table, "subject_id"):
            yield Document(subject, "events", f"{where}/{subject}", rows, _schema(rows.schema))


def _schema(schema: pa.Schema) -> dict[str, Any]:
    return {"columns": [[f.name, str(f.type)] for f in schema]}


def _take(
    installation: Installation,
    session: Session,
    done: Taken,
    documents: Iterator[Document],
    kind: str,
    ids: str | None,
    label: str,
    region: str,
) -> None:
    whose_ids = done.dataset if ids is None else ids
    people: set[int] = set()
    with installation.gate.open(session, "import", store.resource(done.dataset), "records") as handle:
        known: store.Dataset | None = None
        waiting: list[Document] = []

        def keep() -> None:
            nonlocal known
            if not waiting:
                return
            if known is None:  # nothing is written down before something was read well
                row: dict[str, object] = {"name": done.dataset, "region": region, "label": label, "patient": ""}
                known = describe_dataset(installation, handle, {**row, "kind": kind, "ids": whose_ids}, store.SCHEMA)
            people.update(_keep(installation, handle, known, done, waiting, whose_ids))
            waiting.clear()

        for document in documents:
            waiting.append(document)
            if len(waiting) >= TOGETHER:
                keep()
        keep()
    done.people = len(people)
    installation.gate.versions.look_again()
    if not done.rows.total():
        raise RecordError("there is no row in it. Expected at least one.")


def _keep(
    installation: Installation, handle: Grant, known: store.Dataset, done: Taken, documents: list[Document], ids: str
) -> set[int]:
    """Seals one lot of documents, durably; returns whose they are."""
    called = {d.person: f"{ids}|{d.person}" if ids else d.person for d in documents if d.person}
    subjects, gone = store.admit(installation.db, handle, known, list(called.values()))
    kept = [d for d in documents if called.get(d.person) not in gone]
    done.erased += len(documents) - len(kept)
    incoming = []
    for d in kept:
        text = columnar.pack(d.rows)
        subject = subjects[called[d.person]] if d.person else store.NO_SUBJECT
        incoming.append(store.IncomingDocument(subject, d.kind, d.id, sha256(text.encode()).hexdigest(), d.about, text))
    new = store.write_documents(installation.db, handle, known, incoming)
    done.new += new
    done.again += len(incoming) - new
    return {i.subject for i in incoming if i.subject != store.NO_SUBJECT}
