"""Recall on planted identifiers: what comes out verbatim is counted, and the planted copies never stay."""

import datetime
import json
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom

from galenic import records
from galenic.privacy.deidentification import DeidentificationOptions, deidentification_json, deidentify
from galenic.privacy.deidentification.column_numbers import NumberStatistics
from galenic.privacy.deidentification.note import NoteDeidentifier
from galenic.privacy.deidentification.planted_recall import PlantedRecall, recall_interval
from galenic.privacy.deidentification.planting.columns import form_of_column
from galenic.privacy.deidentification.planting.copies import WANTED, WANTED_IF_MISSED, Planting
from galenic.privacy.deidentification.planting.dates import date_like, dates_in, format_of
from galenic.privacy.deidentification.planting.identifiers import IdentifierMaker, Plant
from galenic.privacy.deidentification.planting.names import composed
from galenic.privacy.deidentification.planting.scan import ScannedText
from galenic.privacy.deidentification.planting.sentences import TextPlanter, language_of, script_of
from galenic.privacy.deidentification.planting.tables import TablePlanter
from galenic.privacy.deidentification.rules import fhir as fhir_rules
from galenic.privacy.deidentification.rules import fhir_values
from galenic.privacy.deidentification.rules.number_limits import NumberLimits
from galenic.privacy.deidentification.run import start_run
from galenic.privacy.deidentification.table import TableDeidentifier
from galenic.privacy.deidentification.table_layout import layout_of
from galenic.release import residual_risk
from galenic.schema import Finding, NotMeasured

DAY = datetime.date(1958, 4, 3)
VISIT = "The patient was seen for a cough. The lungs are clear and she is well. She takes metformin twice a day.\n"


def made_name(seed: int) -> str:
    rng = np.random.default_rng(seed)
    return f"{composed(rng)} {composed(rng)}"


def people() -> pd.DataFrame:
    rows = range(60)
    return pd.DataFrame(
        {
            "dob": ["4/3/58", "11/2/61", "unknown"] * 20,
            "mother": [made_name(i % 3) for i in rows],
            "gout": [i % 2 for i in rows],
        }
    )


def test_an_interval_of_a_recall_is_exact() -> None:
    assert recall_interval(80, 80) == (pytest.approx(0.9549, abs=1e-4), 1.0)
    assert recall_interval(0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))
    assert recall_interval(5, 10) == (pytest.approx(0.1871, abs=1e-4), pytest.approx(0.8129, abs=1e-4))


def test_the_worst_stratum_is_the_one_with_the_lowest_bound() -> None:
    recall = PlantedRecall()
    for stratum, planted in (("many", 100), ("few", 10)):
        for _ in range(planted):
            recall.add(stratum, "name", removed=True)
    assert recall.worst is not None
    assert recall.worst.name == "few"
    assert PlantedRecall().worst is None


@pytest.mark.parametrize(
    ("kind", "value", "output"),
    [
        ("name", "Given Family", "seen by GIVEN again"),
        ("name", "Jörg Öztürk", "ozturk was here"),
        ("name", "Given Family", "m&#102;: Fam&#105;ly"),
        ("name", "Given Family", "R2l2ZW4gRmFtaWx5IHdhcyBoZXJl"),
        ("phone", "415-555-2671", "call (415) 555 2671"),
        ("record", "MR-448120", "mr448120"),
        ("record", "MR-448120", "no. 448120"),
        ("email", "given.family@mail.net", "GIVEN.FAMILY at"),
        ("place", "94612", "CA 94612-1234"),
        ("age", "101", "a 101-year-old"),
    ],
)
def test_a_planted_identifier_is_found_however_it_is_written(kind: str, value: str, output: str) -> None:
    assert ScannedText(output).holds(Plant("s", kind, value))
    assert not ScannedText("Nothing of it is left: [NAME], 1 of 2, 415.").holds(Plant("s", kind, value))


