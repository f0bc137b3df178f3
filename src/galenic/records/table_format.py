"""Tables (CSV, Parquet, Arrow) as a format of patient data; events can be written as a table with a row per event."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from galenic.records.format import EventSource, WriteResult, no_events
from galenic.records.reader import read
from galenic.records.source import Source
from galenic.records.writer import write_stream
from galenic.schema import TIMELINE
from galenic.store import file_aside

NOTE_SUFFIXES = (".text", ".md", ".note")  # of text without rows


class TableFormat:
    """One table in a file."""

    has_events = False

    def recognize(self, path: Path) -> bool:
        """Any file that is not a note by its suffix; files that are neither Parquet nor Arrow are read as CSV."""
        return path.is_file() and path.suffix.lower() not in NOTE_SUFFIXES

    def read(self, paths: list[Path]) -> Source:
        """The table."""
        return read(paths[0])

    def to_events(self, _paths: list[Path]) -> Iterator[pa.Table]:
        """Raise OptionError: a table needs a mapping, which is used after its import."""
        raise no_events("a table")

    def write(self, events: Iterator[pa.Table], target: Path, source: EventSource) -> WriteResult:
        """One row per event: Parquet if the name of the file ends so, else CSV."""
        write_events = write_events_parquet if target.suffix.lower() in (".parquet", ".pq") else write_events_csv
        return write_events(events, target, source)


def write_events_csv(events: Iterator[pa.Table], target: Path, _source: EventSource) -> WriteResult:
    """Events as a CSV file, times as ISO 8601."""
    with file_aside(target) as place:
        # CSV has no large strings
        count = write_stream((t.set_column(4, "text_value", t["text_value"].cast(pa.string())) for t in events), place)
    return WriteResult(Counter({"events": count}))


def write_events_parquet(events: Iterator[pa.Table], target: Path, _source: EventSource) -> WriteResult:
    """Events as a Parquet file of TIMELINE's columns."""
    result = WriteResult()
    with file_aside(target) as place, pq.ParquetWriter(place, TIMELINE, compression="zstd") as writer:
        for table in events:
            writer.write_table(table)
            result.written["events"] += table.num_rows
    return result
