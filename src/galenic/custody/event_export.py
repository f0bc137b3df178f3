"""Export of events: timelines of a data set in a format of records.FORMATS, or as a flat file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galenic import store
from galenic.custody.exporter import Export, ExportResult
from galenic.custody.timelines import Timelines, read_timelines
from galenic.records import EventSource, WriteResult
from galenic.schema import TIMELINE
from galenic.version import __version__

WriteEvents = Callable[[Iterator[pa.Table], Path, EventSource], WriteResult]


class EventExporter:
    """Timelines in one format. Patients and encounters get new numbers; ids of the source are left out.

    A user who may see the ids can export a data set in its original form.
    """

    def __init__(self, form: str, write: WriteEvents, *, kind: str = "") -> None:
        self.form, self.kind, self._write = form, kind, write

    def plan(self, dataset: store.Dataset) -> None:
        """Every data set with timelines can be exported. Reading raises StateError if there are none."""

    def run(self, export: Export) -> None:
        """Writes the events that the decision covers."""
        with read_timelines(export.installation, export.grant, export.dataset) as timelines:
            export.result.dropped.update(timelines.dropped)
            written = self._write(export.checked(renumbered(timelines)), export.target, _source(timelines))
        export.result.written.update(written.written)
        export.result.dropped.update(written.dropped)

    def summary(self, result: ExportResult) -> dict[str, Any]:
        """The counts of what was written and dropped."""
        return {"form": result.form, "written": result.written, "dropped": result.dropped}


def _source(timelines: Timelines) -> EventSource:
    return EventSource(
        timelines.name,
        f"Galenic {__version__}, events to FHIR R4",
        f"data set {timelines.name}, {timelines.version}",
        descriptions=timelines.described,
        codes=timelines.codes,
    )


def renumbered(timelines: Timelines) -> Iterator[pa.Table]:
    """Events with new numbers of patients and encounters. Only the kind of an event's source is retained."""
    patients = encounters = 0
    for batch in timelines.batches():
        subjects = batch["subject_id"].to_numpy()
        fresh = np.cumsum(np.concatenate([[1], (np.diff(subjects) != 0).astype(np.int64)])) + patients
        patients = int(fresh[-1]) if len(fresh) else patients
        codes = batch["encounter_id"].combine_chunks().dictionary_encode()
        numbers = pc.add(codes.indices, pa.scalar(encounters + 1, pa.int32())).cast(pa.string())
        encounters += len(codes.dictionary)
        kinds = pc.replace_substring_regex(batch["source_ref"], "/.*$", "")
        columns = {"subject_id": pa.array(fresh, pa.int64()), "encounter_id": numbers, "source_ref": kinds}
        columns["ingest_id"] = pa.nulls(batch.num_rows, pa.int64())
        yield pa.table([columns.get(f.name, batch[f.name]) for f in TIMELINE], schema=TIMELINE)