@pytest.mark.parametrize(
    "output",
    [
        "1958-04-03",
        "04/03/1958",
        "3.4.1958",
        "4/3/58",
        "3 April 1958",
        "April 3, 1958",
        "03-Apr-58",
        "19580403",
        "in April 1958",
    ],
)
def test_a_planted_date_is_found_in_every_format(output: str) -> None:
    assert ScannedText(output).holds(Plant("s", "date", "1958-04-03", DAY))


def test_a_year_alone_is_no_date() -> None:
    assert not ScannedText("born 1958, seen 2020").holds(Plant("s", "date", "1958-04-03", DAY))
    assert dates_in("born 1958") == (set(), set())


@pytest.mark.parametrize("value", ["4/3/58", "Feb 20, 2021", "2021-02-20", "20.02.2021", "20-FEB-2021", "2021-02-20 10:00:00"])
def test_a_planted_date_is_written_as_the_others_are(value: str) -> None:
    form = format_of([value])
    found = date_like(value, str(form), np.random.default_rng(1))
    assert found is not None
    assert format_of([found[0]]) is not None
    assert found[0] != value
    assert ScannedText(found[0]).holds(Plant("s", "date", *found))


@pytest.mark.parametrize(
    ("header", "values", "form"),
    [
        ("dob", ["4/3/58", "11/2/61", "unknown"], "date"),
        ("visit_date", ["Feb 20, 2021"], "date"),
        ("x", ["2021-02-20", "2020-01-01"], "date"),
        ("mother", ["Zwix Quom", "Plam Drot"], "name"),
        ("Nachname", ["Zwix", "Plam"], "name"),
        ("patient_id", ["P00001", "P00002"], "record"),
        ("ssn", ["219-09-9999"], "ssn"),
        ("contact", ["415-555-2671", "415-555-2672"], "phone"),
        ("zip", ["94612", "94613"], "place"),
        ("age", ["30", "40"], "age"),
        ("note", ["She is well and goes home today"], "text"),
        ("sex", ["female", "male"], None),
        ("potassium", ["4.1", "3.9"], None),
        ("race", ["White", "Black", "Asian"], None),
    ],
)
def test_the_form_of_a_column_is_read_from_its_values_and_header(header: str, values: list[str], form: str | None) -> None:
    common = frozenset("female male white black asian she is well and goes home today unknown".split())  # noqa: SIM905
    assert form_of_column(header, values, len(values), common) == form


def test_texts_get_names_of_their_own_script() -> None:
    assert script_of("患者は昨日から発熱があり") == "Kana"
    assert script_of(VISIT) == "Latin"
    assert language_of(VISIT) == "en"
    text, plants = TextPlanter(IdentifierMaker(), frozenset()).plant("患者は発熱があり、咳が続く。血圧は正常。", "notes", 3)
    assert len(plants) == 3
    assert all(p.value in text for p in plants)
    assert not any(p.value.isascii() for p in plants if p.kind == "name")


def test_kinds_that_the_policy_keeps_are_not_planted() -> None:
    _, plants = TextPlanter(IdentifierMaker(), frozenset({"date", "place", "age"})).plant(VISIT * 20, "notes", 40)
    assert {p.kind for p in plants} == {"name", "phone", "record", "ssn", "email"}


def test_two_runs_plant_different_identifiers() -> None:
    one, two = ({IdentifierMaker().name() for _ in range(5)} for _ in range(2))
    assert one.isdisjoint(two)


def finding(report: object, name: str) -> Finding | NotMeasured:
    return next(f for f in residual_risk(report) if f.name == name)  # type: ignore[arg-type]


def test_a_table_that_comes_out_verbatim_has_a_recall_of_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people().to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(TableDeidentifier, "deidentify", lambda _self, file, out, _run: shutil.copy(file, out))
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out")
    recall = finding(done, "deid.planted.recall")
    assert isinstance(recall, Finding)
    assert recall.value == 0
    assert {s["where"] for s in recall.detail["strata"]} >= {"t.csv, column dob, date", "t.csv, column mother, name"}
    stated = finding(done, "deid.stated")
    assert isinstance(stated, Finding)
    assert stated.value >= 100


