"""Values that do not fit their declaration: in a private fit they count as missing by a fixed rule, and no row stops the fit."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from galenic import records
from galenic.errors import RecordError
from galenic.privacy import ColumnOptions, Crosstab, PrivateRows, describe_table
from galenic.schema import Column, encode

DECLARED = """
version = 1
[[column]]
name = "sex"
kind = "category"
categories = ["f", "m"]
missing = {missing}
other = {other}
[[column]]
name = "size"
kind = "integer"
edges = [0, 10, 20]
missing = {missing}
other = {other}
[[column]]
name = "seen"
kind = "date"
edges = [0, 10000, 20000]
missing = {missing}
other = {other}
"""


def private_columns(frame: pa.Table, folder: Path, *, missing: bool, other: bool) -> tuple[Column, ...]:
    path = folder / "columns.toml"
    path.write_text(DECLARED.format(missing=str(missing).lower(), other=str(other).lower()))
    return describe_table(records.in_memory(frame), ColumnOptions(path, unit="row"), private=True).columns


WRONG = pa.table(
    {"sex": ["f", "m", "q", ""], "size": ["5", "15", "tiny", "1e400"], "seen": ["2020-01-01", "1980-01-01", "31/12/2020", "-"]}
)


@pytest.mark.parametrize(
    ("missing", "other", "sex", "numbers"),
    [
        pytest.param(True, True, [0, 1, 2, 3], [2, 2], id="OTHER for an unlisted category, missing for the rest"),
        pytest.param(True, False, [0, 1, 2, 2], [2, 2], id="missing without OTHER"),
        pytest.param(False, True, [0, 1, 2, 2], [0, 0], id="OTHER where nothing is missing; the lowest bin of numbers"),
        pytest.param(False, False, [0, 1, 0, 0], [0, 0], id="the first level without either"),
    ],
)
def test_every_value_has_a_level_in_a_private_fit(
    tmp_path: Path, missing: bool, other: bool, sex: list[int], numbers: list[int]
) -> None:
    columns = private_columns(WRONG, tmp_path, missing=missing, other=other)
    table = records.in_memory(WRONG).table(columns)
    coded = {c.name: encode(table, c).tolist() for c in columns}
    assert coded["sex"] == sex
    assert coded["size"] == [0, 1, *numbers]
    assert coded["seen"] == [1, 0, *numbers]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1.0, 2.5, np.inf, 1e300], "integer", [1, None, None, None]),
        ([1.0, 2.5, np.inf, np.nan], "numeric", [1.0, 2.5, None, None]),
        (["1e5", "2.0", "99999999999999999999"], "integer", [None, 2, None]),
    ],
)
def test_numbers_of_a_typed_file_that_do_not_fit_are_missing(values: list, kind: str, expected: list) -> None:
    source = records.in_memory(pa.table({"a": values}))
    assert source.table((Column("a", kind, strays="missing"),)).frame["a"].to_pylist() == expected
    if kind == "integer":
        with pytest.raises(RecordError, match="row"):
            source.table((Column("a", kind),))


def test_one_wrong_row_changes_declared_counts_by_one(tmp_path: Path) -> None:
    rows = {"sex": ["f", "m"] * 50, "size": ["5", "15"] * 50, "seen": ["2020-01-01", "1980-01-01"] * 50}
    wrong = {"sex": "unknown", "size": "twelve", "seen": "yesterday"}
    right, more = pa.table(rows), pa.table({n: [*v, wrong[n]] for n, v in rows.items()})
    tables = []
    for frame in (right, more):
        columns = private_columns(frame, tmp_path, missing=False, other=False)
        tables.append(Crosstab(PrivateRows(records.in_memory(frame), None, 1, None), columns))
    for cells in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2)):
        less, full = (t.ask(cells, Fraction(1)).counts for t in tables)
        assert np.abs(full - less).sum() == 1
