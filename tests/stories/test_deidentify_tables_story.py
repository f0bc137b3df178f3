"""Tables and MEDS through the door: identifiers gone, rows alike, what comes out read by pandas alone."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galenic import cli
from galenic.errors import OptionError, UnknownNameError
from galenic.privacy import deidentification

NAMES = ["Agathe Zwingli", "Bartholomew Quux", "Chiara Fossombrone", "Dmitri Oblomov"]


def command(*said: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(said))
    return int(ended.value.code or 0)


def people(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    who = [NAMES[i % 4] for i in range(n)]
    return pd.DataFrame(
        {
            "patient_id": [f"P{i:05d}" for i in range(n)],
            "patient_name": who,
            "ssn": [f"219-09-{i:04d}" for i in range(n)],
            "admission_date": [f"20{y:02d}-0{y % 9 + 1}-1{d}" for y, d in zip(rng.integers(10, 24, n), rng.integers(0, 10, n), strict=True)],
            "age": rng.integers(18, 101, n),
            "sex": rng.choice(["female", "male"], n),
            "zip": [f"{z}" for z in rng.integers(94000, 94999, n)],
            "potassium": rng.normal(4, 0.4, n).round(1),
            "diagnosis": rng.choice(["asthma", "gout", "sepsis"], n),
            "note": [f"{w} came in with a cough and was sent home, call 415-555-{i:04d} again." for i, w in enumerate(who)],
        }
    )  # fmt: skip


def test_a_table_by_safe_harbor(tmp_path: Path) -> None:
    before = people()
    before.to_csv(tmp_path / "people.csv", index=False)
    assert command("deidentify", str(tmp_path / "people.csv"), "--out", str(tmp_path / "out"), "--json") == 0
    after = pd.read_csv(tmp_path / "out" / "people.csv", dtype=str, keep_default_na=False)
    raw = (tmp_path / "out" / "people.csv").read_text()
    for gone in ("Agathe", "Zwingli", "Oblomov", "219-09", "415-555", "P00001"):
        assert gone not in raw
    assert list(after.columns) == ["patient_id", "admission_date", "age", "sex", "zip", "potassium", "diagnosis", "note"]
    assert (after["admission_date"] == before["admission_date"].str[:4]).all()
    assert after["age"].astype(int).max() == 90
    assert (after["age"].astype(int) == before["age"].clip(upper=90)).all()
    assert set(after["zip"]) == {"940", "941", "942", "943", "944", "945", "946", "947", "948", "949"}
    assert after["patient_id"].nunique() == len(before)
    assert (after["potassium"].astype(float) == before["potassium"]).all()
    assert after["note"].str.contains("came in with a cough and was sent home").all()


def test_rows_made_alike_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people().to_csv(tmp_path / "people.csv", index=False)
    say = [
        "--quasi",
        "age",
        "--quasi",
        "sex",
        "--quasi",
        "zip",
        "--quasi",
        "admission_date",
        "--sensitive",
        "diagnosis",
        "--k",
        "7",
        "--l",
        "2",
    ]
    more = ["--fraction", "0.05", "--report", str(tmp_path / "r.html"), "--json"]
    assert command("deidentify", str(tmp_path / "people.csv"), "--out", str(tmp_path / "out"), *say, *more) == 0
    said = json.loads(capsys.readouterr().out)["risk"][0]
    after = pd.read_csv(tmp_path / "out" / "people.csv", dtype=str, keep_default_na=False)
    groups = after.groupby(["age", "sex", "zip", "admission_date"])
    assert groups.size().min() >= 7
    assert groups["diagnosis"].nunique().min() >= 2
    assert said["after"]["smallest class"] == groups.size().min()
    assert said["has"]["l"] == groups["diagnosis"].nunique().min()
    assert said["after"]["prosecutor"]["highest"] == pytest.approx(1 / groups.size().min())
    assert said["before"]["smallest class"] == 1
    page = (tmp_path / "r.html").read_text()
    assert "Prosecutor" in page
    assert "Journalist" in page


def test_dates_move_with_the_patient_and_keep_their_distances(tmp_path: Path) -> None:
    times = ["2020-02-28 10:00:00", "2020-03-05 11:30:00", "2021-01-01 00:00:00", "2021-01-02 00:00:00"]
    frame = pd.DataFrame({"patient_id": [1, 1, 2, 2] * 5, "seen_date": times * 5, "x": range(20)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    deidentification.deidentify(
        [tmp_path / "a.csv"], tmp_path / "out", deidentification.DeidentificationOptions(policy="expert")
    )
    after = pd.read_csv(tmp_path / "out" / "a.csv")
    old, new = pd.to_datetime(frame["seen_date"]), pd.to_datetime(after["seen_date"])
    assert (old != new).all()
    moved = (new - old).groupby(frame["patient_id"]).nunique()
    assert (moved == 1).all()
    assert (old.dt.time == new.dt.time).all()


def test_parquet_stays_parquet_with_its_numbers(tmp_path: Path) -> None:
    clinics = ["Mercy", "Mercy", "St Elsewhere"]
    table = pa.table({"patient_id": [1, 2, 3], "age": [30, 95, 40], "bmi": [20.5, None, 31.0], "clinic": clinics})
    pq.write_table(table, tmp_path / "t.parquet")
    deidentification.deidentify([tmp_path / "t.parquet"], tmp_path / "out")
    after = pq.read_table(tmp_path / "out" / "t.parquet")
    assert after.column_names == ["patient_id", "age", "bmi"]
    assert after["age"].to_pylist() == [30, 90, 40]
    assert after["bmi"].to_pylist() == [20.5, None, 31.0]


def test_a_cell_that_a_spreadsheet_would_run_is_defused_and_a_spreadsheet_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"patient_id": range(5), "finding": ["=HYPERLINK(1)", "a", "b", "a", "b"]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04 a spreadsheet")
    declared = deidentification.DeidentificationOptions(table={"columns": {"finding": "verbatim"}})
    done = deidentification.deidentify([tmp_path / "t.csv", tmp_path / "sheet.xlsx"], tmp_path / "out", declared)
    assert "'=HYPERLINK" in (tmp_path / "out" / "t.csv").read_text()
    assert "spreadsheet" in dict(done.refusals)["sheet.xlsx"]


def test_a_header_with_an_identifier_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("measure,219-09-9999,jane@example.com\nweight,70,80\n")
    done = deidentification.deidentify([tmp_path / "t.csv"], tmp_path / "out")
    assert not done.files
    assert "header, column" in done.refusals[0][1]


def test_a_column_that_is_left_out_can_not_be_known(tmp_path: Path) -> None:
    people(50).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(OptionError, match="cannot be quasi-identifiers"):
        deidentification.deidentify(
            [tmp_path / "t.csv"], tmp_path / "out", deidentification.DeidentificationOptions(table={"quasi": ["patient_name"]})
        )
    with pytest.raises(UnknownNameError, match="no column"):
        deidentification.deidentify(
            [tmp_path / "t.csv"], tmp_path / "out", deidentification.DeidentificationOptions(table={"quasi": ["shoe_size"]})
        )


@pytest.fixture
def meds(tmp_path: Path) -> Path:
    root = tmp_path / "lines"
    (root / "data").mkdir(parents=True)
    (root / "metadata").mkdir()
    rows: list[tuple[int, datetime | None, str, float | None, str | None]] = [
        (7, None, "SEX//F", None, None),
        (7, datetime(1921, 5, 5), "MEDS_BIRTH", None, None),
        (7, datetime(2020, 3, 1, 8), "NOTE", None, "Agathe Zwingli is seen by Dr. Whitfield."),
        (7, datetime(2020, 3, 11, 8), "LAB//K", 4.1, None),
        (9, datetime(1980, 1, 1), "MEDS_BIRTH", None, None),
        (9, datetime(2021, 7, 1), "LAB//K", 3.9, None),
    ]
    subject, time, code, number, words = zip(*rows, strict=True)
    types = {"subject_id": pa.int64(), "time": pa.timestamp("us"), "code": pa.string(), "numeric_value": pa.float32()}
    columns = {n: pa.array(v, t) for (n, t), v in zip(types.items(), (subject, time, code, number), strict=True)}
    table = pa.table({**columns, "text_value": pa.array(words, pa.large_string()), "hospital": ["Mercy"] * 6})
    pq.write_table(table, root / "data" / "0.parquet")
    (root / "metadata" / "dataset.json").write_text('{"dataset_name": "Mercy General"}')
    pq.write_table(
        pa.table({"subject_id": [7, 9], "split": ["train", "held_out"]}), root / "metadata" / "subject_splits.parquet"
    )
    return root


@pytest.mark.parametrize("policy", ["safe-harbor", "expert"])
def test_meds_keeps_its_shape_and_not_its_people(policy: str, meds: Path, tmp_path: Path) -> None:
    done = deidentification.deidentify([meds.parent], tmp_path / "out", deidentification.DeidentificationOptions(policy=policy))
    assert not done.refusals
    place = tmp_path / "out" / "lines"
    after = pq.read_table(place / "data" / "0.parquet").to_pandas()
    everything = b"".join(f.read_bytes() for f in place.rglob("*") if f.is_file()) + after.to_string().encode()
    for gone in (b"Zwingli", b"Agathe", b"Whitfield", b"Mercy"):
        assert gone not in everything
    assert set(after["subject_id"]).isdisjoint({7, 9})
    splits = pq.read_table(place / "metadata" / "subject_splits.parquet").to_pandas()
    assert set(splits["subject_id"]) == set(after["subject_id"])
    potassium = after[after["code"] == "LAB//K"]
    assert sorted(round(float(v), 1) for v in potassium["numeric_value"]) == [3.9, 4.1]
    one = after[after["subject_id"] == after[after["code"] == "SEX//F"]["subject_id"].iloc[0]]
    if policy == "expert":
        note, lab = (one[one["code"] == c]["time"].iloc[0] for c in ("NOTE", "LAB//K"))
        assert (lab - note).days == 10
    else:
        assert one[one["code"] == "MEDS_BIRTH"]["time"].isna().all()  # born 1921: the year tells an age past 89
        assert set(one["time"].dropna().astype(str)) == {"2020-01-01"}


HUGE = """
import resource, sys
from pathlib import Path
from galenic.privacy import deidentification
deidentification.deidentify([Path(sys.argv[1])], Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_stays_bounded_as_a_table_grows(tmp_path: Path) -> None:
    used = []
    for rows in (2_000, 60_000):
        frame = people(2_000).drop(columns=["note"])
        pd.concat([frame] * (rows // 2_000)).to_csv(tmp_path / f"t{rows}.csv", index=False)
        done = subprocess.run(
            [sys.executable, "-c", HUGE, tmp_path / f"t{rows}.csv", tmp_path / f"out{rows}"],
            capture_output=True,
            text=True,
            check=True,
        )
        used.append(int(done.stdout))
    assert used[1] < used[0] + 120


def test_what_is_no_whole_table_is_refused_and_the_others_come_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cr.csv").write_bytes(b"patient_id,a\rb,c\n1,2,3\n")
    (tmp_path / "in" / "torn.csv").write_bytes(b"patient_id,a\n1,2\n3\n")
    (tmp_path / "in" / "empty.csv").write_bytes(b"")
    (tmp_path / "in" / "torn.parquet").write_bytes(b"PAR1 and nothing more")
    (tmp_path / "in" / "good.csv").write_bytes(b"patient_id,a\n1,2\n3,4\n")
    done = deidentification.deidentify([tmp_path / "in"], tmp_path / "out")
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["good.csv"]
    assert {name for name, _ in done.refusals} == {"cr.csv", "torn.csv", "empty.csv", "torn.parquet"}


def test_values_of_too_few_rows_are_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"patient_id": range(60), "finding": ["cough"] * 40 + ["gout"] * 15 + ["kuru"] * 5, "k": [4.5] * 60})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert command("deidentify", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out"), "--rare", "11") == 0
    after = pd.read_csv(tmp_path / "out" / "t.csv")
    assert after["finding"].value_counts().to_dict() == {"cough": 40, "gout": 15}
    assert after["finding"].isna().sum() == 5
    assert (after["k"] == 4.5).all()
    done = deidentification.deidentify(
        [tmp_path / "t.csv"], tmp_path / "out2", deidentification.DeidentificationOptions(table={"rare": 11})
    )
    assert done.omissions["column finding: values of too few rows"] == 5
