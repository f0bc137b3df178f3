"""CSV files in forms: rows by named columns, with the errors of each row; no value of a cell is repeated in an error."""

import csv
import io
from dataclasses import dataclass

from fastapi import UploadFile

from galenic.errors import OptionError

MOST_BYTES = 2**20
MOST_ROWS = 2_000


@dataclass(frozen=True)
class RowError:
    """An error in a row. row: number of the line, the header being line 1."""

    row: int
    text: str


def read_upload(upload: UploadFile) -> str:
    """The text of an uploaded CSV file."""
    raw = upload.file.read(MOST_BYTES + 1)
    if not raw:
        raise OptionError("choose a CSV file. The one that was sent is empty.")
    if len(raw) > MOST_BYTES:
        raise OptionError("the CSV file is larger than 1 MiB. Split it.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise OptionError("the CSV file is not UTF-8 text. Save it as “CSV UTF-8”.") from None


def parse_rows(text: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[tuple[int, dict[str, str]]]:
    """(line number, value by column) of each row that is not empty. Separator: comma or semicolon."""
    first = text.split("\n", 1)[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    lines = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        header = [name.strip().casefold() for name in next(lines, [])]
        missing = [name for name in needed if name not in header]
        unknown = sorted({name for name in header if name} - {*needed, *optional})
        if missing or unknown:
            wrong = f"lacks the column {', '.join(missing)}" if missing else "has columns that are not known here"
            raise OptionError(f"the CSV file {wrong}. Expected columns: {', '.join((*needed, *optional))}.")
        if len(header) != len(set(header)):
            raise OptionError("the CSV file has a column twice. Remove one of them.")
        rows = [(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    except csv.Error:
        raise OptionError("the file is not a CSV table. Expected a header line and one row for each entry.") from None
    if not rows:
        raise OptionError("the CSV file has no rows below its header.")
    if len(rows) > MOST_ROWS:
        raise OptionError(f"the CSV file has more than {MOST_ROWS:,} rows. Split it.")
    return [(n, {**dict.fromkeys(header, ""), **dict(zip(header, map(str.strip, row), strict=False))}) for n, row in rows]
