"""One raw column in its described type: numbers that are already numbers, numbers as text, dates, and rows that do not fit."""

from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from galenic.errors import RecordError
from galenic.records.parse import clean_text, convert, parse_dates
from galenic.schema import Column

NUMERIC, INTEGER, DAY, WORD = (Column("x", kind) for kind in ("numeric", "integer", "date", "category"))


def converted(values: pa.Array, column: Column, offset: int = 0) -> pa.ChunkedArray:
    return convert(pa.chunked_array([values]), column, offset)


@pytest.mark.parametrize(
    ("values", "column", "type_", "expected"),
    [
        pytest.param(pa.array([1, 2], pa.int16()), NUMERIC, pa.float64(), [1.0, 2.0], id="whole numbers as numeric"),
        pytest.param(pa.array([1.5, None], pa.float32()), NUMERIC, pa.float64(), [1.5, None], id="floats as numeric"),
        pytest.param(pa.array([1.0, 3.0]), INTEGER, pa.int64(), [1, 3], id="floats without a fraction as integer"),
        pytest.param(pa.array([7], pa.int8()), INTEGER, pa.int64(), [7], id="small integers as integer"),
        pytest.param(pa.array([0.0, 365.0]), DAY, pa.date32(), [date(1970, 1, 1), date(1971, 1, 1)], id="days since 1970"),
        pytest.param(pa.array([1, 2]), WORD, pa.string(), ["1", "2"], id="numbers that are codes stay text"),
        pytest.param(pa.array([1.5]), WORD, pa.string(), ["1.5"], id="a float that is a code stays text"),
        pytest.param(pa.array([1.25]), NUMERIC, pa.float64(), [1.25], id="already of its type"),
        pytest.param(pa.array([5]), INTEGER, pa.int64(), [5], id="already an integer"),
        pytest.param(pa.array([" a ", "NA"]), WORD, pa.string(), ["a", None], id="text is trimmed though of its type"),
    ],
)
def test_a_column_gets_the_type_of_its_kind(values: pa.Array, column: Column, type_: pa.DataType, expected: list) -> None:
    found = converted(values, column)
    assert found.type == type_
    assert found.to_pylist() == expected


@pytest.mark.parametrize("kind", ["numeric", "integer", "date"])
def test_not_a_number_is_missing_in_a_column_of_floats(kind: str) -> None:
    found = converted(pa.array([2.0, np.nan], pa.float32()), Column("x", kind))
    assert found.null_count == 1
    assert found[0].is_valid


def test_a_column_that_has_its_type_is_not_looked_at() -> None:
    assert np.isnan(converted(pa.array([np.nan]), NUMERIC)[0].as_py())


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_an_infinite_number_is_refused_with_its_row(bad: float) -> None:
    with pytest.raises(RecordError, match=r"column 'x', row 12: not a finite number"):
        converted(pa.array([1.0, bad], pa.float32()), NUMERIC, 10)
    with pytest.raises(RecordError, match=r"row 2: not an integer"):
        converted(pa.array(["1", "1e999"]), INTEGER)
    with pytest.raises(RecordError, match=r"row 2: not a finite number"):
        converted(pa.array(["1", "1e999"]), NUMERIC)


def test_a_fraction_is_no_integer_and_the_first_row_is_named() -> None:
    with pytest.raises(RecordError, match=r"row 8: not an integer. Set kind = .numeric."):
        converted(pa.array([1.0, None, 2.5, 3.5]), INTEGER, 5)
    with pytest.raises(RecordError, match=r"row 8: not an integer"):
        converted(pa.array(["1", None, "2.5", "x"]), INTEGER, 5)
    with pytest.raises(RecordError, match=r"row 8: not a number"):
        converted(pa.array(["1", None, "two", "x"]), NUMERIC, 5)


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12.0), ("+12", 12.0), ("-1.5", -1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001), ("1e308", 1e308)],
)
def test_numbers_are_read_as_they_are_usually_written(text: str, number: float) -> None:
    assert converted(pa.array([text]), NUMERIC).to_pylist() == [number]


@pytest.mark.parametrize("text", ["1,5", "1e1234", "1 000", ".", "0x10", "+-1", "1e", "--1"])
def test_what_only_looks_like_a_number_is_refused(text: str) -> None:
    column = Column("x", "numeric", missing_tokens=())
    with pytest.raises(RecordError, match="not a number"):
        converted(pa.array([text]), column)


