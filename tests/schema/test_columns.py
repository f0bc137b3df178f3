"""What a column and a table may be, and how values become levels."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galenic.errors import DescriptionError, RecordError
from galenic.schema import Column, Finding, NotMeasured, Report, Table, encode, from_json, to_json


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"kind": "number"}, id="unknown kind"),
        pytest.param({"low": 2.0, "high": 1.0}, id="bounds the wrong way round"),
        pytest.param({"low": float("nan"), "high": 1.0}, id="a bound that is no number"),
        pytest.param({"edges": (1.0, 1.0)}, id="edges that repeat"),
        pytest.param({"edges": (1.0,)}, id="one edge makes no bin"),
        pytest.param({"categories": ("a", "a")}, id="a category twice"),
        pytest.param({"step": 0.0}, id="a lattice without spacing"),
        pytest.param({"step": -1.0}, id="a lattice that runs backwards"),
        pytest.param({"bounds_origin": "guessed"}, id="an origin nobody knows"),
        pytest.param({"categories_origin": "guessed"}, id="an origin of categories nobody knows"),
        pytest.param({"role": "boss"}, id="unknown role"),
        pytest.param({"strays": "keep"}, id="unknown handling of strays"),
        pytest.param({"edges": (2.0, 1.0)}, id="edges that fall"),
        pytest.param({"edges": (0.0, 2.0, 1.0)}, id="edges of which the last falls"),
        pytest.param({"hierarchy": (0,)}, id="a beginning of no character"),
        pytest.param({"hierarchy": (1, 3)}, id="a hierarchy from short to long"),
        pytest.param({"hierarchy": (3, 3)}, id="a hierarchy that repeats"),
        pytest.param({"hierarchy": (3, 1), "kind": "numeric"}, id="numbers have no hierarchy"),
    ],
)
def test_a_column_that_contradicts_itself_is_refused(fields: dict) -> None:
    with pytest.raises(DescriptionError, match="column 'x'"):
        Column("x", **fields)


def test_a_table_names_the_columns_that_are_described_but_absent() -> None:
    frame = pa.table({"age": pa.array([1.0])})
    with pytest.raises(RecordError, match=r"columns \['sbp'\] are in the description but not in the data, which has \['age'\]"):
        Table(frame, (Column("sbp", "numeric", unit="mm[Hg]"),))


def test_a_table_of_another_type_than_described_is_refused() -> None:
    with pytest.raises(RecordError, match="a numeric column must have type double"):
        Table(pa.table({"age": ["1"]}), (Column("age", "numeric"),))


def test_values_outside_the_edges_fall_into_the_nearest_bin_and_missing_is_the_last_level() -> None:
    column = Column("x", "numeric", edges=(0.0, 1.0, 2.0))
    table = Table(pa.table({"x": pa.array([-5.0, 0.5, 1.0, 2.0, 9.0, None])}), (column,))
    assert encode(table, column).tolist() == [0, 0, 1, 1, 1, 2]


def test_an_unlisted_category_needs_other_and_its_value_is_not_repeated() -> None:
    table = Table(pa.table({"x": pa.array(["a", "secret"])}), (Column("x", "category", categories=("a",)),))
    assert encode(table, Column("x", "category", categories=("a",), other=True)).tolist() == [0, 1]
    with pytest.raises(RecordError, match="row 2") as refusal:
        encode(table, table.columns[0])
    assert "secret" not in str(refusal.value)


def test_a_date_with_an_anchor_is_counted_in_days_after_it() -> None:
    first, later = Column("a", "date"), Column("b", "date", anchor="a", edges=(0.0, 5.0, 10.0))
    days = pa.table(
        {"a": pa.array([10, 20], pa.int32()).cast(pa.date32()), "b": pa.array([13, 27], pa.int32()).cast(pa.date32())}
    )
    assert encode(Table(days, (first, later)), later).tolist() == [0, 1]


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), min_size=1, max_size=30))
def test_every_number_has_a_level(values: list) -> None:
    column = Column("x", "numeric", edges=(-10.0, 0.0, 10.0))
    codes = encode(Table(pa.table({"x": pa.array(values, pa.float64())}), (column,)), column)
    assert codes.min() >= 0
    assert codes.max() < column.levels
    assert [c == 2 for c in codes] == [v is None for v in values]


def test_a_measurement_that_failed_is_not_a_number() -> None:
    report = Report("table:7", (NotMeasured("membership attack", "only 2 rows"),))
    assert [str(f) for f in report.failures] == ["membership attack was not measured: only 2 rows"]
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="NotMeasured"):
            Finding("x", value, "m")


def test_a_report_reads_back_as_it_was_written() -> None:
    report = Report("s", (Finding("a", 1.5, "m", "higher", (1.0, 2.0), "public", {"k": 1}), NotMeasured("b", "why")))
    assert from_json(to_json(report)) == report
    assert np.isclose(report.only("public").findings[0].value, 1.5)


def test_a_column_at_the_edge_of_what_is_allowed_is_accepted() -> None:
    assert Column("x", "numeric", low=1.0, high=1.0, edges=(0.0, 1.0), step=0.001).levels == 2
    assert Column("x", "category", hierarchy=(3, 1), categories=("a", "b")).hierarchy == (3, 1)
    assert Column("x", hierarchy=(1,)).kind == "unknown"


@pytest.mark.parametrize(
    ("column", "levels", "coded"),
    [
        (Column("x", "numeric"), 1, False),
        (Column("x", "numeric", missing=False), 0, False),
        (Column("x", "date", edges=(0.0, 1.0, 2.0), missing=False), 2, True),
        (Column("x", "category"), 1, False),
        (Column("x", "category", categories=("a", "b"), missing=False), 2, True),
        (Column("x", "category", other=True, missing=False), 1, True),
        (Column("x", "ordinal", categories=("a",), other=True), 3, True),
    ],
)
def test_levels_are_bins_or_categories_with_other_and_missing(column: Column, levels: int, coded: bool) -> None:
    assert (column.levels, column.coded) == (levels, coded)


def test_a_missing_value_of_a_complete_column_is_refused_with_its_row() -> None:
    for column, values, why in (
        (Column("x", "numeric", edges=(0.0, 1.0), missing=False), pa.array([0.5, None]), "is missing, which"),
        (Column("x", "category", categories=("a",), missing=False), pa.array(["a", None]), "is missing or is not one of"),
    ):
        with pytest.raises(RecordError, match=f"row 2 of its batch: the value {why}"):
            encode(Table(pa.table({"x": values}), (column,)), column)


def test_a_code_that_is_not_listed_is_its_nearest_listed_parent() -> None:
    column = Column("x", "category", categories=("E11.9", "E11", "E"), hierarchy=(3, 1), other=True)
    codes = pa.array(["E11.9", "E11.2", "E10.1", "I10", None])
    assert encode(Table(pa.table({"x": codes}), (column,)), column).tolist() == [0, 1, 2, 3, 4]


def test_a_table_puts_columns_in_the_described_order_and_refuses_undescribed_ones() -> None:
    frame = pa.table({"b": pa.array([1.0]), "a": pa.array([2.0])})
    described = Table(frame, (Column("a", "numeric"), Column("b", "numeric")))
    assert described.names == tuple(described.frame.column_names) == ("a", "b")
    assert described.column("b").name == "b"
    with pytest.raises(KeyError):
        described.column("c")
    with pytest.raises(RecordError, match=r"columns \['b'\] are in the data but not in the description"):
        Table(frame, (Column("a", "numeric"),))


def test_a_report_gives_findings_by_name_and_audience() -> None:
    public, internal = Finding("a", 1.0, "m", audience="public"), NotMeasured("b", "why")
    report = Report("s", (public,)).plus(internal)
    assert report.get("a") is public
    assert report.get("b") is internal
    assert report.get("c") is None
    assert report.only("internal").findings == (internal,)
    assert report.failures == (internal,)
    assert from_json(to_json(Report("s", (Finding("a", 1.0, "m"),)))).findings[0].interval is None