def test_one_column_that_comes_out_verbatim_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_mother(_self: object, file: Path, out: Path, _run: object) -> None:
        pd.read_csv(file, dtype=str).drop(columns="mother").to_csv(out, index=False)

    people().to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(TableDeidentifier, "deidentify", without_mother)
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out")
    strata = {s.name: s for s in done.planted.strata}  # type: ignore[union-attr]
    assert strata["t.csv, column mother, name"].interval[0] >= 0.95
    assert strata["t.csv, column dob, date"].removed_count == 0
    assert finding(done, "deid.planted.recall").value == 0  # type: ignore[union-attr]


def test_a_detector_that_finds_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text(VISIT, encoding="utf-8")
    monkeypatch.setattr(NoteDeidentifier, "deidentify", lambda _self, file, out, _run: shutil.copy(file, out))
    recall = finding(deidentify([tmp_path / "a.txt"], tmp_path / "out"), "deid.planted.recall")
    assert isinstance(recall, Finding)
    assert recall.value == 0


def test_a_column_that_only_the_copies_leave_out_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def first_whole(_self: object, file: Path, out: Path, _run: object) -> None:
        frame = pd.read_csv(file, dtype=str)
        (frame.drop(columns="mother") if calls else frame).to_csv(out, index=False)
        calls.append(file)

    people().to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(TableDeidentifier, "deidentify", first_whole)
    recall = finding(deidentify([tmp_path / "t.csv"], tmp_path / "out"), "deid.planted.recall")
    assert isinstance(recall, NotMeasured)
    assert "mother" in recall.why