@pytest.mark.parametrize(("text", "number"), [("+7", 7), ("-7", -7), ("7.", 7), ("7.00", 7), ("9" * 18, 10**18 - 1)])
def test_integers_may_have_a_sign_and_zeros_after_the_point(text: str, number: int) -> None:
    assert converted(pa.array([text]), INTEGER).to_pylist() == [number]


def test_an_integer_of_19_digits_is_refused() -> None:
    with pytest.raises(RecordError, match="not an integer"):
        converted(pa.array(["9" * 19]), INTEGER)


@pytest.mark.parametrize(("column", "expected"), [(NUMERIC, [1.0, None, 2.5]), (INTEGER, [1, None, None])])
def test_strays_of_a_bought_kind_become_missing(column: Column, expected: list) -> None:
    assert converted(pa.array(["1", "a word", "2.5"]), column.but(strays="missing")).to_pylist() == expected


def test_times_become_days_and_dates_are_read_in_the_stated_format() -> None:
    late = datetime(2024, 2, 29, 23, 59, 59)
    assert converted(pa.array([late], pa.timestamp("us")), DAY).to_pylist() == [date(2024, 2, 29)]
    assert converted(pa.array([date(2024, 2, 29)], pa.date64()), DAY).to_pylist() == [date(2024, 2, 29)]
    assert converted(pa.array(["2024-02-29", ""]), DAY).to_pylist() == [date(2024, 2, 29), None]
    assert converted(pa.array(["03/04/2024"]), DAY.but(format="%d/%m/%Y")).to_pylist() == [date(2024, 4, 3)]


def test_a_date_that_does_not_fit_is_refused_with_its_row_or_missing_where_the_kind_was_bought() -> None:
    values = pa.array(["2024-01-31", "31.01.2024"])
    with pytest.raises(RecordError, match=r"row 4: not a date in the format %Y-%m-%d"):
        converted(values, DAY, 2)
    with pytest.raises(RecordError, match=r"row 1: not a date in the format %d.%m.%Y"):
        converted(values, DAY.but(format="%d.%m.%Y"))
    assert converted(values, DAY.but(strays="missing")).to_pylist() == [date(2024, 1, 31), None]


def test_a_time_is_text_where_the_column_is_no_date() -> None:
    assert converted(pa.array([datetime(2024, 1, 2)], pa.timestamp("s")), WORD).type == pa.string()


def test_dates_of_another_shape_are_null() -> None:
    values = pa.chunked_array([pa.array(["2024-13-01", "24-01-01", None, "2024-1-1", "2024-01-01 25"])])
    assert parse_dates(values, "%Y-%m-%d").to_pylist() == [None, None, None, date(2024, 1, 1), None]


def test_of_a_time_with_a_zone_or_microseconds_the_day_is_read() -> None:
    times = ["2024-01-01T10:20:30.123456+02:00", "2024-01-02 00:00:00Z", "2024-01-03 7:05 PM"]
    assert parse_dates(pa.chunked_array([times]), "%Y-%m-%d").to_pylist() == [date(2024, 1, day) for day in (1, 2, 3)]


@pytest.mark.parametrize(
    ("form", "absent", "present"),
    [
        ("%Y-%m-%d", "2024-02-30", "2024-2-29"),
        ("%d/%m/%Y", "31/04/2024", "30/04/2024"),
        ("%m/%d/%Y", "02/29/2023", "2/28/2023"),
        ("%d.%m.%Y", "31.6.2024", "1.6.2024"),
        ("%Y/%m/%d", "1900/02/29", "2000/02/29"),
        ("%d-%b-%Y", "31-Nov-2024", "30-Nov-2024"),
        ("%Y%m%d", "20240230", "20240229"),
        ("%Y-%m-%d %H:%M:%S", "2024-02-30 10:00:00", "2024-02-29 10:00:00"),
        ("%Y-%m-%dT%H:%M:%S", "2023-02-29T10:00:00", "2023-02-28T10:00:00"),
        ("%d.%m.%y", "30.02.24", "29.02.24"),
    ],
)
def test_a_day_that_does_not_exist_is_no_other_day(form: str, absent: str, present: str) -> None:
    days = parse_dates(pa.chunked_array([pa.array([absent, present, None])]), form).to_pylist()
    assert days[0] is None
    assert days[1] is not None
    assert days[2] is None


def test_text_is_cleaned_whatever_its_arrow_type() -> None:
    coded = pa.chunked_array([pa.array([" f", "?", "m "]).dictionary_encode()])
    assert clean_text(coded, ("?",)).to_pylist() == ["f", None, "m"]
    assert clean_text(pa.chunked_array([pa.array([9, 12])]), ("9",)).to_pylist() == [None, "12"]
