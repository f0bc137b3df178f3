"""The timelines of a data set, while a decision to use them stands: made from the originals, sealed in shards of whole subjects."""

import contextlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from galenic import store
from galenic.errors import StateError
from galenic.installation import Installation
from galenic.records import (
    CODES,
    VOCABULARY,
    Omop,
    as_timeline,
    events_of,
    parse_mapping,
    paused_gc,
    type_of,
    unpack,
    unpack_all,
)
from galenic.records.terminology import LABELS, terminology
from galenic.schema import TIMELINE, timeline_table
from galenic.security import BUILDS, Grant, Session

SHARD = 250_000  # events
NUMBERS = re.compile('"value(?:Quantity|Ratio|Range)"')
ORDER = [("subject_id", "ascending", "at_start"), ("time", "ascending", "at_start")]


@dataclass
class Timelines:
    """Events by whole subjects, read again as often as needed. described: how codes read; parents: what they are kinds
    of; dropped: what did not map."""

    name: str
    version: str
    batches: Callable[[], Iterator[pa.Table]]
    events: int
    subjects: int
    described: dict[str, str]
    parents: dict[str, list[str]]
    dropped: Counter[str]

    @property
    def codes(self) -> pa.Table:
        """code, description, parent_codes: as the data set has them, else as the tables that are loaded."""
        terms = terminology()
        rows = []
        for code, text in sorted(self.described.items()):
            label, _, value = code.partition("//")
            concept = terms.validate(LABELS[label], value).concept if label in LABELS else None
            above = self.parents.get(code) or ([f"{label}//{p}" for p in concept.parents] if concept else None)
            read = text or (concept.display if concept else None)
            if read or above:
                rows.append({"code": code, "description": read, "parent_codes": above})
        return pa.Table.from_pylist(rows, schema=CODES)


@dataclass
class EventBuffer:
    """What has been lowered and not yet written, and what was seen on the way."""

    installation: Installation
    handle: Grant
    known: store.Dataset
    tables: list[pa.Table] = field(default_factory=list)
    described: dict[str, str] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def put(self, rows: list[tuple[Any, ...]]) -> None:
        """Events as (subject, *Event, row of the originals)."""
        if rows:
            self.tables.append(timeline_table(rows))

    def take(self, last: int | None) -> pa.Table | None:
        """A sorted table of the subjects that are whole: of all but `last`."""
        if not self.tables:
            return None
        table = pa.concat_tables(self.tables)
        more = pc.equal(table["subject_id"], -1 if last is None else last)
        self.tables = [table.filter(more)]
        ready = table.filter(pc.invert(more))
        return ready.take(pc.sort_indices(ready, sort_keys=ORDER)) if ready.num_rows else None


Lower = Callable[[list[store.StoredDocument]], None]


@contextlib.contextmanager
def open_timelines(
    installation: Installation, session: Session, name: str, purpose: str, *, action: str = "train"
) -> Iterator[Timelines]:
    """Timelines of everybody whom a decision covers; the shards and their key are gone when the block ends."""
    known = store.dataset(installation.db, name, session.tenant)
    with (
        installation.gate.open(session, action, store.resource(name), purpose) as handle,
        read_timelines(installation, handle, known) as found,
    ):
        yield found


@contextlib.contextmanager
def read_timelines(installation: Installation, handle: Grant, known: store.Dataset) -> Iterator[Timelines]:
    """The same within a decision that is open."""
    name = str(known["name"])
    if known["kind"] == "table" and not known["mapping"]:
        raise StateError(f"data set {name!r} is a table; a table has timelines once it has a mapping: galenic import --map")
    build, number = store.next_build(installation.db, "shards", name)
    installation.tree.add([BUILDS + number])
    try:
        drawn, files, counts = EventBuffer(installation, handle, known), [], Counter[str]()
        with paused_gc():
            for shard in _shards(drawn):
                files.append(store.write_blob(installation.shards, handle.build_key(build), [_bytes(shard)]))
                counts["events"] += shard.num_rows
                counts["subjects"] += len(shard["subject_id"].unique())
        store.finish_build(installation.db, build, {"files": files, "rows": counts["events"], "columns": TIMELINE.names})

        def batches() -> Iterator[pa.Table]:
            return store.read_shards(handle, known, build, {"files": files}, installation.shards, None)

        version = f"{known['next_row']} originals, imported from {known['imported_at']} on"
        yield Timelines(
            name, version, batches, counts["events"], counts["subjects"], drawn.described, drawn.parents, drawn.dropped
        )
    finally:
        store.drop_build(installation.db, build, installation.shards)
        installation.tree.drop(BUILDS + number)


