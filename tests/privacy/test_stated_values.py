"""The search of the output for values that the input's tables state."""

import uuid
from pathlib import Path

import pytest

from galenic.privacy.deidentification import DeidentificationOptions, deidentify, stated_values
from galenic.release.residual_risk import residual_risk
from galenic.schema import Finding, NotMeasured


def table(path: Path, rows: int) -> Path:
    lines = [",mrn,platelets", *(f"{i},MR{700_000 + 37 * i},{1_000 + i % 900}" for i in range(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_decimal_numbers_are_not_taken_for_telephone_numbers(tmp_path: Path) -> None:
    lines = ["mrn,ph,cost,dzclass"]
    lines += [f"MR{700_000 + 37 * i},7.{459_961 + i},{17_528 + i}.4375,{('ARF/MOSF', 'Cancer')[i % 2]}" for i in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out", DeidentificationOptions(measured=False))
    assert done.residual_search.fields == 1
    assert done.residual_search.places == 0


def test_a_search_for_only_a_part_of_the_stated_values_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stated_values, "MAX_VALUES", 1_000)
    done = deidentify([table(tmp_path / "t.csv", 80_000)], tmp_path / "out", DeidentificationOptions(measured=False))
    assert not done.residual_search.is_complete
    found = next(f for f in residual_risk(done) if f.name == "deid.stated")
    assert isinstance(found, NotMeasured)


def test_measurements_of_six_digits_are_no_record_numbers(tmp_path: Path) -> None:
    rows = [f"{'fm'[i % 2]},{150_000 + 977 * i},{uuid.UUID(int=7**40 * (i + 1))}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["sex,platelets,patient_id", *rows]) + "\n", encoding="utf-8")
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out")
    found = {f.name: f for f in residual_risk(done)}
    stated, recall = found["deid.stated"], found["deid.planted.recall"]
    assert isinstance(stated, Finding) and stated.value == 0
    assert isinstance(recall, Finding) and recall.value > 0.95
    assert "platelets" in (tmp_path / "out" / "t.csv").read_text(encoding="utf-8")


def test_a_value_that_is_left_is_counted_once(tmp_path: Path) -> None:
    rows = [f"{'fm'[i % 2]},MR{700_000 + 37 * i}" for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["sex,mrn", *rows]) + "\n", encoding="utf-8")
    options = DeidentificationOptions(measured=False, table={"columns": {"mrn": "verbatim"}})
    assert deidentify([tmp_path / "t.csv"], tmp_path / "out", options).residual_search.places == 100


def test_a_removed_column_and_a_declared_one_are_listed(tmp_path: Path) -> None:
    rows = [f"{'fm'[i % 2]},Dr. Whitfield,{('NPDR', 'PDR', 'no')[i % 3]}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["sex,physician,retinopathy", *rows]) + "\n", encoding="utf-8")
    done = deidentify(
        [tmp_path / "t.csv"], tmp_path / "out", DeidentificationOptions(table={"columns": {"retinopathy": "category"}})
    )
    listed = {c["column"]: c["what"] for c in done.columns}
    assert listed["physician"].startswith("removed: recognized as ")
    assert "look at its values" in listed["retinopathy"]
    recall = next(f for f in residual_risk(done) if f.name == "deid.planted.recall")
    assert isinstance(recall, Finding) and recall.value > 0.95
