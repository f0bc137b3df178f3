"""Registry of event readers, which convert the originals of each kind of data set to events."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from galenic import store
from galenic.custody.event_buffer import EventBuffer, EventReader
from galenic.errors import StateError
from galenic.records import VOCABULARY, Omop, as_timeline, events_of, parse_mapping, type_of, unpack, unpack_all
from galenic.schema import TIMELINE

Documents = list[store.StoredDocument]
NUMBERS = re.compile('"value(?:Quantity|Ratio|Range)"')


class TableReader:
    """Reader of table rows, with the table's mapping."""

    def read(self, buffer: EventBuffer) -> Iterator[int]:
        """Converts the rows of the subjects of each batch. StateError if the table has no mapping."""
        dataset = buffer.dataset
        mapping = parse_mapping(str(dataset["mapping"]))
        for subjects, rows, table in store.by_subject(buffer.installation.db, buffer.grant, dataset):
            buffer.put([(subjects[i], *event, rows[i]) for i, event in events_of(mapping, table, buffer.dropped)])
            if subjects:
                yield subjects[-1]


class DocumentReader:
    """Reader of documents. Each reading creates a new converter."""

    def __init__(self, make_converter: Callable[[EventBuffer], Callable[[Documents], None]]) -> None:
        self._make_converter = make_converter

    def read(self, buffer: EventBuffer) -> Iterator[int]:
        """Converts the documents of each batch."""
        convert = self._make_converter(buffer)
        for batch in store.read_documents(buffer.installation.db, buffer.grant, buffer.dataset):
            convert(batch)
            if batch:
                yield batch[-1].subject


class FhirConverter:
    """FHIR resources to events."""

    def __init__(self, buffer: EventBuffer) -> None:
        self.buffer = buffer

    def __call__(self, batch: Documents) -> None:
        """Converts resources about patients."""
        from galenic.records import fhir  # noqa: PLC0415  # its definitions load when they are needed

        buffer, rows = self.buffer, list[tuple[Any, ...]]()
        for document in batch:
            if document.subject == store.NO_SUBJECT or document.type == "Bundle":
                continue
            # exact numbers are parsed only where they become events: parsing them takes longer
            exact = document.type == "Observation" and NUMBERS.search(document.document)
            resource = fhir.parse_exact(document.document.encode()) if exact else orjson.loads(document.document)
            resource.setdefault("id", document.id)
            converted = fhir.resource_to_events(resource, self._find, document.about.get("references", {}))
            if converted.dropped:
                buffer.dropped.update(converted.dropped)
            for event in converted.events:
                rows.append((document.subject, *event, document.row))
                if event.code not in buffer.described:
                    buffer.described[event.code] = fhir.display_of(resource, event.code)
        buffer.put(rows)

    def _find(self, reference: str) -> dict[str, Any] | None:
        """Resource about no patient, such as a medication, by its reference."""
        from galenic.records.fhir import restore_resource  # noqa: PLC0415

        buffer = self.buffer
        document = store.shared_document(buffer.installation.db, buffer.grant, buffer.dataset, reference)
        return None if document is None else restore_resource(document.document, document.about)


class OmopConverter:
    """OMOP rows to events; the vocabulary comes first, as documents about no patient."""

    def __init__(self, buffer: EventBuffer) -> None:
        self.buffer = buffer
        self._source = Omop()
        self._vocabulary: dict[str, list[str]] = {}

    def __call__(self, batch: Documents) -> None:
        """Converts the rows of a batch of persons."""
        tables: dict[str, list[str]] = {}
        subjects: dict[str, int] = {}
        for document in batch:
            if document.subject != store.NO_SUBJECT:
                subjects[document.id] = document.subject
                tables.setdefault(document.type, []).append(document.document)
            elif document.type in VOCABULARY:
                self._vocabulary.setdefault(document.type, []).append(document.document)
        if tables:
            self._convert(tables, subjects)

    def _convert(self, tables: dict[str, list[str]], subjects: dict[str, int]) -> None:
        buffer, source = self.buffer, self._source
        vocabulary = {name: unpack_all(texts) for name, texts in self._vocabulary.items()}
        self._vocabulary.clear()
        source.hold({**vocabulary, **{name: unpack_all(texts) for name, texts in tables.items()}})
        for events in source.events():
            places = pc.index_in(events["subject"], value_set=pa.array(list(subjects), pa.string()))
            numbers = pa.array(list(subjects.values()), pa.int64()).take(places.combine_chunks())
            columns = {"subject_id": numbers, "ingest_id": pa.nulls(events.num_rows, pa.int64())}
            timeline = [columns[f.name] if f.name in columns else events[f.name] for f in TIMELINE]
            buffer.tables.append(pa.table(timeline, schema=TIMELINE))
        if vocabulary:
            buffer.described |= source.names()
        for name, report in source.report.items():
            if name in tables:
                buffer.dropped.update({f"{name}: {reason}": n for reason, n in report.counted.items()})


class MedsConverter:
    """MEDS events, with the subject ids of the record store. Codes come first, as documents about no patient."""

    def __init__(self, buffer: EventBuffer) -> None:
        self.buffer = buffer

    def __call__(self, batch: Documents) -> None:
        """Converts codes and events."""
        for document in batch:
            schema = pa.schema([(name, type_of(kind)) for name, kind in document.about["columns"]])
            rows = unpack(document.document, schema)
            if document.type == "codes":
                self._put_codes(rows)
                continue
            events = as_timeline(rows, document.id)
            numbers = {"subject_id": document.subject, "ingest_id": document.row}
            for column, number in numbers.items():
                place = events.schema.get_field_index(column)
                events = events.set_column(place, TIMELINE.field(column), pa.repeat(number, rows.num_rows))
            self.buffer.tables.append(events)

    def _put_codes(self, rows: pa.Table) -> None:
        for row in rows.to_pylist():
            self.buffer.described[row["code"]] = row.get("description") or ""
            self.buffer.parents[row["code"]] = list(row.get("parent_codes") or ())


EVENT_READERS: dict[str, EventReader] = {
    "table": TableReader(),
    "fhir": DocumentReader(FhirConverter),
    "omop": DocumentReader(OmopConverter),
    "meds": DocumentReader(MedsConverter),
}
"""Event reader of each kind of data set."""


def event_reader_of(dataset: store.Dataset) -> EventReader:
    """The event reader of a data set. StateError if it has no timelines."""
    name, kind = dataset["name"], str(dataset["kind"])
    if kind == "table" and not dataset["mapping"]:
        raise StateError(
            f"data set {name!r} is a table without a mapping, so it has no timelines. Import it with a mapping: galenic "
            "records import --map"
        )
    if kind not in EVENT_READERS:
        raise StateError(
            f"data set {name!r} holds {kind}, which has no timelines. Expected FHIR, OMOP, MEDS, or a table with a mapping."
        )
    return EVENT_READERS[kind]
