"""MEDS 0.4 data sets as a format of patient data."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from galenic.records.format import EventSource, WriteResult
from galenic.records.meds import read_meds, write_meds


class MedsFormat:
    """Medical Event Data Standard: a folder with data/*.parquet."""

    has_events = True

    def recognize(self, path: Path) -> bool:
        """A folder with Parquet files in its folder “data”."""
        return path.is_dir() and (path / "data").is_dir() and any((path / "data").rglob("*.parquet"))

    def read(self, paths: list[Path]) -> Iterator[pa.Table]:
        """Tables of TIMELINE's columns, file by file."""
        return read_meds(paths[0])

    def to_events(self, paths: list[Path]) -> Iterator[pa.Table]:
        """A MEDS data set, unchanged: it already consists of events, and its subject ids are already numbers."""
        return read_meds(paths[0])

    def write(self, events: Iterator[pa.Table], target: Path, source: EventSource) -> WriteResult:
        """A folder with data and metadata."""
        count = write_meds(events, target, name=source.name, codes=source.codes() if source.codes else None)
        return WriteResult(Counter({"events": count}))
