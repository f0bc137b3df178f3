"""Real tables of the data folder: what they hold is recognised, and what is too small is refused."""

import json
import zipfile
from pathlib import Path

import pytest

from galenic import cli, records


def test_297_heart_patients_are_too_few_and_the_refusal_shows_the_arithmetic(
    home: Path, data: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.run(["table", "synthesize", str(data / "tabular" / "heart_cleveland.csv"), "--unit", "row"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "too little to say anything" in said
    assert "sqrt(rho)" in said


def test_the_diabetes_table_is_described_with_its_patient(data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(data / "tabular" / "dataset_diabetes.zip") as archive:
        name = next(n for n in archive.namelist() if n.endswith("diabetic_data.csv") and "__MACOSX" not in n)
        (tmp_path / "d.csv").write_bytes(archive.read(name))
    columns = {c.name: c for c in records.describe(records.read(tmp_path / "d.csv"))}
    assert columns["patient_nbr"].role == "patient"
    assert columns["encounter_id"].role == "drop"
    assert columns["time_in_hospital"].kind == "integer"
    assert columns["weight"].missing
    assert columns["race"].categories == ("AfricanAmerican", "Asian", "Caucasian", "Hispanic", "Other")


def test_a_real_table_is_judged_and_a_copy_of_it_is_caught(home: Path, data: Path, capsys: pytest.CaptureFixture) -> None:
    path = str(data / "tabular" / "support2.csv")
    assert cli.run(["table", "evaluate", path, path, "--release-policy", "internal", "--json"]) == 1
    found = {f["name"]: f.get("value") for f in json.loads(capsys.readouterr().out)["findings"]}
    assert found["privacy.alarms"] == 1
    assert found["privacy.controls"] == 3
