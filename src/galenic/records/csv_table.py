"""Reading of delimited text in any usual encoding, with its delimiter recognized; damaged files are refused with the line."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from galenic.errors import RecordError
from galenic.records.file_content import FileContent
from galenic.records.parse import DATE_FORMATS, NUMBER
from galenic.records.source import Source, require_names

BLOCK = 8 << 20
LONGEST_HEADER = 16 << 20  # bytes
DELIMITERS = ",;\t|"
LOOKED_AT = 50  # records by which the delimiter is recognized


@dataclass(frozen=True)
class _Layout:
    """Layout of a delimited file. given: whether `names` replace the header's, some of which are empty. skipped: lines before the
    header."""

    names: list[str]
    given: bool
    delimiter: str
    skipped: int


def read_csv(content: FileContent) -> Source:
    """The table in a delimited file. RecordError, with the line where it can be told, if it is damaged, has no header or no rows."""
    path, encoding = content.path, _encoding(content)
    layout = _layout(content, encoding)
    require_names(str(path), tuple(layout.names))

    def opener(names: list[str] | None) -> Iterator[pa.Table]:
        bad: list[tuple[int | None, int, int]] = []

        def note(row: pacsv.InvalidRow) -> str:
            bad.append((row.number, row.expected_columns, row.actual_columns))
            return "skip"

        with content.open() as file:
            for batch in pacsv.open_csv(file, *_options(layout, encoding, names, note)):
                _refuse_ragged(path, bad)
                yield pa.Table.from_batches([batch])
            _refuse_ragged(path, bad)

    source = Source(str(path), tuple(layout.names), opener)
    first = next(source.open(None), pa.table({}))
    if first.num_rows == 0:
        raise RecordError(f"{path} has a header but no rows. Expected at least one row of values.")
    _require_header(path, layout, first)
    source = _without_empty_columns(source, layout)
    return _with_each_value_decoded(path, source) if encoding == "latin-1" else source


def _options(
    layout: _Layout, encoding: str, names: list[str] | None, note: Callable[[pacsv.InvalidRow], str]
) -> tuple[pacsv.ReadOptions, pacsv.ParseOptions, pacsv.ConvertOptions]:
    reading = pacsv.ReadOptions(
        encoding=encoding,
        block_size=BLOCK,
        use_threads=False,
        column_names=layout.names if layout.given else None,
        skip_rows=layout.skipped + (1 if layout.given else 0),
    )
    parsing = pacsv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=note)
    types = {name: pa.string() for name in layout.names}
    return reading, parsing, pacsv.ConvertOptions(column_types=types, strings_can_be_null=False, include_columns=names or None)


def _without_empty_columns(source: Source, layout: _Layout) -> Source:
    """The source without columns that have neither a name nor a value, as spreadsheets write them at the end of lines."""
    unnamed = [name for name in source.names[1:] if name.startswith("unnamed_")] if layout.given else []
    if not unnamed:
        return source
    empty = set(unnamed)
    for batch in source.open(unnamed):
        empty -= {n for n in empty if pc.any(pc.not_equal(pc.utf8_trim_whitespace(batch[n]), "")).as_py()}
    kept = [name for name in source.names if name not in empty]
    return replace(source, names=tuple(kept), open=lambda names: source.open(names or kept))


def _require_header(path: Path, layout: _Layout, first: pa.Table) -> None:
    """RecordError if the first line holds values: most of its entries are numbers or dates, and the next line has the same kinds."""
    looks = [_looks_like_value(name) for name in layout.names]
    if sum(looks) * 2 < len(looks) or not any(looks) or _counts_up(layout.names):
        return
    below = [_looks_like_value(str(first[name][0].as_py())) for name in first.column_names]
    if below == looks:
        raise RecordError(
            f"{path}: the first line looks like values, not like column names ({sum(looks)} of {len(looks)} entries are numbers or dates). "
            "Put a line with a name for each column above it."
        )


def _looks_like_value(text: str) -> bool:
    return any(re.match(pattern, text.strip()) for pattern in (NUMBER, *DATE_FORMATS.values()))


def _counts_up(names: list[str]) -> bool:
    """Whether numbers among names count up, as numbered columns and years do."""
    numbers = [int(n) for n in names if re.fullmatch(r"\d{1,4}", n.strip())]
    return (
        len(numbers) > 1
        and all(b - a == 1 for a, b in pairwise(numbers))
        and len(numbers) == sum(map(_looks_like_value, names))
    )


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


def _encoding(content: FileContent) -> str:
    """utf-8, utf-16, or latin-1 where any byte is not UTF-8; refuses NUL bytes and quotes that never close, in one pass of bounded memory."""
    path = content.path
    utf8, quotes, size = True, 0, 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    with content.open() as file:
        while block := file.read(BLOCK):
            if size == 0 and block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16"
            if b"\0" in block:
                raise RecordError(f"{path} holds NUL bytes: it is damaged or not text. Export it again as UTF-8 CSV.")
            size += len(block)
            content.require_plausible_size(size)
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


def _layout(content: FileContent, encoding: str) -> _Layout:
    first = _beginning(content, "utf-8-sig" if encoding == "utf-8" else encoding)
    lines = first.splitlines()
    hint = re.fullmatch(r"sep=(.)", lines[0]) if lines else None  # spreadsheet programs write their delimiter so
    skipped = 1 if hint else 0
    text = first.split(lines[0], 1)[1].lstrip("\r\n") if hint else first
    delimiter = hint[1] if hint and hint[1] in DELIMITERS else _delimiter(text)
    names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    if not any(name.strip() for name in names):
        raise RecordError(f"{content.path} has no header. Expected column names in the first line.")
    # statistics programs write their row numbers under an empty name
    given = any(not name.strip() for name in names)
    return _Layout([n if n.strip() else f"unnamed_{i + 1}" for i, n in enumerate(names)], given, delimiter, skipped)


def _beginning(content: FileContent, encoding: str) -> str:
    """The header line at least, decoded, with the records behind it that are at hand."""
    with content.open() as raw:
        file = io.TextIOWrapper(raw, encoding=encoding, newline="")
        first = file.read(1 << 20)
        while "\n" not in first and "\r" not in first and len(first) < LONGEST_HEADER and (more := file.read(1 << 20)):
            first += more
        file.detach()
    return first


def _delimiter(text: str) -> str:
    """The delimiter that gives all records the same number of values, and the most of them."""

    def score(delimiter: str) -> tuple[bool, int, int]:
        try:
            records = [r for r in islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), LOOKED_AT) if r]
        except csv.Error:
            return False, 0, 0
        width = len(records[0]) if records else 0
        complete = records[:-1] or records  # the last one may be cut off
        return width > 1 and all(len(r) == width for r in complete), width, -DELIMITERS.index(delimiter)

    best = max(DELIMITERS, key=score)
    return best if score(best)[1] > 1 else ","
