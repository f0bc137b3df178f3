"""Describing, splitting and writing tables."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic import records
from galenic.errors import RecordError
from galenic.schema import Column, Table
from made import made_patients


def test_a_table_is_described_with_kinds_units_missingness_and_the_patient(patients_csv: Path) -> None:
    columns = {c.name: c for c in records.describe(records.read(patients_csv))}
    assert {name: c.kind for name, c in columns.items()} == {
        "patient_id": "identifier",
        "age_years": "integer",
        "sex": "category",
        "smoker": "category",
        "sbp_mmhg": "numeric",
        "diabetes": "category",
        "admitted": "date",
        "discharged": "date",
    }
    assert columns["patient_id"].role == "patient"
    assert (columns["age_years"].unit, columns["sbp_mmhg"].unit) == ("a", "mm[Hg]")
    assert columns["sbp_mmhg"].missing
    assert columns["sbp_mmhg"].step == pytest.approx(0.1)
    assert columns["sex"].categories == ("female", "male")
    assert columns["sex"].categories_origin == columns["age_years"].bounds_origin == "observed"


def test_constant_and_all_missing_columns_are_described() -> None:
    columns = records.describe(records.in_memory(pa.table({"a": ["x"] * 50, "b": [""] * 50})))
    assert columns[0].categories == ("x",)
    assert columns[1].missing


def test_free_text_is_told_from_codes() -> None:
    notes = [f"patient {i} came with pain in the left knee after a fall" for i in range(60)]
    assert records.describe(records.in_memory(pa.table({"note": notes})))[0].kind == "text"


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
bounds = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def columns(draw: st.DrawFn) -> Column:
    name = draw(names)
    if draw(st.booleans()):
        listed = tuple(draw(st.lists(names, unique=True, max_size=4)))
        return Column(name, "category", categories=listed, other=draw(st.booleans()), missing=draw(st.booleans()))
    edges = tuple(sorted(set(draw(st.lists(bounds, min_size=2, max_size=5, unique=True)))))
    return Column(name, "numeric", unit="mg", low=edges[0], high=edges[-1], edges=edges, bounds_origin="dictionary")


@given(st.lists(columns(), min_size=1, max_size=4, unique_by=lambda c: c.name))
def test_a_description_reads_back_as_it_was_written(found: list[Column]) -> None:
    assert records.from_toml(records.to_toml(tuple(found))) == tuple(found)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow"])
def test_a_table_reads_back_as_it_was_written(tmp_path: Path, patients: pa.Table, suffix: str) -> None:
    source = records.in_memory(patients)
    described = records.describe(source)
    table = source.table(described)
    path = tmp_path / f"t{suffix}"
    if suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.frame.schema) as writer:
            writer.write_table(table.frame)
    else:
        records.write(table, path)
    assert records.read(path).table(described).frame.equals(table.frame)


def test_typed_parquet_needs_no_guessing(tmp_path: Path, patients: pa.Table) -> None:
    pq.write_table(patients, tmp_path / "t.parquet")
    table = records.read(tmp_path / "t.parquet").table((Column("age_years", "integer"), Column("admitted", "date")))
    assert table.rows == patients.num_rows


def test_cells_that_a_spreadsheet_would_run_are_defused(tmp_path: Path) -> None:
    cells = ["=1+1", "+cmd", "-2", "@x", "plain", None]
    table = Table(pa.table({"c": pa.array(cells)}), (Column("c", "category"),))
    records.write(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        read = [row[0] if row else "" for row in csv.reader(file)]
    assert read == ["c", "'=1+1", "'+cmd", "-2", "'@x", "plain", ""]


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 60), st.integers(1, 5), st.integers(1, 3), st.integers(0, 10**6))
def test_no_patient_is_in_both_halves_and_none_has_more_rows_than_the_cap(n: int, visits: int, cap: int, seed: int) -> None:
    source = records.in_memory(made_patients(n, seed, visits))
    split = records.split_by_patient(source, "patient_id", np.random.default_rng(seed), cap=cap)
    who = (Column("patient_id", "identifier", role="patient"),)
    train, test = (half.table(who).frame["patient_id"].to_pylist() for half in (split.train, split.test))
    assert not set(train) & set(test)
    assert len(train) == split.train_rows
    for half in (train, test):
        assert max(np.unique(half, return_counts=True)[1]) <= cap


def test_a_table_of_one_patient_can_not_be_split() -> None:
    source = records.in_memory(pa.table({"patient_id": ["a"] * 50}))
    with pytest.raises(RecordError, match=r"1 patient\(s\)"):
        records.split_by_patient(source, "patient_id", np.random.default_rng(0))


def test_rows_without_a_patient_are_refused() -> None:
    source = records.in_memory(pa.table({"patient_id": ["a", None] * 20}))
    with pytest.raises(RecordError, match="is empty in some rows"):
        records.split_by_patient(source, "patient_id", np.random.default_rng(0))


def test_batches_are_the_same_rows_as_the_whole(tmp_path: Path, patients_csv: Path) -> None:
    source = records.read(patients_csv)
    described = records.describe(source)
    assert sum(t.rows for t in source.tables(described)) == source.count() == 6_000
    some = source.sample(100, np.random.default_rng(0))
    assert some.count() == some.table(described).rows == 100
