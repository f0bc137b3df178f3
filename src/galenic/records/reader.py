"""Opens CSV, Excel, JSON, Parquet and Arrow files and data frames as sources, after checking that they are whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from galenic.errors import RecordError
from galenic.records.csv_table import read_csv
from galenic.records.data_frame import arrow_table
from galenic.records.excel import read_excel
from galenic.records.file_content import content_of
from galenic.records.json_table import read_json
from galenic.records.parquet_limits import parquet_batches, require_bounded
from galenic.records.source import Source, in_memory, require_names


def read(path: str | Path) -> Source:
    """A source over a CSV, TSV, Excel (.xlsx), JSON, JSON Lines, Parquet, Arrow or Feather file. CSV and JSON may be compressed (gzip, zip,
    bz2, xz, zstd). FILE#NAME names a sheet of a workbook, or a file in a zip. RecordError if it is not a whole table."""
    path, part = _split_name(Path(path))
    if path.is_dir():
        raise RecordError(
            f"{path} is a folder. Expected one file, such as a CSV file in it. To import a folder: galenic records import"
        )
    if not path.is_file():
        raise RecordError(f"{path} is not a file. Give the path of a CSV, Excel, JSON, Parquet or Arrow file.")
    if path.stat().st_size == 0:
        raise RecordError(f"{path} is empty. Expected a header line and at least one row.")
    kind = ""
    try:
        content = content_of(path, part)
        kind = content.kind
        if kind == "csv":
            source = read_csv(content)
        elif kind == "json":
            source = read_json(content)
        elif kind == "excel":
            source = read_excel(path, part)
        else:
            source = _parquet(path) if kind == "parquet" else _arrow(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        what = (kind or path.suffix or "csv").upper() if kind in ("", "csv", "json") else kind.capitalize()
        raise RecordError(f"{path} cannot be read as {what} ({type(error).__name__}). Export it again.") from None
    require_names(str(path), source.names)
    return source


def _split_name(path: Path) -> tuple[Path, str]:
    """(the file, the sheet or the file in a zip that is named after #)."""
    text, _, part = str(path).partition("#")
    return (Path(text), part) if part and not path.exists() and Path(text).is_file() else (path, "")


def as_source(table: "str | Path | pa.Table | Source | Any") -> Source:
    """A source from a path, an Arrow table, or a data frame (pandas, polars, anything with an Arrow C stream)."""
    if isinstance(table, Source):
        return table
    return read(table) if isinstance(table, str | Path) else in_memory(arrow_table(table))


def _parquet(path: Path) -> Source:
    with pq.ParquetFile(path) as file:
        names = tuple(file.schema_arrow.names)
    require_names(str(path), names)
    require_bounded(path)

    def opener(wanted: list[str] | None) -> Iterator[pa.Table]:
        return parquet_batches(path, wanted)

    return Source(str(path), names, opener)


def _arrow(path: Path) -> Source:
    def opener(names: list[str] | None) -> Iterator[pa.Table]:
        with pa.memory_map(str(path)) as raw:
            file = pa.ipc.open_file(raw)
            for i in range(file.num_record_batches):
                batch = pa.Table.from_batches([file.get_batch(i)])
                yield batch if names is None else batch.select(names)

    with pa.memory_map(str(path)) as raw:
        return Source(str(path), tuple(pa.ipc.open_file(raw).schema.names), opener)