def test_planted_copies_are_deleted_when_the_run_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail_later(_self: object, file: Path, out: Path, _run: object) -> None:
        calls.append(file)
        if len(calls) > 3:
            raise RuntimeError("out of order")
        shutil.copy(file, out)

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(VISIT, encoding="utf-8")
    monkeypatch.setattr(NoteDeidentifier, "deidentify", fail_later)
    with pytest.raises(RuntimeError, match="out of order"):
        deidentify([tmp_path / "in"], tmp_path / "out")
    assert calls[-1] != calls[0]
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_nothing_planted_is_in_the_output_or_the_report(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(VISIT, encoding="utf-8")
    done = deidentify([tmp_path / "a.txt"], tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.txt"]
    assert (tmp_path / "out" / "a.txt").read_text(encoding="utf-8") == VISIT
    planted = deidentification_json(done)["planted"]
    assert planted["strata"][0]["planted"] >= 120
    assert set(planted["strata"][0]) == {"where", "planted", "removed", "recall", "low", "high", "kinds"}
    assert "@" not in json.dumps(planted)


def test_a_table_without_identifiers_is_measured_in_each_of_its_columns(tmp_path: Path) -> None:
    pd.DataFrame({"gout": [0, 1] * 20, "hr": [62, 71] * 20, "smoking": ["never", "current"] * 20}).to_csv(
        tmp_path / "t.csv", index=False
    )
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out")
    recall = finding(done, "deid.planted.recall")
    assert isinstance(recall, Finding)
    assert recall.value >= 0.95
    columns = ("gout, single cells", "hr, single cells", "smoking, single cells", "patient_name, added", "var_x2, added")
    assert {s["where"] for s in recall.detail["strata"]} >= {f"t.csv, column {c}" for c in columns}
    assert isinstance(finding(done, "deid.stated"), NotMeasured)
    off = deidentify([tmp_path / "t.csv"], tmp_path / "off", DeidentificationOptions(measured=False))
    assert isinstance(finding(off, "deid.planted.recall"), NotMeasured)


def test_a_column_of_numbers_that_lets_identifiers_out_has_a_low_recall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NumberLimits, "passes", lambda _self, _value: True)
    pd.DataFrame({"gout": [0, 1] * 20, "hr": [62, 71] * 20}).to_csv(tmp_path / "t.csv", index=False)
    recall = finding(deidentify([tmp_path / "t.csv"], tmp_path / "out"), "deid.planted.recall")
    assert isinstance(recall, Finding)
    assert recall.value < 0.95


def test_copies_have_the_roles_of_the_whole_table_and_its_rare_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    wards = np.where(rng.random(6_000) < 0.02, "surgical", "medical")
    pd.DataFrame({"ward_type": wards, "age": rng.integers(20, 80, 6_000)}).to_csv(tmp_path / "t.csv", index=False)
    source = records.read(tmp_path / "t.csv")
    run = start_run(DeidentificationOptions(table={"rare": 20}).settings(b"k" * 32))
    planting = Planting(run, IdentifierMaker())
    copy = next(TablePlanter().copies(tmp_path / "t.csv", tmp_path / "copies", planting))
    assert copy.layout.roles == layout_of(source, run).roles  # type: ignore[attr-defined]
    run.layout = copy.layout
    TableDeidentifier().deidentify(copy.file, tmp_path / "out.csv", run)
    assert "surgical" in (tmp_path / "out.csv").read_text(encoding="utf-8") or "surgical" not in copy.file.read_text(
        encoding="utf-8"
    )
    assert not any("too few rows" in what for what in run.report.omissions)


def test_names_of_a_table_are_searched_for_in_notes_of_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = made_name(7)
    pd.DataFrame({"patient_name": [name] * 10, "gout": [0, 1] * 5}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "a.txt").write_text(f"{name} was seen.\n", encoding="utf-8")
    monkeypatch.setattr(NoteDeidentifier, "deidentify", lambda _self, file, out, _run: shutil.copy(file, out))
    stated = finding(deidentify([tmp_path / "t.csv", tmp_path / "a.txt"], tmp_path / "out"), "deid.stated")
    assert isinstance(stated, Finding)
    assert stated.value == 1


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_numbers_are_planted_into_a_column_of_numbers_that_comes_out_verbatim(tmp_path: Path, kind: str) -> None:
    numbers = 1_200_000_007 + np.arange(120) * 7_654_321
    pd.DataFrame({"mrn": numbers.astype(kind), "gout": [0, 1] * 60}).to_parquet(tmp_path / "t.parquet")
    done = deidentify(
        [tmp_path / "t.parquet"], tmp_path / "out", DeidentificationOptions(table={"columns": {"mrn": "verbatim"}})
    )
    recall = finding(done, "deid.planted.recall")
    assert isinstance(recall, Finding)
    assert recall.value == 0


def test_a_column_that_no_identifier_fits_is_not_measured(tmp_path: Path) -> None:
    dense = pa.array(np.arange(90, 154).astype("uint8"))
    pq.write_table(pa.table({"age": dense, "gout": [0, 1] * 32}), tmp_path / "t.parquet")
    done = deidentify(
        [tmp_path / "t.parquet"], tmp_path / "out", DeidentificationOptions(table={"columns": {"age": "verbatim"}})
    )
    recall = finding(done, "deid.planted.recall")
    assert isinstance(recall, NotMeasured)
    assert "column age" in recall.why


def observations(value: str) -> str:
    code = {"coding": [{"system": "http://loinc.org", "code": "8302-2", "display": "Body height"}]}
    one = {"resourceType": "Observation", "status": "final", "code": code, "valueString": value}
    return "\n".join(json.dumps({**one, "id": f"o{i}"}) for i in range(10))


def test_short_values_that_come_out_verbatim_have_a_stratum_with_a_low_recall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhir_values, "search_text", lambda text, _rules: text)
    (tmp_path / "g.ndjson").write_text(observations("improved"), encoding="utf-8")
    done = deidentify([tmp_path / "g.ndjson"], tmp_path / "out")
    strata = {s.name: s for s in done.planted.strata}  # type: ignore[union-attr]
    assert strata["FHIR short values, valueString element"].interval[1] < 0.1
    assert strata["FHIR short values, valueString element"].count >= 100
    assert strata["FHIR short values, display element"].removed_count > 0


@pytest.mark.slow
def test_a_small_file_with_a_missed_identifier_is_planted_until_the_stratum_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, calls = fhir_values.search_text, count()
    monkeypatch.setattr(fhir_values, "search_text", lambda text, rules: text if next(calls) % 80 == 40 else search(text, rules))
    one = {
        "resourceType": "Basic",
        "code": {"coding": [{"code": "x"}], "text": "The patient was seen for a cough. She is well and went home."},
    }
    (tmp_path / "one.json").write_text(json.dumps(one), encoding="utf-8")
    planted = deidentify([tmp_path / "one.json"], tmp_path / "out").planted
    assert planted is not None
    stratum = {s.name: s for s in planted.strata}["FHIR labels of codes, text"]
    assert 0 < stratum.count - stratum.removed_count <= 16
    assert stratum.count == 520


