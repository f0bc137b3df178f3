"""Parquet files in bounded memory: a small file may contain any number of equal values, and pages that decompress to gigabytes."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galenic.errors import RecordError

ROWS = 65_536  # of a batch
LARGEST_BATCH = 32 << 20  # bytes of the values that come from dictionaries
LARGEST_CHUNK = 256 << 20  # bytes of a column chunk that decompresses to more than MOST_TIMES its size
MOST_TIMES = 100
LARGEST_TABLE = 4 << 30  # bytes of a table that is read whole
MOST_NESTED = 256 << 20  # bytes of a nested column in one row group: a single row may hold all of it
DEEPEST = 64  # levels of nested columns
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}


def require_bounded(path: Path) -> None:
    """Raise RecordError if the file states a disproportionate decompressed size."""
    with pq.ParquetFile(path) as file:
        for column in range(len(file.schema.names)):
            if file.schema.column(column).path.count(".") > DEEPEST:
                raise RecordError(f"{path}: a column is nested more than {DEEPEST} levels deep. Flatten it.")
        for group in range(file.metadata.num_row_groups):
            for column in range(file.metadata.num_columns):
                _require_bounded_chunk(path, file.metadata.row_group(group).column(column), file.schema.column(column))


def _require_bounded_chunk(path: Path, chunk: pq.ColumnChunkMetaData, column: pq.ColumnSchema) -> None:
    unpacked = chunk.total_uncompressed_size
    if unpacked > LARGEST_CHUNK and unpacked > MOST_TIMES * max(1, chunk.total_compressed_size):
        raise RecordError(
            f"{path}: a column decompresses to {unpacked:,} bytes, more than {MOST_TIMES} times its size in the file. No "
            "table of records does: export it again."
        )
    if column.max_repetition_level and chunk.num_values * WIDTHS.get(chunk.physical_type, 16) > MOST_NESTED:
        raise RecordError(
            f"{path}: a nested column has {chunk.num_values:,} values in one row group. Write smaller row groups."
        )


def parquet_batches(path: Path, names: list[str] | None = None) -> Iterator[pa.Table]:
    """Rows in batches of bounded size: fewer rows at once if a file repeats long values.

    Raise RecordError for a row that is larger than a batch may be.
    """
    with pq.ParquetFile(path) as file:
        empty = True
        for group in range(file.metadata.num_row_groups):
            rows = _rows_at_once(path, file, group, names)
            for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=names):
                yield pa.Table.from_batches([batch])
                empty = False
        if empty:
            yield file.schema_arrow.empty_table() if names is None else file.schema_arrow.empty_table().select(names)


def _rows_at_once(path: Path, file: pq.ParquetFile, group: int, names: list[str] | None) -> int:
    longest = _longest_row(path, file, group, names)
    if longest > LARGEST_BATCH:
        raise RecordError(
            f"{path}: a row may need {longest:,} bytes; at most {LARGEST_BATCH:,} are read at once. Leave out large columns."
        )
    return max(1, min(ROWS, LARGEST_BATCH // max(1, longest)))


def _longest_row(path: Path, file: pq.ParquetFile, group: int, names: list[str] | None) -> int:
    """Total bytes of the longest value of each column with a dictionary. A dictionary is not larger than its decompressed
    chunk."""
    wanted, sizes = None if names is None else set(names), {}
    for number in range(file.metadata.num_columns):
        chunk = file.metadata.row_group(group).column(number)
        top = chunk.path_in_schema.partition(".")[0]
        if chunk.physical_type != "BYTE_ARRAY" or not chunk.has_dictionary_page or (wanted is not None and top not in wanted):
            continue
        sizes[chunk.path_in_schema] = chunk.total_uncompressed_size
    if sum(sizes.values()) * ROWS <= LARGEST_BATCH or not sizes:
        return sum(sizes.values())
    with pq.ParquetFile(path, read_dictionary=list(sizes)) as encoded:
        tops = sorted({name.partition(".")[0] for name in sizes})
        first = next(encoded.iter_batches(batch_size=1, row_groups=[group], columns=tops), None)
        for name in sizes if first is not None else ():
            if first is not None and name in first.schema.names and pa.types.is_dictionary(first.schema.field(name).type):
                longest = pc.max(pc.binary_length(first[name].dictionary)).as_py()
                sizes[name] = longest or 0
    return sum(sizes.values())


def read_bounded(path: Path) -> pa.Table:
    """The whole table. Raise RecordError beyond LARGEST_TABLE bytes in memory."""
    require_bounded(path)
    parts, size = [], 0
    for part in parquet_batches(path):
        size += part.nbytes
        if size > LARGEST_TABLE:
            raise RecordError(f"{path} needs more than {LARGEST_TABLE:,} bytes in memory. Split it into several files.")
        parts.append(part)
    return pa.concat_tables(parts)
