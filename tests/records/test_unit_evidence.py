"""A mix of units needs evidence: clean columns have none, whatever their tails, codes and names; true mixes are still found."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from galenic import flows
from galenic.records import quality
from galenic.records.quality import QualityRequest, analyte_of, find_mix
from galenic.records.quality.numbers import analyte_of_values
from galenic.records.terminology import Terminology
from galenic.schema import TIMELINE, Finding

ROWS = 4_000
WHO = np.repeat(np.arange(ROWS // 4), 4)


def clean(seed: int) -> dict[str, np.ndarray]:
    """Columns of a ward without a fault: heavy tails, low glucoses and pressures, codes, marks for missing, short names."""
    rng = np.random.default_rng(seed)
    weight = np.round(np.exp(rng.normal(4.4, 0.27, ROWS)), 1)
    weight[:19] = np.round(rng.uniform(205, 300, 19), 1)
    pressure = np.round(rng.normal(58, 13, ROWS)).clip(10)
    pressure[:12] = rng.integers(10, 20, 12)
    glucose = np.round(np.exp(rng.normal(4.85, 0.4, ROWS)))
    glucose[:17] = rng.integers(12, 40, 17)
    own = np.repeat(rng.normal(0, 0.3, ROWS // 4), 4)
    codes = {
        "sex": rng.integers(1, 3, ROWS),
        "restecg": rng.choice([0, 1, 2], ROWS, p=[0.5, 0.1, 0.4]),
        "slope": rng.integers(1, 4, ROWS),
        "thal": rng.choice([3, 6, 7], ROWS),
        "ca": rng.integers(0, 4, ROWS),
        "edema": rng.choice([0, 0.5, 1.0], ROWS),
        "marital": rng.choice([1, 2, 3, 77, 99], ROWS),
        "dose": rng.choice([2.5, 5, 10, 50], ROWS),
        "chol": rng.choice([1, 2, 3], ROWS, p=[0.7, 0.2, 0.1]),
    }
    days = np.where(
        rng.random(ROWS) < 0.01, rng.choice([666, 777, 999], ROWS), rng.integers(1, 9, ROWS) + rng.random(ROWS).round(2)
    )
    measured = {
        "weight": weight,
        "dbp": pressure,
        "glucose": glucose,
        "wbc": np.round(np.exp(2.2 + own + rng.normal(0, 0.3, ROWS)), 1),
        "platelets": np.round(np.exp(5.3 + own + rng.normal(0, 0.3, ROWS))),
        "bilirubin": np.round(np.exp(rng.normal(0, 1.1, ROWS)), 1).clip(0.1, 40),
        "creatinine": np.round(np.exp(rng.normal(0, 0.6, ROWS)), 2).clip(0.1, 15),
        "triglycerides": np.round(np.exp(rng.normal(5, 0.6, ROWS))),
        "k": np.round(rng.normal(4.2, 0.5, ROWS), 1),
        "days_ago": days,
    }
    return {"patient": WHO, **codes, **measured}


def written(columns: dict[str, np.ndarray], place: Path) -> Path:
    pacsv.write_csv(pa.table(columns), place)
    return place


def mixed(result: flows.QualityResult) -> list[str]:
    finding = result.report.get("quality.units.mixed")
    assert isinstance(finding, Finding)
    return [str(c["where"]) for c in finding.detail["columns"]]


@pytest.mark.parametrize("patient", ["", "patient"])
@pytest.mark.parametrize("seed", range(5))
def test_a_clean_table_meets_the_floor_and_a_repair_changes_nothing(tmp_path: Path, seed: int, patient: str) -> None:
    place = written(clean(seed), tmp_path / "clean.csv")
    result = flows.measure_quality([place], QualityRequest(patient=patient, repair=tmp_path / "repaired.csv"))
    assert mixed(result) == []
    assert result.repaired == {}
    assert result.decision.accepted
    assert pacsv.read_csv(tmp_path / "repaired.csv").equals(pacsv.read_csv(place))


@pytest.mark.parametrize(
    ("column", "change", "share", "found"),
    [
        pytest.param("glucose", lambda v: v / 18.0156, 0.1, 0.95, id="one glucose in ten in mmol/L"),
        pytest.param("glucose", lambda v: v / 18.0156, 0.5, 0.95, id="half of the glucoses in mmol/L"),
        pytest.param("creatinine", lambda v: v * 88.4, 0.1, 0.95, id="one creatinine in ten in umol/L"),
        pytest.param("creatinine", lambda v: v * 88.4, 0.01, 0.95, id="one creatinine in a hundred in umol/L"),
        pytest.param("weight", lambda v: v * 2.20462, 0.1, 0.25, id="one weight in ten in lb, where only the heavy ones show"),
        pytest.param("wbc", lambda v: v * 1000, 0.1, 0.95, id="one leukocyte count in ten per uL"),
    ],
)
def test_true_mixes_are_found_among_the_same_columns(
    column: str, change: Callable[[np.ndarray], np.ndarray], share: float, found: float
) -> None:
    values = clean(1)[column].astype(float)
    changed = np.random.default_rng(2).choice(ROWS, int(share * ROWS), replace=False)
    values[changed] = change(values[changed])
    mix = find_mix(values, analyte_of(column))
    assert mix is not None
    hits = len(np.intersect1d(mix.places, changed))
    assert hits >= found * len(changed)
    assert len(mix.places) - hits <= 0.06 * len(changed)


def test_values_of_overlapping_units_are_reported_and_not_repaired(tmp_path: Path) -> None:
    columns = clean(3)
    changed = np.random.default_rng(4).choice(ROWS, ROWS // 10, replace=False)
    columns["weight"][changed] = np.round(columns["weight"][changed] * 2.20462, 1)
    place = written(columns, tmp_path / "pounds.csv")
    result = flows.measure_quality([place], QualityRequest(repair=tmp_path / "repaired.csv"))
    assert mixed(result) == ["weight"]
    assert result.repaired == {"weight": 0}
    assert "not repaired" in str(result.report.get("quality.units.mixed").detail)  # type: ignore[union-attr]
    assert pacsv.read_csv(tmp_path / "repaired.csv")["weight"].cast(pa.float64()).equals(pa.chunked_array([columns["weight"]]))


@pytest.mark.parametrize(
    ("name", "values", "is_it"),
    [
        pytest.param("ca", [0, 1, 2, 3] * 20, False, id="vessels, not calcium"),
        pytest.param("ca", [8.9, 9.1, 9.4, 10.2] * 20, True, id="calcium in mg/dL"),
        pytest.param("ca", [2.2, 2.3, 2.4, 2.5] * 20, True, id="calcium in mmol/L"),
        pytest.param("hr", [1, 2, 3, 4] * 20, False, id="hours, not a heart rate"),
        pytest.param("chol", [1, 2, 1, 1] * 20, False, id="grades of cholesterol"),
        pytest.param("temperature", [36, 37, 38, 99] * 20, True, id="whole degrees"),
        pytest.param("LOINC//17861-6", [0, 1, 2, 3] * 20, True, id="a code is believed"),
    ],
)
def test_a_name_is_a_measurement_if_the_values_agree(name: str, values: list[float], is_it: bool) -> None:
    assert (analyte_of_values(name, np.asarray(values, dtype=float)) is not None) is is_it


@pytest.mark.parametrize("unit", ["10*3/uL", "10*9/L"])
def test_two_names_of_one_unit_are_no_mix_in_timelines(unit: str) -> None:
    values = clean(5)["platelets"].astype(float)
    columns = {
        "subject_id": pa.array(WHO),
        "code": pa.array(["LOINC//777-3"] * ROWS),
        "numeric_value": pa.array(values, pa.float32()),
        "unit": pa.array([unit] * ROWS),
    }
    table = pa.table(
        [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(ROWS, f.type) for f in TIMELINE], schema=TIMELINE
    )
    result = quality.measure_events(lambda: iter([table]), Terminology())
    assert result.mixes == {}


def test_the_page_shows_no_extreme_value_and_no_small_group(tmp_path: Path) -> None:
    columns: dict[str, np.ndarray] = {"glucose": clean(2)["glucose"].astype(float), "weight": clean(2)["weight"]}
    columns["glucose"][100:500] = np.round(columns["glucose"][100:500] / 18.0156, 1)
    columns["glucose"][0], columns["glucose"][1] = 1847, 1.37
    columns["site"] = np.array(["North"] * (ROWS - 1) + ["Zebulon ward"])
    columns["seen"] = np.array(["2020-05-01"] * (ROWS - 1) + ["1871-05-01"])
    columns["weight"][3] = np.nan
    page = flows.measure_quality([written(columns, tmp_path / "t.csv")]).html
    assert "<svg" in page
    for canary in ("1847", "1.37", "Zebulon", "1871"):
        assert canary not in page, canary
    assert "North" in page
