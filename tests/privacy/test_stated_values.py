"""The search of the output for values that the input's tables state."""

from pathlib import Path

import pytest

from galenic.privacy.deidentification import DeidentificationOptions, deidentify, stated_values
from galenic.release.residual_risk import residual_risk
from galenic.schema import NotMeasured


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
