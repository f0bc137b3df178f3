"""The timelines of a data set, while a decision to use them stands: made from the originals, sealed in shards of whole subjects."""

import contextlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from galenic import store
from galenic.errors import DescriptionError
from galenic.flows.house import House
from galenic.schema import TIMELINE, Event
from galenic.security import BUILDS, Pass, Session

SHARD = 250_000  # events
ORDER = [("subject_id", "ascending", "at_start"), ("time", "ascending", "at_start")]
NAMES = [n for n in TIMELINE.names if n not in ("subject_id", "ingest_id")]


@dataclass
class Timelines:
    """Events by whole subjects, read again as often as needed. described: how codes read; dropped: what did not map."""

    name: str
    handle: Pass
    batches: Callable[[], Iterator[pa.Table]]
    events: int
    subjects: int
    described: dict[str, str]
    dropped: Counter[str]

    @property
    def codes(self) -> pa.Table:
        """code, description, parent_codes."""
        schema = pa.schema([("code", pa.string()), ("description", pa.string()), ("parent_codes", pa.list_(pa.string()))])
        rows = [{"code": c, "description": d, "parent_codes": None} for c, d in sorted(self.described.items()) if d]
        return pa.Table.from_pylist(rows, schema=schema)


@dataclass
class Drawn:
    """What has been lowered and not yet written."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    described: dict[str, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def put(self, subject: int, ingest: int, events: list[Event]) -> None:
        """Events of one document."""
        self.rows += [(subject, *event, ingest) for event in events]


Lower = Callable[[House, Pass, store.Dataset, Drawn, list[store.Kept]], None]


@contextlib.contextmanager
def timelines(house: House, session: Session, name: str, purpose: str, *, action: str = "train") -> Iterator[Timelines]:
    """Timelines of everybody whom the decision covers; the shards and their key are gone when the block ends."""
    known = store.dataset(house.db, name, session.tenant)
    lower = lowerers().get(str(known["kind"]))
    if lower is None:
        raise DescriptionError(
            f"data set {name!r} is a table; a table has timelines once it has a mapping: galenic import --map"
        )
    with house.gate.open(session, action, store.resource(name), purpose) as handle:
        build, number = store.next_build(house.db, "shards", name)
        house.tree.add([BUILDS + number])
        try:
            drawn, files, counts = Drawn(), [], Counter[str]()
            for shard in _shards(house, handle, known, lower, drawn):
                files.append(store.write_blob(house.shards, handle.build_key(build), [_bytes(shard)]))
                counts["events"] += shard.num_rows
                counts["subjects"] += len(shard["subject_id"].unique())
            store.finish_build(house.db, build, {"files": files, "rows": counts["events"], "columns": TIMELINE.names})

            def batches() -> Iterator[pa.Table]:
                return store.read_shards(handle, known, build, {"files": files}, house.shards, None)

            yield Timelines(name, handle, batches, counts["events"], counts["subjects"], drawn.described, drawn.dropped)
        finally:
            store.drop_build(house.db, build, house.shards)
            house.tree.drop(BUILDS + number)


def _shards(house: House, handle: Pass, known: store.Dataset, lower: Lower, drawn: Drawn) -> Iterator[pa.Table]:
    """Sorted tables of whole subjects."""
    for batch in store.read_documents(house.db, handle, known):
        if len(drawn.rows) >= SHARD:
            last = batch[0].subject if batch else -1
            ready = [r for r in drawn.rows if r[0] != last]
            drawn.rows = [r for r in drawn.rows if r[0] == last]
            if ready:
                yield _table(ready)
        lower(house, handle, known, drawn, batch)
    if drawn.rows:
        yield _table(drawn.rows)
        drawn.rows = []


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    order = ["subject_id", *NAMES, "ingest_id"]
    columns = dict(zip(order, zip(*rows, strict=True), strict=True))
    table = pa.table([pa.array(columns[f.name], f.type) for f in TIMELINE], schema=TIMELINE)
    return table.take(pc.sort_indices(table, sort_keys=ORDER))


def _bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _lower_fhir(house: House, handle: Pass, known: store.Dataset, drawn: Drawn, batch: list[store.Kept]) -> None:
    from galenic.records import fhir  # noqa: PLC0415  # its definitions load when they are needed

    def find(reference: str) -> dict[str, Any] | None:
        kept = store.thing(house.db, handle, known, reference)
        return None if kept is None else fhir.reread(kept.document, kept.about)

    for kept in batch:
        if kept.subject == store.NOBODY or kept.type == "Bundle":
            continue
        beside = json.loads(kept.about) if kept.about else {}
        exact = kept.type == "Observation"  # of others no number is lowered
        resource = fhir.parse_again(kept.document.encode()) if exact else orjson.loads(kept.document)
        resource.setdefault("id", kept.id)
        found = fhir.lower(resource, find, beside.get("references", {}))
        drawn.put(kept.subject, kept.row, found.events)
        drawn.dropped.update(found.dropped)
        for event in found.events:
            if event.code not in drawn.described:
                drawn.described[event.code] = fhir.display(resource, event.code)


def lowerers() -> dict[str, Lower]:
    """How each kind of data set becomes events."""
    return {"fhir": _lower_fhir}
