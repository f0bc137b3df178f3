"""What a column holds, as far as its values and its name tell: kinds, units, steps, and columns that identify people."""

import pyarrow as pa
import pytest

from galenic import records
from galenic.records.column_inference import _ColumnStatistics as Statistics
from galenic.records.column_inference import ambiguous_dates, describe, looks_identifying, suspicious
from galenic.schema import Column


def column(values: list[str | None], name: str = "x") -> Column:
    return describe(records.in_memory(pa.table({name: values})))[0]


@pytest.mark.parametrize(
    ("values", "kind", "step", "bounds"),
    [
        pytest.param(["1", "2", "3"], "integer", 1.0, (1.0, 3.0), id="whole numbers"),
        pytest.param(["-5", "+7"], "integer", 1.0, (-5.0, 7.0), id="signs"),
        pytest.param(["1.0", "2"], "integer", 1.0, (1.0, 2.0), id="zeros after the point"),
        pytest.param(["1.5", "2"], "numeric", 0.1, (1.5, 2.0), id="one decimal"),
        pytest.param(["1.25", "2.5"], "numeric", 0.01, (1.25, 2.5), id="two decimals"),
        pytest.param(["1.2345", "2"], "numeric", 0.0001, (1.2345, 2.0), id="four decimals lie on a lattice"),
        pytest.param(["1.23456", "2"], "numeric", None, (1.23456, 2.0), id="five decimals lie on none"),
        pytest.param(["1", "two"], "category", None, (None, None), id="a word among numbers"),
        pytest.param(["01", "02"], "category", None, (None, None), id="zeros before a digit are a code"),
        pytest.param(["0", "1"], "integer", 1.0, (0.0, 1.0), id="a zero alone is a number"),
    ],
)
def test_the_kind_of_numbers(values: list[str | None], kind: str, step: float | None, bounds: tuple) -> None:
    found = column(values)
    assert (found.kind, found.step) == (kind, pytest.approx(step) if step else None)
    assert (found.low, found.high) == bounds


@pytest.mark.parametrize(
    ("values", "kind", "form"),
    [
        (["2024-01-31", "2024-02-01"], "date", "%Y-%m-%d"),
        (["31/01/2024", "01/02/2024"], "date", "%d/%m/%Y"),
        (["01/31/2024"], "date", "%m/%d/%Y"),
        (["01/02/2024", "03/04/2024"], "date", ""),
        (["2024-01-31", "unknown"], "category", ""),
        (["20240131"], "integer", ""),
    ],
)
def test_dates_have_the_one_format_that_all_values_fit(values: list[str | None], kind: str, form: str) -> None:
    found = column(values)
    assert (found.kind, found.format) == (kind, form)
    assert ambiguous_dates((found,)) == (("x",) if kind == "date" and not form else ())


def test_missing_tokens_are_missing_and_a_column_of_nothing_is_a_category() -> None:
    assert column(["1", "NA"]).missing
    assert not column(["1", "2"]).missing
    empty = column(["", "?"])
    assert (empty.kind, empty.categories, empty.missing) == ("category", (), True)


def test_up_to_sixty_categories_are_listed_and_more_are_other() -> None:
    few, many = (column([f"c{i:03d}x" for i in range(n)] * 3) for n in (60, 61))
    assert (len(few.categories), few.other, few.categories_origin) == (60, False, "observed")
    assert (many.categories, many.other) == ((), True)
    assert list(few.categories) == sorted(few.categories)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("age_years", "a"),
        ("sbp_mmHg", "mm[Hg]"),
        ("glucose (mg/dL)", "mg/dL"),
        ("weight [kg]", "kg"),
        ("glucose_mg_dl", "mg/dL"),
        ("ldl mmol", "mmol/L"),
        ("share_pct", "%"),
        ("years_since", "a"),
        ("name (much too long for a unit)", ""),
        ("plain", ""),
        ("kg", "kg"),
    ],
)
def test_units_are_read_from_the_parts_of_a_name(name: str, unit: str) -> None:
    assert column(["1", "2"], name).unit == unit


def statistics(values: list[str]) -> Statistics:
    found = Statistics()
    found.add(pa.chunked_array([pa.array(values)]))
    return found


