"""Writes tables as CSV or Parquet, safe to open in a spreadsheet."""

import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from galenic.schema import Table

# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, CSV injection).
FORMULA = r"^[=+\-@\t\r]"
SIGNED = re.compile(r"[+-]?\d+\.?\d*")


def escape_formulas(table: pa.Table) -> pa.Table:
    """Puts an apostrophe before text cells that a spreadsheet would run as a formula. Signed numbers are unchanged."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table[field.name]
            runs = pc.and_(
                pc.match_substring_regex(column, FORMULA), pc.invert(pc.match_substring_regex(column, r"^[+-]?\d+\.?\d*$"))
            )
            safe = pc.if_else(runs, pc.binary_join_element_wise("'", column, ""), column)
            table = table.set_column(place, pa.field(field.name, pa.string()), safe)
        name = field.name
        if name[:1] in "=+-@\t\r":
            table = table.rename_columns([("'" + n if n == name else n) for n in table.column_names])
    return table


def safe_text(text: str) -> str:
    """One cell of text, escaped as `escape_formulas` does."""
    return "'" + text if text[:1] in "=+-@\t\r" and text and not SIGNED.fullmatch(text) else text


def write(table: Table, path: Path) -> None:
    """Writes a table to `path` by its suffix: .parquet as Parquet, anything else as UTF-8 CSV with empty missing values.

    Use store.file_aside for the path, so that the file appears completely or not at all.
    """
    write_frame(table.frame, path)


def write_frame(frame: pa.Table, path: Path) -> None:
    """Writes a frame without described columns, as `write` does."""
    if path.suffix == ".parquet":
        pq.write_table(frame, path)
    else:
        pacsv.write_csv(escape_formulas(frame), path, pacsv.WriteOptions(quoting_style="needed"))


def write_stream(batches: Iterable[pa.Table], path: Path) -> int:
    """Writes batches as one CSV, each on arrival, so that memory is bounded. Returns the number of rows."""
    rows, writer = 0, None
    try:
        for batch in batches:
            safe = escape_formulas(batch)
            writer = writer or pacsv.CSVWriter(path, safe.schema, write_options=pacsv.WriteOptions(quoting_style="needed"))
            writer.write_table(safe)
            rows += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows
