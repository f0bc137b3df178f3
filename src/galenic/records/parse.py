"""Parsing of a raw column as its described kind; errors name the row that does not fit, never its value."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from galenic.errors import RecordError
from galenic.records.cell_text import clean_text, is_nested
from galenic.records.number_formats import COMMA, number_values
from galenic.schema import ARROW_TYPES, Column

NUMBER = r"^[+-]?(\d{1,18}(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$"  # more digits are those of a code
INTEGER = r"^[+-]?\d{1,18}(\.0*)?$"
LEADING_ZERO = r"^0\d+$"
LARGEST = {"integer": 1e18, "date": 2.0**31}  # numbers that a column of the kind holds are smaller
TIME = r"(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?$"  # is cut off
DATE_FORMATS: dict[str, str] = {  # strptime format -> what it must look like
    "%Y-%m-%d": r"^\d{4}-\d{1,2}-\d{1,2}" + TIME,
    "%d/%m/%Y": r"^\d{1,2}/\d{1,2}/\d{4}" + TIME,
    "%m/%d/%Y": r"^\d{1,2}/\d{1,2}/\d{4}" + TIME,
    "%d.%m.%Y": r"^\d{1,2}\.\d{1,2}\.\d{4}" + TIME,
    "%Y/%m/%d": r"^\d{4}/\d{1,2}/\d{1,2}" + TIME,
    "%d-%m-%Y": r"^\d{1,2}-\d{1,2}-\d{4}" + TIME,
    "%m-%d-%Y": r"^\d{1,2}-\d{1,2}-\d{4}" + TIME,
    "%d-%b-%Y": r"^\d{1,2}-[A-Za-z]{3}-\d{4}" + TIME,
    "%d %B %Y": r"^\d{1,2} [A-Za-z]{3,9} \d{4}" + TIME,
    "%B %d, %Y": r"^[A-Za-z]{3,9} \d{1,2}, \d{4}" + TIME,
    "%Y%m%d": r"^(18|19|20)\d{2}(0\d|1[0-2])([0-2]\d|3[01])$",
}
TIMED_FORMATS = {
    f"%Y-%m-%d{sign}%H:%M:%S": "%Y-%m-%d" for sign in " T"
}  # declared formats with a time, of which the day is learned
DAYS = {  # strptime format -> where its day stands: strptime takes 30 February as 1 March
    form: "^" + form.replace(".", "[.]").replace("%Y", r"\d{4}").replace("%m", r"\d{1,2}").replace("%b", "[A-Za-z]{3}")
    .replace("%B", "[A-Za-z]{3,9}").replace("%d", r"(?P<day>\d{1,2})")
    for form in DATE_FORMATS
} | {"%Y%m%d": r"^\d{6}(?P<day>\d\d)"}  # fmt: skip


def matches(array: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Mask of the values that match a regular expression; null stays null."""
    return pc.match_substring_regex(array, pattern)


def parse_dates(array: pa.ChunkedArray, form: str) -> pa.ChunkedArray:
    """Strings as days (date32) by one format; null where a value does not fit it, or names a day that does not exist."""
    form = TIMED_FORMATS.get(form, form)
    fits = pc.fill_null(matches(array, DATE_FORMATS.get(form, ".")), False)
    array = pc.if_else(fits, array, pa.scalar(None, pa.string()))
    if form in DATE_FORMATS:
        array = pc.replace_substring_regex(array, r"[ T]\d{1,2}:\d{2}.*$", "")
    days = pc.strptime(array, format=form, unit="s", error_is_null=True).cast(pa.date32())
    if form not in DAYS:
        absent = pa.array([v for v in pc.unique(array).to_pylist() if v is not None and not _exists(v, form)], pa.string())
        return pc.if_else(pc.is_in(array, value_set=absent), pa.scalar(None, pa.date32()), days)
    written = pc.struct_field(pc.extract_regex(array, DAYS[form]), [0])
    exists = pc.fill_null(pc.equal(pc.cast(written, pa.int64()), pc.day(days)), False)
    return pc.if_else(exists, days, pa.scalar(None, pa.date32()))


def _exists(text: str, form: str) -> bool:
    """True if a date in an unusual format names an existing day."""
    try:
        datetime.strptime(text, form)  # a day, of no place
    except ValueError as error:
        return "day is out of range" not in str(error)
    return True


def _first_bad(good: pa.ChunkedArray, array: pa.ChunkedArray) -> int | None:
    """Index of the first value that is neither missing nor valid."""
    bad = pc.and_(pc.is_valid(array), pc.invert(pc.fill_null(good, False)))
    place = pc.index(bad, pa.scalar(True)).as_py()
    return None if place < 0 else int(place)


def _refuse(column: Column, row: int, expected: str, todo: str) -> RecordError:
    return RecordError(f"column {column.name!r}, row {row + 1}: not {expected}. {todo}")


def convert(array: pa.ChunkedArray, column: Column, offset: int = 0) -> pa.ChunkedArray:
    """The column in its kind's Arrow type; missing tokens become null. `offset` counts the rows before this batch."""
    target = ARROW_TYPES[column.kind]
    checked = pa.types.is_string(target) or (pa.types.is_floating(target) and column.strays == "missing")
    if array.type == target and not checked:
        return array
    if is_nested(array.type):
        raise RecordError(
            f"column {column.name!r} holds lists, structures or bytes; expected one number, date or text per row. Leave it out (--drop "
            f"{column.name}), or write one column for each of its parts."
        )
    if column.binned and (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return _from_numbers(array, column, offset)
    if column.kind == "date" and (pa.types.is_timestamp(array.type) or pa.types.is_date64(array.type)):
        local = pc.local_timestamp(array) if pa.types.is_timestamp(array.type) and array.type.tz is not None else array
        return local.cast(pa.timestamp("s"), safe=False).cast(pa.date32())
    text = clean_text(array, column.missing_tokens)
    if column.kind in ("numeric", "integer"):
        return _from_strings(text, column, offset)
    if column.kind == "date":
        return _dates(text, column, offset)
    return text


def _from_numbers(array: pa.ChunkedArray, column: Column, offset: int) -> pa.ChunkedArray:
    floats = array.cast(pa.float64(), safe=False)
    floats = pc.if_else(pc.fill_null(pc.is_nan(floats), True), pa.scalar(None, pa.float64()), floats)
    floats = _finite(floats, column, offset)
    if column.kind == "numeric":
        return floats
    if column.strays == "missing":
        floats = _where(pc.less(pc.abs(floats), LARGEST[column.kind]), floats)
    if column.kind == "date":
        return floats.cast(pa.int32(), safe=False).cast(pa.date32())
    whole = pc.equal(floats, pc.round(floats))
    if column.strays == "missing":
        floats = _where(whole, floats)
    bad = _first_bad(whole, floats)
    if bad is not None:
        raise _refuse(column, offset + bad, "an integer", 'Set kind = "numeric" for this column.')
    return floats.cast(pa.int64(), safe=False)


def _from_strings(text: pa.ChunkedArray, column: Column, offset: int) -> pa.ChunkedArray:
    expected = "a number" if column.kind == "numeric" else "an integer"
    floats = parse_numbers(text, column.format)
    if column.kind == "integer":
        written = pc.or_(
            matches(text, INTEGER), pc.invert(matches(text, NUMBER))
        )  # 1e5 is no whole number as people write them
        floats = _where(pc.and_(written, pc.equal(floats, pc.round(floats))), floats)
        floats = _where(pc.less_equal(pc.abs(floats), LARGEST["integer"]), floats)
    bad = _first_bad(pc.is_valid(floats), text) if column.strays == "refuse" else None
    if bad is not None:
        todo = (
            "If it marks a missing value, list it under missing_tokens; if the column mixes words and numbers, set kind = "
            '"category"; if values have a unit or a decimal comma, set a format, such as format = "# mg" or "#,#".'
        )
        raise _refuse(column, offset + bad, expected, todo)
    floats = _finite(floats, column, offset)
    if column.kind == "numeric":
        return floats
    exact = _where(pc.and_(matches(text, INTEGER), pc.is_valid(floats)), text)
    digits = pc.replace_substring_regex(pc.replace_substring_regex(exact, r"^\+", ""), r"\.0*$", "")
    return pc.coalesce(digits.cast(pa.int64()), floats.cast(pa.int64(), safe=False))


def parse_numbers(text: pa.ChunkedArray, form: str = "") -> pa.ChunkedArray:
    """Texts as numbers (double) by a number format; null where a text is missing or does not fit."""
    plain = pc.fill_null(matches(text, NUMBER), False)
    if COMMA in form:
        return number_values(text, form)
    floats = pc.replace_substring_regex(_where(plain, text), r"^\+", "").cast(pa.float64())
    others = _where(pc.invert(plain), text)
    return floats if others.null_count == len(others) else pc.coalesce(floats, number_values(others, form or "#"))


def _finite(floats: pa.ChunkedArray, column: Column, offset: int) -> pa.ChunkedArray:
    if column.strays == "missing":
        return _where(pc.is_finite(floats), floats)
    bad = _first_bad(pc.is_finite(floats), floats)
    if bad is not None:
        raise _refuse(column, offset + bad, "a finite number", "Correct the value, or leave it empty.")
    return floats


def _where(good: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values for which a mask is true; null elsewhere."""
    return pc.if_else(pc.fill_null(good, False), values, pa.scalar(None, values.type))


def _dates(text: pa.ChunkedArray, column: Column, offset: int) -> pa.ChunkedArray:
    days = parse_dates(text, column.format or "%Y-%m-%d")
    bad = _first_bad(pc.is_valid(days), text) if column.strays == "refuse" else None
    if bad is not None:
        todo = 'Write all dates of the column in one format and state it, such as format = "%d/%m/%Y".'
        raise _refuse(column, offset + bad, f"a date in the format {column.format or '%Y-%m-%d'}", todo)
    return days
