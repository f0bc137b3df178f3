"""OMOP CDM 5.3 and 5.4 as a format of patient data."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from galenic.records.format import EventSource, WriteResult
from galenic.records.omop import Omop
from galenic.records.omop_write import OmopWriter
from galenic.schema import TIMELINE, events_by_subject
from galenic.store import folder_aside


class OmopFormat:
    """OMOP CDM: a folder of CSV or Parquet files, or a DuckDB file."""

    has_events = True

    def recognize(self, path: Path) -> bool:
        """A folder with a table “person”, or a DuckDB file."""
        tables = {p.name.lower().partition(".")[0] for p in path.iterdir()} if path.is_dir() else set()
        return "person" in tables or path.suffix in (".duckdb", ".db")

    def read(self, paths: list[Path]) -> Omop:
        """The data set."""
        return Omop(paths[0])

    def to_events(self, paths: list[Path]) -> Iterator[pa.Table]:
        """Events of every table that has some."""
        source, numbers = self.read(paths), dict[str, int]()
        try:
            for events in source.events():
                yield _numbered(events, numbers)
        finally:
            source.close()

    def write(self, events: Iterator[pa.Table], target: Path, _source: EventSource) -> WriteResult:
        """A folder of CSV files, CDM 5.4."""
        with folder_aside(target) as place, OmopWriter(place) as writer:
            for subject, rows in events_by_subject(events):
                writer.put(subject, rows)
        return WriteResult(writer.rows, writer.dropped)


def _numbered(events: pa.Table, numbers: dict[str, int]) -> pa.Table:
    """Events in TIMELINE's columns, with a number for each person; `numbers` grows."""
    for person in pc.unique(events["subject"]).to_pylist():
        numbers.setdefault(person, len(numbers) + 1)
    place = pc.index_in(events["subject"], value_set=pa.array(list(numbers), pa.string())).cast(pa.int64())
    columns = {"subject_id": pc.add(place, 1), "ingest_id": pa.nulls(events.num_rows, pa.int64())}
    return pa.table([columns[f.name] if f.name in columns else events[f.name] for f in TIMELINE], schema=TIMELINE)