def test_ages_are_planted_into_observations_and_a_rule_that_is_switched_off_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Weight"},
        "valueQuantity": {"value": 70, "unit": "kg"},
    }
    (tmp_path / "one.json").write_text(json.dumps(observation), encoding="utf-8")
    report = deidentify([tmp_path / "one.json"], tmp_path / "kept")
    assert report.planted is not None
    assert {s.name: s.removed_count == s.count >= 120 for s in report.planted.strata}["FHIR ages"]
    monkeypatch.setattr(fhir_rules, "asks_age", lambda *_: False)
    report = deidentify([tmp_path / "one.json"], tmp_path / "switched off")
    assert report.planted is not None and report.planted.worst is not None
    assert (report.planted.worst.name, report.planted.worst.interval[0] < 0.95) == ("FHIR ages", True)


def test_the_size_of_a_stratum_decides_well_on_both_sides_of_the_bar() -> None:
    """Decision 19: recall 0.98 passes and recall 0.90 fails with probability 0.95 or more; recall 0.95 passes with at most 0.025."""

    def pass_probability(recall: float) -> float:
        most = max(m for m in range(60) if recall_interval(WANTED_IF_MISSED - m, WANTED_IF_MISSED)[0] >= 0.95)
        assert recall_interval(WANTED, WANTED)[0] >= 0.95
        return float(binom.cdf(most, WANTED_IF_MISSED, 1 - recall))

    assert pass_probability(0.98) >= 0.95
    assert pass_probability(0.90) + 0.90**WANTED <= 0.05
    assert pass_probability(0.95) + 0.95**WANTED <= 0.025


def test_a_detector_that_misses_one_in_fifty_is_measured_on_520_identifiers_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = people().assign(mother=[made_name(i) for i in range(60)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    planted: list[str] = []

    def misses_one_in_fifty(_self: object, file: Path, out: Path, _run: object) -> None:
        values = pd.read_csv(file, dtype=str)["mother"]
        fresh = [v for v in values if v not in set(frame["mother"])]
        planted.extend(fresh)
        missed = {v for i, v in enumerate(planted) if i % 50 == 49}
        pd.DataFrame({"gout": 1, "mother": values.where(values.isin(missed))}).to_csv(out, index=False)

    monkeypatch.setattr(TableDeidentifier, "deidentify", misses_one_in_fifty)
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out")
    strata = {s.name: s for s in done.planted.strata}  # type: ignore[union-attr]
    mother = strata.pop("t.csv, column mother, name")
    assert mother.count == WANTED_IF_MISSED == 520
    assert 1 <= mother.count - mother.removed_count <= 16
    assert {s.count for s in strata.values() if s.removed_count == s.count} == {WANTED} == {120}


def test_ages_are_planted_among_numbers_under_a_header_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    weights = rng.normal(85, 30, 800).clip(40, 190).round(1)
    pd.DataFrame({"q4": rng.binomial(60, 0.5, 800), "q5": weights, "bmi": rng.binomial(60, 0.5, 800)}).to_csv(
        tmp_path / "t.csv", index=False
    )

    def kinds(out: str) -> dict[str, tuple[int, int]]:
        done = deidentify([tmp_path / "t.csv"], tmp_path / out)
        return {s.name: (s.planted["age"], s.removed["age"]) for s in done.planted.strata if "age" in s.planted}  # type: ignore[union-attr]

    assert (planted := kinds("out")).keys() == {"t.csv, column q4, single cells"}
    assert all(many >= 8 and removed == many for many, removed in planted.values())
    monkeypatch.setattr(NumberStatistics, "may_be_ages", lambda _self: False)
    assert all(removed == 0 for _, removed in kinds("off").values())
