"""Charts: categories by label, ordered values in their order, dates as dates, scales on heat maps."""

import re
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from galenic.evidence.tables import bin_column
from galenic.evidence.tables.fidelity import level_label
from galenic.release.association_charts import association_charts, group_charts
from galenic.release.column_charts import column_charts
from galenic.schema import Column, Kind, Table


def labels(column: Column, values: list[object], real: list[object] | None = None) -> list[str]:
    """Labels of the chart of one column, in order; shares are left out."""
    tables = [Table(pa.table({column.name: v}), (column,)) for v in (values, real) if v is not None]
    (chart,) = column_charts(tables[0], tables[1] if real is not None else None, "data")
    return [t for t in re.findall(r"<text[^>]*>([^<]*)</text>", str(chart.svg)) if not t.endswith("%")]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        pytest.param("integer", [0, 1, 1, 1], ["0", "1"], id="a yes or no has two bars"),
        pytest.param("category", ["0", "25", "95", "50", "100", "25"], ["0", "25", "50", "95", "100"], id="numbers as text"),
        pytest.param("category", ["[70-80)", "[0-10)", "[70-80)"], ["[0-10)", "[70-80)"], id="ranges"),
        pytest.param("category", ["b", "a", "b"], ["b", "a"], id="the most frequent first"),
        pytest.param("category", [*"aaabbcdefghijk"], [*"abcdefg", "all others"], id="rare categories are one bar"),
        pytest.param("category", ["x", None], ["x", "missing"], id="missing values have a bar"),
    ],
)
def test_categories_and_few_values_are_labeled_bars(kind: Kind, values: list[object], expected: list[str]) -> None:
    assert labels(Column("x", kind), values) == expected


def test_ordered_categories_keep_their_order() -> None:
    column = Column("stage", "ordinal", categories=("low", "medium", "high"))
    assert labels(column, ["high", "high", "low", "medium"]) == ["low", "medium", "high"]


def test_dates_are_labeled_as_dates() -> None:
    days = [date(2019, 1, 1) + timedelta(days=20 * k) for k in range(100)]
    assert labels(Column("admitted", "date"), days) == ["2020", "2022", "2024"]


def test_an_axis_has_round_numbers() -> None:
    assert labels(Column("age", "numeric"), [float(v) for v in np.linspace(18, 97, 200)]) == ["20", "40", "60", "80"]


def test_a_column_without_a_value_has_a_bar_for_missing_values() -> None:
    column = Column("x", "numeric")
    (chart,) = column_charts(Table(pa.table({"x": pa.array([None, None], pa.float64())}), (column,)), None, "data")
    assert ">missing</text>" in str(chart.svg)


def test_a_label_is_escaped() -> None:
    assert labels(Column("x", "category"), ["<b>"]) == ["&lt;b&gt;"]


def test_heat_maps_have_a_scale_and_a_title() -> None:
    rows = pa.table({"a": ["x", "y"] * 50, "b": ["u", "v"] * 50})
    table = Table(rows, (Column("a", "category"), Column("b", "category")))
    charts = association_charts(table, table, "data")
    assert [c.title for c in charts] == ["Synthetic rows", "Held-out patients", "Difference (synthetic less held out)"]
    assert all(f">{end}</text>" in str(charts[0].svg) for end in ("0", "0.5", "1"))
    assert all(f">{end}</text>" in str(charts[2].svg) for end in ("-0.5", "0.5"))
    assert association_charts(Table(rows.select(["a"]), table.columns[:1]), None, "data") == []


def test_groups_that_did_not_change_are_left_out() -> None:
    (chart,) = group_charts({"sex: F": 0.02, "sex: other": 0.0}, {})
    assert "sex: F" in str(chart.svg)
    assert "sex: other" not in str(chart.svg)


def test_values_of_a_binary_column_are_named_by_value() -> None:
    column = Column("female", "integer")
    binned = bin_column(Table(pa.table({"female": [0, 1, 1, 0, None]}), (column,)), column)
    assert [level_label(binned, k) for k in range(3)] == ["0", "1", "missing"]
