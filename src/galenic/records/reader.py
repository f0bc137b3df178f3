"""Opens CSV, Parquet and Arrow files as sources, after checking that they are whole."""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from galenic.errors import RecordError
from galenic.records.parquet_limits import parquet_batches, require_bounded
from galenic.records.source import Source, in_memory

BLOCK = 8 << 20
MOST_COLUMNS = 10_000
LONGEST_HEADER = 16 << 20  # bytes
DELIMITERS = ",;\t|"


def read(path: str | Path) -> Source:
    """A source over a .csv, .tsv, .txt, .parquet, .arrow or .feather file. RecordError if it is not a whole table."""
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"{path} is not a file. Give the path of a CSV, Parquet or Arrow file.")
    if path.stat().st_size == 0:
        raise RecordError(f"{path} is empty. Expected a header line and at least one row.")
    suffix = path.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            source = _parquet(path)
        elif suffix in (".arrow", ".feather", ".ipc"):
            source = _arrow(path)
        else:
            source = _csv(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, csv.Error, OSError) as error:
        raise RecordError(f"{path} cannot be read as {suffix or 'CSV'} ({type(error).__name__}). Export it again.") from None
    _check_names(path, source.names)
    return source


def as_source(table: "str | Path | pa.Table | Source | Any") -> Source:
    """A source from a path, an Arrow table, or anything with an Arrow C stream (pandas, polars)."""
    if isinstance(table, Source):
        return table
    if isinstance(table, str | Path):
        return read(table)
    return in_memory(table if isinstance(table, pa.Table) else pa.table(table))


def _check_names(path: Path, names: tuple[str, ...]) -> None:
    if len(names) > MOST_COLUMNS:
        raise RecordError(
            f"{path} has {len(names):,} columns; at most {MOST_COLUMNS:,} are read. Leave some out, or write rows."
        )
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise RecordError(f"{path}: columns {repeated[:5]} appear more than once. Give each column its own name.")


def _parquet(path: Path) -> Source:
    with pq.ParquetFile(path) as file:
        names = tuple(file.schema_arrow.names)
    _check_names(path, names)
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


def _csv(path: Path) -> Source:
    encoding = _encoding(path)
    header, delimiter = _header(path, encoding)
    unnamed = any(name.startswith("unnamed_") for name in header)
    _check_names(path, tuple(header))

    def opener(names: list[str] | None) -> Iterator[pa.Table]:
        bad: list[tuple[int | None, int, int]] = []

        def note(row: pacsv.InvalidRow) -> str:
            bad.append((row.number, row.expected_columns, row.actual_columns))
            return "skip"

        reader = pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(
                encoding=encoding,
                block_size=BLOCK,
                use_threads=False,
                column_names=header if unnamed else None,
                skip_rows=1 if unnamed else 0,
            ),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in header}, strings_can_be_null=False, include_columns=names or None
            ),
        )
        for batch in reader:
            _refuse_ragged(path, bad)
            yield pa.Table.from_batches([batch])
        _refuse_ragged(path, bad)

    source = Source(str(path), tuple(header), opener)
    if next(source.open([header[0]]), pa.table({})).num_rows == 0:
        raise RecordError(f"{path} has a header but no rows. Expected at least one row of values.")
    return _with_each_value_decoded(path, source) if encoding == "latin-1" else source


def _with_each_value_decoded(path: Path, source: Source) -> Source:
    """The source, which was read as Latin-1, with each name and value that is UTF-8 decoded as such: no value changes another one."""
    read_as = {_decoded(name).removeprefix("\ufeff"): name for name in source.names}
    if len(read_as) < len(source.names):
        raise RecordError(f"{path}: columns have one name in two encodings. Export it again as UTF-8.")

    def opener(names: list[str] | None) -> Iterator[pa.Table]:
        wanted = names or list(read_as)
        for batch in source.open([read_as[name] for name in wanted]):
            yield pa.table([_decoded_values(column) for column in batch.columns], names=wanted)

    return replace(source, names=tuple(read_as), open=opener)


def _decoded_values(column: pa.ChunkedArray) -> pa.Array:
    coded = column.combine_chunks().dictionary_encode()
    return pa.array([_decoded(value) for value in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)


def _decoded(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text


def _refuse_ragged(path: Path, bad: list[tuple[int | None, int, int]]) -> None:
    if bad:
        number, expected, actual = bad[0]
        where = f"line {number}" if number is not None else "a line"
        raise RecordError(
            f"{path}, {where}: {actual} values where the header names {expected} columns. Quote values that hold the "
            "delimiter, and write one value for each column."
        )


def _encoding(path: Path) -> str:
    """utf-8, utf-16, or latin-1 where any byte is not UTF-8; refuses NUL bytes and quotes that never close, in one pass of bounded memory."""
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        if start[:2] == b"\x1f\x8b":
            raise RecordError(f"{path} is compressed. Unpack it first (gzip -d), or convert it to Parquet.")
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        utf8, quotes = True, 0
        while block := file.read(BLOCK):
            if b"\0" in block:
                raise RecordError(f"{path} holds NUL bytes: it is damaged or not text. Export it again as UTF-8 CSV.")
            quotes += block.count(b'"')
            if utf8:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    utf8 = False
    if quotes % 2:
        raise RecordError(
            f"{path}: a quote is opened and never closed ({quotes} quote marks in the file, expected an even number). "
            'Close it, or write a quote inside a value as "" (RFC 4180).'
        )
    return "utf-8" if utf8 else "latin-1"


def _header(path: Path, encoding: str) -> tuple[list[str], str]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        first = file.read(1 << 20)
        while "\n" not in first and "\r" not in first and len(first) < LONGEST_HEADER and (more := file.read(1 << 20)):
            first += more
    line = first.splitlines()[0] if first.splitlines() else ""
    delimiter = max(DELIMITERS, key=line.count) if any(d in line for d in DELIMITERS) else ","
    names = next(csv.reader(io.StringIO(first), delimiter=delimiter), [])
    if not any(name.strip() for name in names):
        raise RecordError(f"{path} has no header. Expected column names in the first line.")
    # statistics programs write their row numbers under an empty name
    return [name if name.strip() else f"unnamed_{i + 1}" for i, name in enumerate(names)], delimiter