def _shards(drawn: EventBuffer) -> Iterator[pa.Table]:
    """Sorted tables of whole subjects."""
    for first in _mapped(drawn) if drawn.known["kind"] == "table" else _documents(drawn):
        if sum(t.num_rows for t in drawn.tables) >= SHARD:
            ready = drawn.take(first)
            if ready is not None:
                yield ready
    ready = drawn.take(None)
    if ready is not None:
        yield ready


def _documents(drawn: EventBuffer) -> Iterator[int]:
    """Lowers documents, batch by batch; yields the subject that may go on in the next one."""
    lower = LOWERERS[str(drawn.known["kind"])](drawn)
    for batch in store.read_documents(drawn.installation.db, drawn.handle, drawn.known):
        lower(batch)
        if batch:
            yield batch[-1].subject


def _mapped(drawn: EventBuffer) -> Iterator[int]:
    """The same for the rows of a table, by its mapping."""
    mapping = parse_mapping(str(drawn.known["mapping"]))
    for subjects, rows, table in store.by_subject(drawn.installation.db, drawn.handle, drawn.known):
        drawn.put([(subjects[i], *event, rows[i]) for i, event in events_of(mapping, table, drawn.dropped)])
        if subjects:
            yield subjects[-1]


def _bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _fhir(drawn: EventBuffer) -> Lower:
    from galenic.records import fhir  # noqa: PLC0415  # its definitions load when they are needed

    def find(reference: str) -> dict[str, Any] | None:
        kept = store.shared_document(drawn.installation.db, drawn.handle, drawn.known, reference)
        return None if kept is None else fhir.restore_resource(kept.document, kept.about)

    def lower(batch: list[store.StoredDocument]) -> None:
        rows: list[tuple[Any, ...]] = []
        for kept in batch:
            if kept.subject == store.NO_SUBJECT or kept.type == "Bundle":
                continue
            numbers = kept.type == "Observation" and NUMBERS.search(kept.document)  # of others no number is lowered
            resource = fhir.parse_exact(kept.document.encode()) if numbers else orjson.loads(kept.document)
            resource.setdefault("id", kept.id)
            found = fhir.resource_to_events(resource, find, kept.about.get("references", {}))
            if found.dropped:
                drawn.dropped.update(found.dropped)
            for event in found.events:
                rows.append((kept.subject, *event, kept.row))
                if event.code not in drawn.described:
                    drawn.described[event.code] = fhir.display_of(resource, event.code)
        drawn.put(rows)

    return lower


def _omop(drawn: EventBuffer) -> Lower:
    source = Omop()
    vocabulary: dict[str, list[str]] = {}

    def lower(batch: list[store.StoredDocument]) -> None:
        tables: dict[str, list[str]] = {}
        subjects: dict[str, int] = {}
        for kept in batch:
            if kept.subject == store.NO_SUBJECT:
                if kept.type in VOCABULARY:
                    vocabulary.setdefault(kept.type, []).append(kept.document)
                continue
            subjects[kept.id] = kept.subject
            tables.setdefault(kept.type, []).append(kept.document)
        if not tables:
            return
        first = {n: unpack_all(t) for n, t in vocabulary.items()}
        vocabulary.clear()
        source.hold({**first, **{n: unpack_all(t) for n, t in tables.items()}})
        for events in source.events():
            whose = pc.index_in(events["subject"], value_set=pa.array(list(subjects), pa.string()))
            numbers = pa.array(list(subjects.values()), pa.int64()).take(whose.combine_chunks())
            columns = {"subject_id": numbers, "ingest_id": pa.nulls(events.num_rows, pa.int64())}
            drawn.tables.append(
                pa.table([columns.get(f.name) if f.name in columns else events[f.name] for f in TIMELINE], schema=TIMELINE)
            )
        if first:
            drawn.described |= source.names()
        for name, report in source.report.items():
            if name in tables:
                drawn.dropped.update({f"{name}: {why}": n for why, n in report.counted.items()})

    return lower


def _meds(drawn: EventBuffer) -> Lower:
    def lower(batch: list[store.StoredDocument]) -> None:
        for kept in batch:
            schema = pa.schema([(n, type_of(t)) for n, t in kept.about["columns"]])
            rows = unpack(kept.document, schema)
            if kept.type == "codes":
                for row in rows.to_pylist():
                    drawn.described[row["code"]] = row.get("description") or ""
                    drawn.parents[row["code"]] = list(row.get("parent_codes") or ())
                continue
            events = as_timeline(rows, kept.id)
            number = events.schema.get_field_index("subject_id")
            events = events.set_column(number, TIMELINE.field("subject_id"), pa.repeat(kept.subject, rows.num_rows))
            number = events.schema.get_field_index("ingest_id")
            drawn.tables.append(events.set_column(number, TIMELINE.field("ingest_id"), pa.repeat(kept.row, rows.num_rows)))

    return lower


LOWERERS: dict[str, Callable[[EventBuffer], Lower]] = {"fhir": _fhir, "omop": _omop, "meds": _meds}
