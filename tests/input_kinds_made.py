"""Everyday kinds of tables as users have them, each with what must become of it: read rightly, or refused with a reason."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from galenic import records
from galenic.errors import InputError
from galenic.records import Source
from galenic.schema import Column

ROWS = 60
Make = Callable[[Path], Any]  # a path or a data frame, from an empty folder


@dataclass(frozen=True)
class InputKind:
    """A kind of input. values: of column "x" as they must be read, in the first rows; None for any. refused: part of the message of a
    refusal. notice: part of a notice that must be given. described: fields that the description of "x" must have."""

    name: str
    make: Make
    values: tuple[Any, ...] | None = None
    refused: str = ""
    notice: str = ""
    described: tuple[tuple[str, Any], ...] = ()
    column: str = "x"


def judge(kind: InputKind, folder: Path) -> str:
    """What is wrong with how a kind is handled; empty where it is right."""
    try:
        source = records.as_source(kind.make(folder))
        found = records.inspect_table(source)
        described = next((c for c in found.columns if c.name == kind.column), None)
        values = _values(source, described) if described is not None and kind.values is not None else ()
    except InputError as error:
        if kind.refused and kind.refused in str(error):
            return ""
        return f"refused: {error}"
    if kind.refused:
        return "was not refused"
    if described is None:
        return f"column {kind.column!r} is lost; there are {source.names}"
    wrong = [f"{name} is {getattr(described, name)!r}" for name, value in kind.described if getattr(described, name) != value]
    if kind.values is not None and values[: len(kind.values)] != kind.values:
        wrong.append(f"values are {values[: len(kind.values)]!r}")
    if kind.notice and not any(kind.notice in n for n in found.notices):
        wrong.append(f"notices are {found.notices!r}")
    return "; ".join(wrong)


def _values(source: Source, column: Column) -> tuple[Any, ...]:
    return tuple(source.table((column,)).frame[column.name].to_pylist())


def csv(values: list[str], *, header: str = "x", encoding: str = "utf-8", end: str = "\n") -> Make:
    """A CSV file of one column "x" beside a column "g" of two groups."""

    def make(folder: Path) -> Path:
        lines = [f"{header},g", *(f"{v},{'ab'[i % 2]}" for i, v in enumerate(values))]
        place = folder / "t.csv"
        place.write_bytes((end.join(lines) + end).encode(encoding))
        return place

    return make


def raw(content: bytes | str, name: str = "t.csv") -> Make:
    """A file of that content."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return folder / name

    return make


