"""The quality report finds what was planted, says where, tells no value, and finds nothing where nothing is."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from galenic import cli, flows, records
from galenic.custody import ImportRequest, import_table
from galenic.errors import DescriptionError
from galenic.installation import Installation
from galenic.records import quality
from galenic.records.quality import QualityRequest
from galenic.records.terminology import Terminology
from galenic.schema import BIRTH, DEATH, TIMELINE, Finding, NotMeasured

ROWS = 3_000


def made(seed: int = 1) -> dict[str, list]:
    rng, chance = np.random.default_rng(seed), random.Random(seed)
    family = [f"fam{chr(97 + i)}{chr(97 + j)}son" for i in range(14) for j in range(14)]
    admitted = np.datetime64("2015-01-01") + rng.integers(0, 3_000, ROWS)
    return {
        "mrn": [f"M{i:06d}" for i in range(ROWS)],
        "given_name": [chance.choice(["ana", "ben", "carla", "dan", "eva", "finn", "gina", "hugo"]) for _ in range(ROWS)],
        "family_name": [chance.choice(family) for _ in range(ROWS)],
        "birth_date": [str(d) for d in np.datetime64("1930-01-01") + rng.integers(0, 25_000, ROWS)],
        "zip": [f"{chance.randint(10_000, 99_999)}" for _ in range(ROWS)],
        "sex": [chance.choice("FM") for _ in range(ROWS)],
        "admission_date": [str(d) for d in admitted],
        "discharge_date": [str(d) for d in admitted + rng.integers(0, 20, ROWS)],
        "death_date": [str(d + 400) if rng.random() < 0.1 else "" for d in admitted],
        "temperature": np.round(37 + 0.6 * rng.standard_normal(ROWS), 1).tolist(),
        "creatinine": np.round(np.exp(rng.normal(0, 0.4, ROWS)), 2).tolist(),
        "glucose": np.round(np.exp(rng.normal(4.7, 0.3, ROWS))).tolist(),
        "marker": np.round(np.exp(rng.normal(1, 0.2, ROWS)), 3).tolist(),
        "sbp": np.round(rng.normal(128, 18, ROWS)).tolist(),
    }


def source(columns: dict[str, list], tmp_path: Path, name: str = "t.csv") -> Path:
    pacsv.write_csv(pa.table({k: pa.array([str(x) for x in v]) for k, v in columns.items()}), tmp_path / name)
    return tmp_path / name


def found(done: flows.QualityResult, name: str) -> Finding:
    finding = done.report.get(name)
    assert isinstance(finding, Finding), finding
    return finding


def test_a_good_table_has_nothing_and_its_floor_holds(tmp_path: Path) -> None:
    done = flows.measure_quality([source(made(), tmp_path)])
    for name in ("conformance", "units.mixed", "range", "orders", "repeated", "missing.uneven"):
        assert found(done, f"quality.{name}").value == 0, name
    assert found(done, "quality.duplicates").value < 0.002
    assert found(done, "quality.outliers").value < 0.001
    assert done.decision.accepted


@pytest.mark.parametrize(
    ("column", "change", "other", "back"),
    [
        pytest.param("temperature", lambda v: round(v * 1.8 + 32, 1), "[degF]", 0.06, id="°F among °C"),
        pytest.param("creatinine", lambda v: round(v * 88.4, 1), "umol/L", 0.01, id="µmol/L among mg/dL"),
        pytest.param("glucose", lambda v: round(v / 18.0156, 1), "mmol/L", 1.0, id="mmol/L among mg/dL"),
    ],
)
def test_values_in_another_unit_are_found_and_repaired_only_when_asked(
    tmp_path: Path, column: str, change: object, other: str, back: float
) -> None:
    columns = made()
    right = list(columns[column])
    rows = random.Random(2).sample(range(ROWS), 60)
    for r in rows:
        columns[column][r] = change(columns[column][r])  # type: ignore[operator]
    place = source(columns, tmp_path)
    before = place.read_bytes()
    done = flows.measure_quality([place], QualityRequest(repair=tmp_path / "fixed.csv"))
    (where,) = found(done, "quality.units.mixed").detail["columns"]
    assert where["where"] == column
    assert other in where["what"]
    assert abs(where["share"] * ROWS - 60) <= 3
    assert set(where["rows"]) <= {r + 1 for r in rows} | set(where["rows"][-3:])
    assert not done.decision.accepted
    assert place.read_bytes() == before
    fixed = pacsv.read_csv(tmp_path / "fixed.csv")[column].to_pylist()
    assert sum(abs(float(a) - b) > back * 1.01 for a, b in zip(fixed, right, strict=True)) <= 3


def test_two_groups_of_a_column_that_nobody_knows_are_told_and_left_alone(tmp_path: Path) -> None:
    columns = made()
    for r in range(0, ROWS, 50):
        columns["marker"][r] *= 88.4
    done = flows.measure_quality([source(columns, tmp_path)], QualityRequest(repair=tmp_path / "fixed.csv"))
    (where,) = found(done, "quality.units.mixed").detail["columns"]
    assert (where["where"], round(where["share"] * ROWS)) == ("marker", 60)
    assert done.repaired == {"marker": 0}


def test_pounds_among_kilograms_show_by_a_patients_own_other_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    base = np.repeat(rng.normal(75, 12, 500), 6)
    weights = np.round(base + rng.normal(0, 1, 3_000), 1)
    pounds = rng.choice(3_000, 40, replace=False)
    weights[pounds] = np.round(weights[pounds] * 2.20462, 1)
    place = source({"who": np.repeat(np.arange(500), 6).tolist(), "weight": weights.tolist()}, tmp_path)
    (where,) = found(flows.measure_quality([place], QualityRequest(patient="who")), "quality.units.mixed").detail["columns"]
    assert "[lb_av]" in where["what"]
    assert abs(where["share"] * 3_000 - 40) <= 4


def test_impossible_orders_values_and_numbers_are_found_with_their_rows(tmp_path: Path) -> None:
    columns = made()
    columns["death_date"][10] = "2001-01-01"
    columns["admission_date"][20] = "1900-01-01"
    columns["discharge_date"][30] = "2014-01-01"
    columns["admission_date"][40] = columns["discharge_date"][40] = "2999-01-01"
    columns["sbp"][50] = 900
    columns["sbp"][60] = "high"
    done = flows.measure_quality([source(columns, tmp_path)])
    orders = {w["where"]: w["rows"] for w in found(done, "quality.orders").detail["columns"]}
    assert orders["admission_date after death_date"] == [11]
    assert orders["admission_date before birth_date"] == [21]
    assert orders["discharge_date before admission_date"] == [31]
    assert orders["admission_date in the future"] == [41]
    assert found(done, "quality.range").detail["columns"][0]["rows"] == [51]
    assert found(done, "quality.conformance").value > 0


def test_duplicates_with_a_typing_error_are_found_and_nobody_else(tmp_path: Path) -> None:
    columns = made()
    for k in range(40):
        for values in columns.values():
            values.append(values[k * 7])
        columns["mrn"][-1] = f"M9{k:05d}"
        if k % 2:
            columns["family_name"][-1] = columns["family_name"][-1][:-1] + "m"
    done = flows.measure_quality([source(columns, tmp_path)])
    assert abs(found(done, "quality.duplicates").value * (ROWS + 40) - 40) <= 2
    few = flows.measure_quality([source({k: v[:10] for k, v in columns.items()}, tmp_path, "few.csv")])
    assert isinstance(few.report.get("quality.duplicates"), NotMeasured)


def test_missing_values_by_group_and_year_and_drift_and_a_reference(tmp_path: Path) -> None:
    columns = made()
    for r in range(ROWS):
        if columns["sex"][r] == "F" and r % 2:
            columns["sbp"][r] = ""
    (tmp_path / "reference.toml").write_text('[sex]\nF = 0.9\nM = 0.1\n[temperature]\n"0-36" = 0.1\n"37-99" = 0.9\n')
    before = source(made(2), tmp_path, "before.csv")
    done = flows.measure_quality(
        [source(columns, tmp_path)], QualityRequest(reference=tmp_path / "reference.toml", before=before)
    )
    uneven = found(done, "quality.missing.uneven").detail["columns"][0]
    assert uneven["where"] == "sbp"
    assert "sex is F" in uneven["what"]
    assert found(done, "quality.representative").value == pytest.approx(0.4, abs=0.05)
    assert found(done, "quality.drift").detail["columns"][0]["where"] == "sbp"
    assert found(flows.measure_quality([before], QualityRequest(before=before)), "quality.drift").value == 0
    (tmp_path / "bad.toml").write_text("[sex]\nF = 0.5\n")
    with pytest.raises(DescriptionError, match="sum to 1"):
        flows.measure_quality([before], QualityRequest(reference=tmp_path / "bad.toml"))


def events(rows: list[tuple]) -> pa.Table:
    names = ("subject_id", "time", "code", "numeric_value", "unit", "end_time")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return pa.table(
        [pa.array(columns[f.name], f.type) if f.name in names else pa.nulls(len(rows), f.type) for f in TIMELINE],
        schema=TIMELINE,
    )


DAY = 86_400_000_000


def test_timelines_after_death_before_birth_and_in_other_units_are_found() -> None:
    rows: list[tuple] = []
    for s in range(100):
        rows += [
            (s, 0, BIRTH, None, None, None),
            (s, 20_000 * DAY, DEATH, None, None, None),
            (s, None, "GENDER//female", None, None, None),
        ]
        rows += [(s, (1_000 + i) * DAY, "LOINC//8310-5", 37.0 + i / 10, "Cel", None) for i in range(5)]
    rows += [
        (1, -DAY, "X", None, None, None),
        (2, 20_001 * DAY + 1, "X", None, None, None),
        (3, 500 * DAY, "X", None, None, 400 * DAY),
    ]
    rows += [(4, 20_000 * DAY + 5, "X", None, None, None)]  # later on the day of death: known to the day only
    rows += [(5, 2_000 * DAY, "LOINC//8310-5", 98.6 + k / 10, "Cel", None) for k in range(5)]
    rows += [(6, 2_000 * DAY, "LOINC//8310-5", 37.0, "°C", None), (7, 2_000 * DAY, "ICD10CM//E11.99", None, None, None)]
    rows += [(8, 2_000 * DAY, "LOINC//8310-5", 4.0, "Cel", None), (9, 99_999_999 * DAY // 1_000, "X", None, None, None)]

    def opened() -> Iterator[pa.Table]:
        yield events(rows[:300])
        yield events(rows[300:])

    done = quality.measure_events(opened, Terminology())
    by_name = {f.name: f for f in done.findings}
    orders = by_name["quality.orders"]
    assert isinstance(orders, Finding)
    kinds = {w["where"] for w in orders.detail["columns"]}
    assert {"an event before birth", "an event after death", "an end before its start", "a time in the future"} <= kinds
    assert orders.value == pytest.approx(4 / 100)
    assert by_name["quality.units.mixed"].detail["columns"][0]["where"] == "LOINC//8310-5"
    assert by_name["quality.units"].detail["columns"][0]["what"].startswith("1 values in '°C'")
    assert by_name["quality.range"].detail["columns"][0]["what"].startswith("1 values are not from")
    assert by_name["quality.codes"].detail["columns"][0]["where"] == "ICD10CM//E11.99"


def test_the_page_and_the_exit_code_say_whether_the_floor_holds_and_no_value_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    columns = made()
    columns["family_name"][0] = "Zebulon-canary"
    good = source(columns, tmp_path)
    assert cli.run(["records", "quality", str(good), "--report", str(tmp_path / "q.html"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["floor"]["holds"]
    columns["temperature"][5:25] = [99.5] * 20
    bad = source(columns, tmp_path, "bad.csv")
    assert cli.run(["records", "quality", str(bad), "--report", str(tmp_path / "bad.html")]) == 1
    said, text = capsys.readouterr().out, (tmp_path / "bad.html").read_text()
    assert "NOT reached" in said
    assert "Not every quality limit is met" in text
    assert "Zebulon" not in text + said
    assert "<svg" in text
    (tmp_path / "floor.toml").write_text(
        'name = "f"\nversion = 1\npurpose = "p"\nroles = ["a", "b"]\nidentity = "unverified"\n'
        '[[rule]]\nfinding = "quality.orders"\nat_most = 0.5\nreason = "r"\n'
    )
    assert cli.run(["records", "quality", str(bad), "--floor", str(tmp_path / "floor.toml")]) == 0
    assert cli.run(["records", "quality", str(tmp_path / "none.csv")]) == 2


def test_a_data_set_in_custody_is_measured_past_the_gate(custody: Installation, tmp_path: Path) -> None:
    import_table(
        custody, custody.sign_in("inge"), records.read(source(made(), tmp_path)), ImportRequest("wards", patient="mrn")
    )
    done = flows.quality_of_stored(custody, custody.sign_in("paul"), "wards", "quality")
    assert found(done, "quality.orders").value == 0
    with pytest.raises(Exception, match="may not index"):
        flows.quality_of_stored(custody, custody.sign_in("inge"), "wards", "quality")


def test_real_records_of_every_kind_are_measured(data: Path) -> None:
    for place in ("synthea-bulk-10", "synthea-hiv-bundles", "omop-eunomia/gibleed"):
        done = flows.measure_quality([data / "ehr" / place])
        assert found(done, "quality.units.mixed").value == 0, place
        assert found(done, "quality.range").value == 0, place
    assert found(done, "quality.orders").detail["columns"][0]["where"] == "an event before birth"
