"""Kinds, formats, steps and roles that `galenic table describe` read from rows: a private fit buys them, or asks for a declaration."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from galenic import records
from galenic.errors import DescriptionError
from galenic.privacy import Budget, ColumnOptions, PrivateRows, TableDescription, buy_domain, describe_table, domain_share
from galenic.records.description import from_toml, read_description, to_toml
from galenic.schema import Column

PATIENTS = 6_000
DAYS = np.datetime64("2020-01-01") + np.arange(PATIENTS) % 366


def table_with(last: dict[str, str]) -> pa.Table:
    """6,000 patients with a whole number, a measurement and a date; the last patient's cells are replaced."""
    columns = {
        "patient_id": [f"P{i:05d}" for i in range(PATIENTS)],
        "size_mm": [str(i % 40 + 10) for i in range(PATIENTS)],
        "dose_mg": [f"{i % 97 / 10:.1f}" for i in range(PATIENTS)],
        "seen": [str(day) for day in DAYS],
    }
    return pa.table({name: [*values[:-1], last.get(name, values[-1])] for name, values in columns.items()})


def described(frame: pa.Table, folder: Path, *, buy: bool) -> TableDescription:
    """What a private fit gets by `galenic table describe` and `--columns`."""
    path = folder / "columns.toml"
    source = records.in_memory(frame)
    path.write_text(to_toml(records.describe(source)), encoding="utf-8")
    return describe_table(source, ColumnOptions(path, buy=buy), private=True)


STRAYS = [
    pytest.param({"size_mm": "tiny"}, id="a word among whole numbers"),
    pytest.param({"size_mm": "12.5"}, id="a fraction among whole numbers"),
    pytest.param({"size_mm": "02"}, id="a leading zero"),
    pytest.param({"size_mm": ""}, id="a missing value"),
    pytest.param({"dose_mg": "0.123456789"}, id="more decimals"),
    pytest.param({"seen": "25/05/2020"}, id="another format of dates"),
    pytest.param({"seen": "spring"}, id="a word among dates"),
]


@pytest.mark.parametrize("last", STRAYS)
def test_what_one_patient_holds_changes_nothing_before_the_budget_is_spent(tmp_path: Path, last: dict[str, str]) -> None:
    assert described(table_with(last), tmp_path, buy=True) == described(table_with({}), tmp_path, buy=True)


@pytest.mark.parametrize("last", [pytest.param({}, id="nothing"), *STRAYS])
def test_the_kinds_of_a_described_table_are_bought_whatever_one_patient_holds(
    tmp_path: Path, last: dict[str, str], budget: Budget
) -> None:
    frame = table_with(last)
    columns = tuple(c for c in described(frame, tmp_path, buy=True).columns if c.role == "value")
    real = PrivateRows(records.in_memory(frame), "patient_id", 1, budget)
    bought = {c.name: c for c in buy_domain(real, columns, real.rho * domain_share(columns), budget.threshold_delta).columns}
    assert {n: (c.kind, c.format) for n, c in bought.items()} == {
        "size_mm": ("integer", ""),
        "dose_mg": ("numeric", ""),
        "seen": ("date", "%Y-%m-%d"),
    }
    assert {c.kind_origin for c in bought.values()} == {"paid"}
    assert any(m.what == "kind of 3 columns" for m in budget.mechanisms)


def test_observed_kinds_are_refused_without_a_purchase(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"'size_mm'.*--buy"):
        described(table_with({}), tmp_path, buy=False)


@pytest.mark.parametrize("distinct", [0.45, 0.55, 0.85, 0.95])
def test_a_column_that_its_rows_would_drop_is_never_dropped_unseen(tmp_path: Path, distinct: float) -> None:
    """Below half distinct values it is bought, above it is described as an identifier; then the fit asks for a declaration."""
    frame = table_with({}).append_column("ward_key", pa.array([f"W{i % int(distinct * PATIENTS)}" for i in range(PATIENTS)]))
    with pytest.raises(DescriptionError, match=r"\['ward_key'\].*--drop"):
        described(frame, tmp_path, buy=True)
    source, path = records.in_memory(frame), tmp_path / "columns.toml"
    dropped = describe_table(source, ColumnOptions(path, buy=True, drop=["ward_key"]), private=True)
    assert next(c for c in dropped.columns if c.name == "ward_key").role == "drop"
    before, _, after = path.read_text().partition('name = "ward_key"')
    path.write_text(f'{before}name = "ward_key"{after.replace("observed", "declared", 1)}')
    declared = describe_table(source, ColumnOptions(path, buy=True), private=True)
    assert next(c for c in declared.columns if c.name == "ward_key").role == "drop"


def test_a_unit_is_read_from_the_name_alone() -> None:
    """Otherwise the unit on the card would tell of the kind."""
    numbers, words = (
        records.describe(records.in_memory(pa.table({"dose_mg": v})))[0] for v in (["1", "2"] * 20, ["a", "b"] * 20)
    )
    assert (numbers.kind, words.kind) == ("integer", "category")
    assert numbers.unit == words.unit == "mg"


def test_declared_categories_make_a_category_of_an_observed_kind(tmp_path: Path) -> None:
    path = tmp_path / "columns.toml"
    path.write_text(
        'version = 1\n[[column]]\nname = "a"\nkind = "integer"\nkind_origin = "observed"\ncategories = ["1", "2"]\n'
    )
    options = ColumnOptions(path, unit="row", buy=True)
    (column,) = describe_table(records.in_memory(pa.table({"a": ["1", "2"] * 20})), options, private=True).columns
    assert (column.kind, column.categories) == ("category", ("1", "2"))


def test_the_origin_of_kinds_survives_a_description_file() -> None:
    columns = records.describe(records.in_memory(table_with({})))
    assert {c.kind_origin for c in columns if c.role == "value"} == {"observed"}
    assert from_toml(to_toml(columns)) == columns


OLD_HEADER = (
    "# What each column holds. Edit this file: by passing it to galenic you declare the kinds and roles that stand here.\n"
)
COLUMN = 'version = 1\n[[column]]\nname = "a"\nkind = "integer"\n'


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        pytest.param(OLD_HEADER + COLUMN, "observed", id="the header of an earlier describe"),
        pytest.param(COLUMN + 'low = 1\nbounds_origin = "observed"\n', "observed", id="another origin is observed"),
        pytest.param(COLUMN + '[[column]]\nname = "b"\nkind = "category"\ncategories_origin = "observed"\n', "observed", id="another column"),
        pytest.param(OLD_HEADER + COLUMN + 'kind_origin = "declared"\n', "declared", id="declared in an old file"),
        pytest.param(COLUMN, "declared", id="written by hand"),
        pytest.param(
            COLUMN + 'bounds_origin = "observed"\n[[column]]\nname = "b"\nkind_origin = "observed"\n',
            "declared",
            id="the line removed from a new file",
        ),
    ],
)  # fmt: skip
def test_a_file_from_before_kinds_had_an_origin_counts_as_observed(tmp_path: Path, text: str, origin: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    assert read_description(tmp_path / "c.toml")[0].kind_origin == origin


def test_the_demonstration_declares_its_kinds() -> None:
    assert {c.kind_origin for c in records.demo_columns()} == {"declared"}
    assert Column("a").kind_origin == "declared"