def frame(values: Any, dtype: str | None = None) -> Make:
    """A pandas data frame with a column "x"."""
    return lambda _folder: pd.DataFrame(
        {"x": pd.Series(values, dtype=dtype) if dtype else values, "g": ["a", "b"] * (len(values) // 2)}
    )


def arrow(array: pa.Array) -> Make:
    """An Arrow table with a column "x"."""
    return lambda _folder: pa.table({"x": array, "g": pa.array(["a", "b"] * (len(array) // 2))})


def parquet(array: pa.Array) -> Make:
    """A Parquet file with a column "x"."""

    def make(folder: Path) -> Path:
        pq.write_table(pa.table({"x": array, "g": pa.array(["a", "b"] * (len(array) // 2))}), folder / "t.parquet")
        return folder / "t.parquet"

    return make


def excel(change: Callable[[Any], None], sheet: str = "") -> Make:
    """A workbook; `change` fills its first sheet."""

    def make(folder: Path) -> str:
        workbook = openpyxl.Workbook()
        change(workbook.active)
        workbook.save(folder / "t.xlsx")
        return str(folder / "t.xlsx") + (f"#{sheet}" if sheet else "")

    return make


def _plain_sheet(sheet: Any) -> None:
    sheet.append(["x", "day", "g"])
    for i in range(ROWS):
        sheet.append([i % 7 + 0.5, datetime(2024, 1, 1 + i % 20), "ab"[i % 2]])


def _two_sheets(sheet: Any) -> None:
    _plain_sheet(sheet)
    sheet.parent.create_sheet("Second").append(["y"])
    sheet.parent["Second"].append([1])


def _merged(sheet: Any) -> None:
    _plain_sheet(sheet)
    sheet.merge_cells("A1:B1")


def _formula(sheet: Any) -> None:
    _plain_sheet(sheet)
    sheet["A3"] = "=A2*2"


def _title(sheet: Any) -> None:
    sheet.append(["Report of the ward"])
    _plain_sheet(sheet)


def zipped(names: dict[str, bytes]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PLAIN = b"x,g\n" + b"".join(b"%d,%s\n" % (i % 7, b"ab"[i % 2 : i % 2 + 1]) for i in range(ROWS))
FIRST = (0, 1, 2, 3)
NUMBERS = [f"{i % 7}.5" for i in range(ROWS)]


def _zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


def _index_frame(_folder: Path) -> pd.DataFrame:
    return pd.DataFrame({"x": range(ROWS)}, index=pd.Index([f"p{i}" for i in range(ROWS)], name="patient_id"))


def _levels_frame(_folder: Path) -> pd.DataFrame:
    return pd.DataFrame([[1, 2]] * ROWS, columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))


class PolarsLike:
    """A data frame of another library: all that is known of it is its Arrow C stream."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.table({"x": list(range(ROWS))}).__arrow_c_stream__(requested_schema)


N, W, C, D = (("kind", k) for k in ("numeric", "integer", "category", "date"))
KINDS: tuple[InputKind, ...] = (
    InputKind("one stray <0.01", csv([*NUMBERS[:-1], "<0.01"]), (0.5, 1.5), notice="read as the limit", described=(N,)),
    InputKind("one stray word", csv([*NUMBERS[:-1], "hemolyzed"]), (0.5, 1.5), notice="1 of 60 values are not numbers", described=(N,)),
    InputKind("only <30 and >30", csv(["<30", ">30"] * 30), ("<30", ">30"), described=(C,)),
    InputKind("timestamps with zone", csv(["2024-01-31T23:30:00+02:00"] * ROWS), (date(2024, 1, 31),), notice="only the day", described=(D,)),
    InputKind("timestamps with microseconds", csv(["2024-01-31 10:20:30.123456"] * ROWS), (date(2024, 1, 31),), notice="only the day"),
    InputKind("datetimes at midnight", csv(["2024-01-31 00:00:00"] * ROWS), (date(2024, 1, 31),), described=(D,)),
    InputKind("times of day", csv([f"{i % 24:02d}:{i:02d}" for i in range(ROWS)]), notice="times of day", described=(C,)),
    InputKind("20190704", csv([f"201907{1 + i % 28:02d}" for i in range(ROWS)]), (date(2019, 7, 1), date(2019, 7, 2)), notice="YYYYMMDD"),
    InputKind("20190704 as birth date", csv(["20190704"], header="birth_date"), column="birth_date", described=(D,)),
    InputKind("ICD-10 codes", csv([f"E1{i % 6}.{i % 3}" for i in range(ROWS)]), ("E10.0", "E11.1"), described=(C,)),
    InputKind("$1,234.50", csv([f'"${1 + i % 5},234.50"' for i in range(ROWS)]), (1234.5, 2234.5), notice="sign or unit", described=(N,)),
    InputKind("decimal commas", raw("x;g\n" + "".join(f"{i % 7},5;a\n" for i in range(ROWS))), (0.5, 1.5), notice="decimal point",
        described=(N,)),
    InputKind("thousands separators", csv([f'"{1 + i % 5},234"' for i in range(ROWS)]), (1234, 2234), notice="thousands", described=(W,)),
    InputKind("percent", csv([f"{i % 9}.5%" for i in range(ROWS)]), (0.5, 1.5), notice="sign or unit", described=(N,)),
    InputKind("values with a unit", csv([f"{1 + i % 9} mg" for i in range(ROWS)]), (1.0, 2.0), notice="sign or unit"),
    InputKind("values with mixed units", csv([f"{1 + i % 9} {'mg' if i % 2 else 'kg'}" for i in range(ROWS)]), described=(C,)),
    InputKind("list column in Parquet", parquet(pa.array([[1, 2]] * ROWS)), notice="lists, structures or bytes", described=(("role", "drop"),)),
    InputKind("nested structs", parquet(pa.array([{"a": 1}] * ROWS)), notice="lists, structures or bytes", described=(("role", "drop"),)),
    InputKind("integers beyond 2^63", csv([f"{10**19 + i % 3}" for i in range(ROWS)]), (str(10**19), str(10**19 + 1)), described=(C,)),
    InputKind("unsigned integers beyond 2^63", parquet(pa.array([2**63 + i % 3 for i in range(ROWS)], pa.uint64())), (str(2**63),),
        described=(C,)),
    InputKind("booleans with missing", parquet(pa.array([True, False, None] * 20)), ("true", "false", None), described=(C, ("missing", True))),
    InputKind("yes and no", csv(["yes", "no"] * 30), ("yes", "no"), described=(C,)),
    InputKind("0 and 1", csv(["0", "1"] * 30), (0, 1), described=(W, ("low", 0.0), ("high", 1.0))),
    InputKind("leading zeros", csv([f"00{i % 9}" for i in range(ROWS)]), ("000", "001"), described=(C,)),
    InputKind("ZIP codes", csv(["94538", "94251", "95173"] * 20, header="zip"), ("94538", "94251"), column="zip", described=(C,)),
    InputKind("many ZIP codes", csv([f"{90_000 + 7 * i}" for i in range(ROWS)] * 3, header="zip_code"), column="zip_code", described=(C,)),
    InputKind("numeric column named key_risk", csv([f"{i * 3}" for i in range(ROWS)], header="key_risk"), (0, 3), column="key_risk",
        described=(W,)),
    InputKind("Excel workbook", excel(_plain_sheet), (0.5, 1.5), described=(N,)),
    InputKind("Excel dates", excel(_plain_sheet), (date(2024, 1, 1),), column="day", described=(D,)),
    InputKind("Excel with several sheets", excel(_two_sheets), refused="has 2 sheets with cells"),
    InputKind("Excel with a named sheet", excel(_two_sheets, "Sheet"), (0.5, 1.5), described=(N,)),
    InputKind("Excel with a merged header", excel(_merged), refused="cells are merged"),
    InputKind("Excel formula without a result", excel(_formula), refused="a formula without a stored result"),
    InputKind("Excel with a title above the header", excel(_title), refused="Delete titles above the header"),
    InputKind("old Excel file (.xls)", raw(b"\xd0\xcf\x11\xe0" + b"\0" * 600, "t.xls"), refused="save it as .xlsx or CSV"),
    InputKind("gzip", raw(gzip.compress(PLAIN), "t.csv.gz"), FIRST),
    InputKind("zip", raw(zipped({"t.csv": PLAIN, "__MACOSX/t.csv": b"x"}), "t.zip"), FIRST),
    InputKind("zip with two tables", raw(zipped({"a.csv": PLAIN, "b.csv": PLAIN}), "t.zip"), refused="holds 2 files"),
    InputKind("bz2", raw(bz2.compress(PLAIN), "t.csv.bz2"), FIRST),
    InputKind("zstd", raw(_zstd(PLAIN), "t.csv.zst"), FIRST),
    InputKind("damaged gzip", raw(gzip.compress(PLAIN)[:-12], "t.csv.gz"), refused="cannot be unpacked"),
    InputKind("TSV", raw(PLAIN.replace(b",", b"\t"), "t.tsv"), FIRST),
    InputKind("semicolons", raw(PLAIN.replace(b",", b";")), FIRST),
    InputKind("pipes", raw(PLAIN.replace(b",", b"|"), "t.txt"), FIRST),
    InputKind("commas within quotes and semicolons", raw('"a,b";x\n' + "1;2\n" * ROWS), (2, 2)),
    InputKind("sep= line", raw(b"sep=;\n" + PLAIN.replace(b",", b";")), FIRST),
    InputKind("UTF-16", raw(PLAIN.decode().encode("utf-16")), FIRST),
    InputKind("byte order mark", raw(b"\xef\xbb\xbf" + PLAIN), FIRST),
    InputKind("Latin-1", csv(["Köln", "Zürich"] * 30, encoding="latin-1"), ("Köln", "Zürich")),
    InputKind("CRLF", raw(PLAIN.replace(b"\n", b"\r\n")), FIRST),
    InputKind("CR", raw(PLAIN.replace(b"\n", b"\r")), FIRST),
    InputKind("quoted newlines", csv(['"a\nb"', "c"] * 30), ("a\nb", "c")),
    InputKind("quote that never closes", raw(PLAIN + b'"3,a\n'), refused="never closed"),
    InputKind("duplicate column names", raw("x,x\n1,2\n"), refused="appear more than once"),
    InputKind("empty column name", raw(",x\n" + "".join(f"{i},{i % 7}\n" for i in range(ROWS))), FIRST),
    InputKind("trailing empty columns", raw("x,,\n" + "".join(f"{i % 7},,\n" for i in range(ROWS))), FIRST),
    InputKind("column without values", raw("x,y\n" + ",1\n" * ROWS), (None, None), notice="has no values"),
    InputKind("constant column", csv(["ward 3"] * ROWS), ("ward 3",), notice="one value in every row"),
    InputKind("words for missing", csv(["NA", "N/A", "null", "?", ".", "5"] * 10), (None, None, None, None, None, 5), described=(W,)),
    InputKind("dashes in numbers", csv([*[f"{i % 9}" for i in range(ROWS * 5)], "-"]), FIRST, notice="1 of 301 values are not numbers"),
    InputKind("999 for missing", csv([*[f"{i % 9}" for i in range(ROWS)], "999"]), FIRST, notice="looks like a code for missing"),
    InputKind("-9 for missing", csv([*[f"{i % 9}" for i in range(ROWS)], "-9"]), FIRST, notice="looks like a code for missing"),
    InputKind("plus and minus", csv(["+", "-"] * 30), ("+", "-"), described=(C,)),
    InputKind("numbers and words", csv(["1", "high"] * 30), ("1", "high"), described=(C,), notice=""),
    InputKind("very long text", csv(["word " * 2_000 + str(i) for i in range(ROWS)]), notice="free text", described=(("role", "drop"),)),
    InputKind("emoji", csv(["😀", "💊"] * 30), ("😀", "💊"), described=(C,)),
    InputKind("negative zero", csv(["-0", "0", "1"] * 20), (0, 0, 1), described=(W,)),
    InputKind("scientific notation", csv(["1e3", "2.5E-2"] * 30), (1000.0, 0.025), described=(N,)),
    InputKind("inf and nan as text", csv([*NUMBERS * 4, "inf", "nan"]), (0.5, 1.5), notice="1 of 241 values are not numbers"),
    InputKind("two-digit years", csv(["31.12.45", "01.02.99"] * 30), notice="two-digit years", described=(C,)),
    InputKind("ambiguous dates", csv(["01/02/2024", "03/04/2024"] * 30), notice="day and month cannot be told apart",
        described=(D, ("format", ""))),
    InputKind("month names", csv(["3 March 2024", "14 May 2024"] * 30), (date(2024, 3, 3), date(2024, 5, 14)), described=(D,)),
    InputKind("American month names", csv(['"March 3, 2024"'] * ROWS), (date(2024, 3, 3),), described=(D,)),
    InputKind("dates before 1900 and after 2100", csv(["1850-01-01", "2150-12-31"] * 30), (date(1850, 1, 1), date(2150, 12, 31)),
        described=(D,)),
    InputKind("day that does not exist", csv([*["2024-02-28"] * ROWS, "2023-02-29"]), (date(2024, 2, 28),), notice="are not dates"),
    InputKind("ordinal words", csv(["mild", "moderate", "severe"] * 20), ("mild", "moderate"), described=(C,)),
    InputKind("column with spaces", csv(["1", "2"] * 30, header="blood pressure (mmHg)"), (1, 2), column="blood pressure (mmHg)"),
    InputKind("column in another script", csv(["1", "2"] * 30, header="血压"), (1, 2), column="血压"),
    InputKind("very long column name", csv(["1", "2"] * 30, header="n" * 5_000), (1, 2), column="n" * 5_000),
    InputKind("missing header", raw("1,2.5\n3,4.5\n5,6.5\n"), refused="looks like values, not like column names"),
    InputKind("years as column names", raw("x,2019,2020,2021\n" + "1,2,3,4\n" * ROWS), (1, 1)),
    InputKind("one row", raw("x,y\n1,a\n"), (1,)),
    InputKind("one column", raw("x\n" + "1\n2\n" * 30), (1, 2)),
    InputKind("no rows", raw("x,y\n"), refused="has a header but no rows"),
    InputKind("empty file", raw(""), refused="is empty"),
    InputKind("more columns than rows", raw("x," + ",".join(f"c{i}" for i in range(500)) + "\n" + "1" * 1 + ",2" * 500 + "\n"), (1,)),
    InputKind("row with another length", raw(PLAIN + b"1,2,3\n"), refused="3 values where the header names 2 columns"),
    InputKind("JSON", raw('[{"x": 1, "g": "a"}, {"x": 2}]', "t.json"), (1, 2), described=(W,)),
    InputKind("JSON Lines", raw('{"x": 1.50}\n{"x": null}\n', "t.jsonl"), (1.5, None), described=(N,)),
    InputKind("nested JSON", raw('[{"x": {"a": 1}}]', "t.json"), notice="lists, structures or bytes"),
    InputKind("FHIR JSON given as a table", raw('[{"resourceType": "Patient"}]', "t.json"), refused="galenic records import"),
    InputKind("PDF given as a table", raw(b"%PDF-1.7 ...", "t.pdf"), refused="is a PDF document"),
    InputKind("Word document given as a table", raw(zipped({"word/document.xml": b"<x/>"}), "t.docx"), refused="an Office document"),
    InputKind("web page given as a table", raw("<!DOCTYPE html><table></table>", "t.csv"), refused="XML or HTML document"),
    InputKind("pickle given as a table", raw(b"\x80\x04\x95" + b"\0" * 9, "t.pkl"), refused="never opened"),
    InputKind("folder given as a table", lambda folder: folder, refused="is a folder"),
    InputKind("missing file", lambda folder: folder / "none.csv", refused="is not a file"),
    InputKind("NUL bytes", raw(PLAIN + b"\0,a\n"), refused="NUL bytes"),
    InputKind("pandas", frame(list(range(ROWS))), FIRST, described=(W,)),
    InputKind("pandas with a named index", _index_frame, FIRST, described=(W,)),
    InputKind("pandas index as the patient", _index_frame, column="patient_id", described=(("role", "patient"),)),
    InputKind("pandas after a filter", lambda f: pd.DataFrame({"x": range(ROWS * 2)}).iloc[::2], (0, 2)),
    InputKind("pandas with levels of columns", _levels_frame, refused="column names of several levels"),
    InputKind("pandas category", frame(["low", "high"] * 30, "category"), ("low", "high"), described=(C,)),
    InputKind("pandas nullable integers", frame([1, None] * 30, "Int64"), (1, None), described=(W,)),
    InputKind("pandas nullable booleans", frame([True, None] * 30, "boolean"), ("true", None), described=(C,)),
    InputKind("pandas strings", frame(["a", None] * 30, "string"), ("a", None), described=(C,)),
    InputKind("pandas floats that are whole", frame([1.0, np.nan] * 30), (1, None), described=(W,)),
    InputKind("pandas timedelta", frame(pd.to_timedelta(["90min", "2h"] * 30)), (1.5, 2.0), described=(N,)),
    InputKind("pandas timestamps with zone", frame(pd.to_datetime(["2024-01-31 23:30"] * ROWS).tz_localize("America/New_York")),
        (date(2024, 1, 31),),
        described=(D,)),
    InputKind("pandas complex numbers", frame([1 + 2j] * ROWS), refused="complex numbers"),
    InputKind("pandas objects with dictionaries", frame([{"a": 1}] * ROWS), notice="lists, structures or bytes"),
    InputKind("pandas mixed types", frame([1, "two", 3.5, None] * 15), ("1", "two", "3.5", None), described=(C,)),
    InputKind("pandas numbers as column names", lambda f: pd.DataFrame({0: range(ROWS)}), column="0", values=FIRST),
    InputKind("Arrow dictionary", arrow(pa.array(["u", "v"] * 30).dictionary_encode()), ("u", "v"), described=(C,)),
    InputKind("Arrow decimals", parquet(pa.array([Decimal("1.50"), Decimal("2.25")] * 30)), (1.5, 2.25), described=(N,)),
    InputKind("Arrow large strings", arrow(pa.array(["u", "v"] * 30, pa.large_string())), ("u", "v"), described=(C,)),
    InputKind("Arrow timestamps with zone",
        parquet(pa.array([datetime(2024, 1, 31, 23, 30, tzinfo=ZoneInfo("America/New_York"))] * ROWS, pa.timestamp("us", "America/New_York"))),
        (date(2024, 1, 31),),
        described=(D,)),
    InputKind("Arrow times", arrow(pa.array([time(10, 30)] * ROWS)), notice="times of day"),
    InputKind("Arrow durations", arrow(pa.array([timedelta(hours=3)] * ROWS)), (3, 3)),
    InputKind("Arrow bytes", arrow(pa.array([b"ab"] * ROWS)), notice="lists, structures or bytes"),
    InputKind("Feather", lambda f: feather.write_feather(pa.table({"x": list(range(ROWS))}), f / "t.feather") or f / "t.feather", FIRST),
    InputKind("polars and others with an Arrow stream", lambda _folder: PolarsLike(), FIRST),
    InputKind("list of dictionaries", lambda _folder: [{"x": i} for i in range(ROWS)], FIRST),
    InputKind("number in place of a table", lambda _folder: 7, refused="cannot be read as a table"),
)  # fmt: skip
