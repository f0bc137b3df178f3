"""Reading of one sheet of an Excel workbook (.xlsx) as a table of text; what would be lost silently is refused."""

import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa

from galenic.errors import RecordError
from galenic.records.source import Source, in_memory

LARGEST_UNPACKED = 256 << 20  # bytes of XML; openpyxl takes about 20 times as much memory
Rows = list[tuple[Any, ...]]


def read_excel(path: Path, sheet: str = "") -> Source:
    """The table on a sheet: names in the first row that is not empty, one row per record. RecordError for several sheets, merged cells,
    or formulas without a stored result."""
    with zipfile.ZipFile(path) as archive:
        if sum(i.file_size for i in archive.infolist()) > LARGEST_UNPACKED:
            raise RecordError(f"{path} is too large for an Excel reader. Save the sheet as CSV, or convert it to Parquet.")
    worksheet = _sheet(path, _workbook(path, values=False), sheet)
    merged = sorted(str(r) for r in worksheet.merged_cells.ranges)
    if merged:
        raise RecordError(
            f"{path}, sheet {worksheet.title!r}: cells are merged ({', '.join(merged[:4])}). Expected one name or value in each cell. "
            "Unmerge them, and fill in each cell."
        )
    formulas = any(cell.data_type == "f" for row in worksheet.iter_rows() for cell in row)
    if formulas:
        written = worksheet
        worksheet = _workbook(path, values=True)[worksheet.title]
        _require_results(path, written, worksheet)
    return _table(path, worksheet.title, [tuple(row) for row in worksheet.iter_rows(values_only=True)])


def _workbook(path: Path, *, values: bool) -> Any:
    try:
        return openpyxl.load_workbook(path, data_only=values)
    except Exception as error:  # noqa: BLE001  # whatever a damaged workbook makes the library raise
        raise RecordError(
            f"{path} cannot be read as an Excel workbook ({type(error).__name__}). Save it again as .xlsx or CSV."
        ) from None


def _sheet(path: Path, workbook: Any, name: str) -> Any:
    filled = {s.title: s for s in workbook.worksheets if s.max_row > 1 or s.max_column > 1 or s["A1"].value is not None}
    if name:
        if name not in filled:
            raise RecordError(f"{path} has no sheet {name!r} with cells. Its sheets are {list(filled)}. Name one of them.")
        return filled[name]
    if not filled:
        raise RecordError(f"{path} is empty. Expected a row of column names and at least one row of values.")
    if len(filled) > 1:
        first = next(iter(filled))
        raise RecordError(
            f"{path} has {len(filled)} sheets with cells: {list(filled)}. Name one, such as '{path.name}#{first}'."
        )
    return next(iter(filled.values()))


def _require_results(path: Path, written: Any, results: Any) -> None:
    for row in written.iter_rows():
        for cell in row:
            if cell.data_type == "f" and results[cell.coordinate].value is None:
                raise RecordError(
                    f"{path}, sheet {written.title!r}, cell {cell.coordinate}: a formula without a stored result. Open the workbook in "
                    "a spreadsheet program and save it again, or replace formulas by their values."
                )


def _table(path: Path, sheet: str, rows: Rows) -> Source:
    where = f"{path}, sheet {sheet!r}"
    rows = [row for row in rows if any(v is not None for v in row)]
    if len(rows) < 2:
        raise RecordError(f"{where} has a header but no rows. Expected at least one row of values.")
    width = max(i + 1 for row in rows for i, v in enumerate(row) if v is not None)
    header, body = rows[0][:width], rows[1:]
    names = ["" if v is None else _text(v) for v in header]
    if sum(bool(n.strip()) for n in names) * 2 < width:
        raise RecordError(
            f"{where}: the first row has a name for fewer than half of {width} columns. Delete titles above the header."
        )
    columns = list(zip(*(row[:width] for row in body), strict=True))
    kept = [i for i, name in enumerate(names) if name.strip() or any(v is not None for v in columns[i])]
    arrays = [pa.array([None if v is None else _text(v) for v in columns[i]], pa.string()) for i in kept]
    return in_memory(pa.Table.from_arrays(arrays, names=[names[i].strip() or f"unnamed_{i + 1}" for i in kept]), str(path))


def _text(value: Any) -> str:
    """A cell as CSV would hold it: dates as ISO 8601, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value.total_seconds() / 3600)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
