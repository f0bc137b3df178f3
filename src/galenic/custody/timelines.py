"""Timelines of a data set under an access decision: originals converted to events, in encrypted shards of complete subjects."""

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.ipc

from galenic import store
from galenic.custody.event_buffer import EventBuffer
from galenic.custody.event_readers import event_reader_of
from galenic.installation import Installation
from galenic.records import CODES, paused_gc
from galenic.records.terminology import LABELS, terminology
from galenic.schema import TIMELINE
from galenic.security import BUILDS, Grant, Session

SHARD_EVENTS = 250_000


@dataclass
class Timelines:
    """Events by complete subjects, which can be read several times.

    described: text of codes; parents: their parent codes; dropped: number of records without an event, by kind.
    """

    name: str
    version: str
    batches: Callable[[], Iterator[pa.Table]]
    events: int
    subjects: int
    described: dict[str, str]
    parents: dict[str, list[str]]
    dropped: Counter[str]

    def codes(self) -> pa.Table:
        """code, description, parent_codes: from the data set, otherwise from the loaded terminologies."""
        terms = terminology()
        rows = []
        for code, text in sorted(self.described.items()):
            label, _, value = code.partition("//")
            concept = terms.validate(LABELS[label], value).concept if label in LABELS else None
            parents = self.parents.get(code) or ([f"{label}//{p}" for p in concept.parents] if concept else None)
            description = text or (concept.display if concept else None)
            if description or parents:
                rows.append({"code": code, "description": description, "parent_codes": parents})
        return pa.Table.from_pylist(rows, schema=CODES)


@contextlib.contextmanager
def open_timelines(
    installation: Installation, session: Session, name: str, purpose: str, *, action: str = "train"
) -> Iterator[Timelines]:
    """Timelines of all patients that an access decision covers. The shards and their key are deleted at the end."""
    dataset = store.dataset(installation.db, name, session.tenant)
    with (
        installation.gate.open(session, action, store.resource(name), purpose) as grant,
        read_timelines(installation, grant, dataset) as timelines,
    ):
        yield timelines


@contextlib.contextmanager
def read_timelines(installation: Installation, grant: Grant, dataset: store.Dataset) -> Iterator[Timelines]:
    """Timelines under an access decision that is already open. Raise StateError if the data set has none."""
    reader, name = event_reader_of(dataset), str(dataset["name"])
    build, number = store.next_build(installation.db, "shards", name)
    installation.tree.add([BUILDS + number])
    try:
        buffer, files, counts = EventBuffer(installation, grant, dataset), list[str](), Counter[str]()
        with paused_gc():
            for shard in _shards(buffer, reader.read(buffer)):
                files.append(store.write_blob(installation.shards, grant.build_key(build), [_arrow_bytes(shard)]))
                counts["events"] += shard.num_rows
                counts["subjects"] += len(shard["subject_id"].unique())
        store.finish_build(installation.db, build, {"files": files, "rows": counts["events"], "columns": TIMELINE.names})

        def batches() -> Iterator[pa.Table]:
            return store.read_shards(grant, dataset, build, {"files": files}, installation.shards, None)

        version = f"{dataset['next_row']} originals, imported from {dataset['imported_at']} on"
        events, subjects = counts["events"], counts["subjects"]
        yield Timelines(name, version, batches, events, subjects, buffer.described, buffer.parents, buffer.dropped)
    finally:
        store.drop_build(installation.db, build, installation.shards)
        installation.tree.drop(BUILDS + number)


def _shards(buffer: EventBuffer, last_subjects: Iterator[int]) -> Iterator[pa.Table]:
    """Sorted tables of whole subjects; reading `last_subjects` fills the buffer."""
    for last in last_subjects:
        if buffer.size() >= SHARD_EVENTS:
            complete = buffer.take(last)
            if complete is not None:
                yield complete
    complete = buffer.take(None)
    if complete is not None:
        yield complete


def _arrow_bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return buffer.getvalue()
