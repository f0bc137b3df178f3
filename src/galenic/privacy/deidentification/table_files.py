"""Table files: recognized file names, values as text, and a writer that keeps the format."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from galenic import records
from galenic.records import Source

EXTENSIONS = (".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather")
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".xlsm", ".xlsb")


class TableWriter:
    """Writer of Parquet as Parquet, Arrow as Arrow, and all others as CSV without spreadsheet formulas."""

    def __init__(self, out: Path, source: Source) -> None:
        self.out, self.source = out, source
        self.writer: Any = None

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def write(self, table: pa.Table) -> None:
        """Write one more batch."""
        kind = self.out.suffix.lower()
        if kind not in (".parquet", ".pq", ".arrow", ".feather"):
            table = records.escape_formulas(table)
        if self.writer is None:
            self.writer = self._open(kind, table.schema)
        self.writer.write_table(table.cast(self.writer.schema) if kind in (".parquet", ".pq") else table)

    def _open(self, kind: str, schema: pa.Schema) -> Any:
        import pyarrow.csv as pacsv  # noqa: PLC0415

        if kind in (".parquet", ".pq"):
            return pq.ParquetWriter(self.out, schema, compression="zstd")
        if kind in (".arrow", ".feather"):
            return pa.ipc.new_file(str(self.out), schema)
        delimiter = "\t" if kind == ".tsv" else ","
        return pacsv.CSVWriter(self.out, schema, write_options=pacsv.WriteOptions(quoting_style="needed", delimiter=delimiter))