def repeated(distinct: int, of: int) -> list[str]:
    return [f"w{i % distinct}" for i in range(of)]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        pytest.param("x", repeated(20, 20), True, id="20 values, each its own"),
        pytest.param("x", repeated(19, 19), False, id="19 values are too few to tell"),
        pytest.param("x", repeated(90, 100), False, id="nine of ten distinct"),
        pytest.param("x", repeated(91, 100), True, id="more than nine of ten distinct"),
        pytest.param("mrn", repeated(50, 100), True, id="half distinct under the name of an identifier"),
        pytest.param("mrn", repeated(49, 100), True, id="fewer under that name"),
        pytest.param("mrn", repeated(11, 100), True, id="just over a tenth under that name"),
        pytest.param("mrn", repeated(10, 100), False, id="a tenth under that name"),
        pytest.param("mrn", repeated(19, 19), False, id="too few under that name"),
        pytest.param("x", [f"0{i}" for i in range(20)], True, id="leading zeros"),
        pytest.param("x", [str(i) for i in range(20)], False, id="small numbers"),
        pytest.param("x", [str(i * 22) for i in range(20)], True, id="numbers spread over more than twenty times their count"),
        pytest.param("x", [str(i * 21) for i in range(20)], False, id="numbers spread over less"),
        pytest.param("x", [f"{i * 100}.5" for i in range(20)], False, id="fractions"),
        pytest.param("x", [f"a b c w{i}" for i in range(20)], False, id="three spaces: text"),
        pytest.param("x", [f"a b w{i}" for i in range(20)], True, id="two spaces: a name"),
        pytest.param("x", [f"a w{i}" for i in range(21)], True, id="one space"),
        pytest.param("x", [f"a b c d w{i}" for i in range(20)], False, id="four spaces: text"),
    ],
)
def test_nearly_every_row_has_its_own_identifier(name: str, values: list[str], expected: bool) -> None:
    assert looks_identifying(name, statistics(values)) is expected


def test_free_text_has_three_spaces_a_value_and_is_seldom_repeated() -> None:
    assert column([f"a b c w{i}" for i in range(21)] + ["a b c d"] * 79).kind == "text"
    assert column([f"a b c w{i}" for i in range(19)] + ["a b c d"] * 81).kind == "category"
    assert column([f"a b w{i}" for i in range(21)] + ["a b d"] * 79).kind == "category"
    assert column([f"a b c w{i}" for i in range(21)] + ["a b c d"] * 79).role == "drop"


def test_the_patient_is_recognized_by_name_and_never_missing() -> None:
    rows = pa.table({"visit_id": [str(i) for i in range(4)], "patient_id": ["a", "a", "b", "c"], "x": ["1", "2", "3", "4"]})
    found = {c.name: c for c in describe(records.in_memory(rows))}
    assert (found["patient_id"].role, found["patient_id"].kind, found["patient_id"].missing) == ("patient", "identifier", False)
    assert found["visit_id"].role != "patient"
    assert {c.name: c.role for c in describe(records.in_memory(rows), "x")}["x"] == "patient"
    one = pa.table({"patient_id": ["a", "a"], "x": ["1", "2"]})
    assert describe(records.in_memory(one))[0].role == "value"


def test_columns_that_look_like_identifiers_or_text_are_told_apart() -> None:
    rows = pa.table({"note": [f"a b c w{i}" for i in range(40)], "code": [f"k{i}" for i in range(40)], "sex": ["f", "m"] * 20})
    source = records.in_memory(rows)
    assert suspicious(source, ("note", "code", "sex")) == {"note": "text", "code": "identifier"}
    assert suspicious(source, ("sex", "note")) == {"note": "text"}
    assert suspicious(source, ()) == {}


def test_statistics_add_up_over_batches() -> None:
    found = Statistics()
    for values in (["1", "2.25", None], ["-3", "10"], [None]):
        found.add(pa.chunked_array([pa.array(values, pa.string())]))
    assert (found.rows, found.present, found.integers, found.numbers, found.decimals) == (6, 4, 3, 4, 2)
    assert (found.low, found.high, found.distinct_share, found.length, found.words) == (-3.0, 10.0, 1.0, 9, 0)
    assert Statistics().distinct_share == 0.0
