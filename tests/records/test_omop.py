"""OMOP CDM as events: equal to SQL on the source, what does not map counted, bad files told without their values."""

import gzip
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from galenic.errors import RecordError
from galenic.records.omop import Omop
from galenic.records.omop_sql import FOUND
from galenic.schema import BIRTH, DEATH, TIMELINE

PERSON = "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,birth_datetime,race_concept_id,ethnicity_concept_id\n"
CONCEPT = (
    "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code\n"
    "8507,MALE,Gender,Gender,Gender,S,M\n3004249,Systolic,Measurement,LOINC,x,S,8480-6\n8876,mmHg,Unit,UCUM,Unit,S,mm[Hg]\n"
    "45880296,Positive,Meas Value,LOINC,Answer,S,LA6576-8\n"
)
MEASUREMENT = (
    "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,operator_concept_id,value_as_number,"
    "value_as_concept_id,unit_concept_id,visit_occurrence_id,measurement_source_value,unit_source_value\n"
)


def omop(folder: Path, **tables: str) -> Omop:
    for name, text in {"person": PERSON + "1,8507,1950,5,,,0,0\n2,0,1960,,,1960-02-03 04:05:06,0,0\n", **tables}.items():
        (folder / f"{name}.csv").write_text(text)
    return Omop(folder)


def test_people_measurements_and_deaths(tmp_path: Path) -> None:
    source = omop(
        tmp_path,
        concept=CONCEPT,
        measurement=MEASUREMENT
        + "7,1,3004249,2020-01-02,2020-01-02 10:00:00,4171756,120.50,,8876,9,bp,mmHg\n"
        + "8,1.0,3004249.0,2020-01-03,,,,45880296,0,,bp,\n"
        + "9,2,0,2020-01-04,,,5,,,,home glucose,mg/dL\n"
        + "10,,3004249,2020-01-04,,,5,,,,bp,\n"
        + "11,2,99999,yesterday,,,5,,,,bp,\n",
        death="person_id,death_date\n2,2021-06-07\n",
    )
    found = pa.concat_tables(source.events())
    assert found.schema == FOUND
    rows = found.select(
        ["subject", "code", "numeric_value", "text_value", "unit", "value_text", "encounter_id", "source_ref"]
    ).to_pylist()
    by_ref = {r["source_ref"]: r for r in rows if r["source_ref"].startswith("measurement")}
    assert by_ref["measurement/7"] == {
        "subject": "1", "code": "LOINC//8480-6", "numeric_value": 120.5, "text_value": "<", "unit": "mm[Hg]",
        "value_text": "120.50", "encounter_id": "9", "source_ref": "measurement/7",
    }  # fmt: skip
    assert by_ref["measurement/8"]["text_value"] == "LOINC//LA6576-8"
    assert by_ref["measurement/9"]["code"] == "MEASUREMENT//home glucose"
    assert by_ref["measurement/11"]["code"] == "OMOP//99999"
    assert source.report["measurement"].counted == {"no person": 1, "unmapped": 1, "no time": 1}
    assert source.report["measurement"].rows == 5
    times = {(r["subject"], r["code"]): r["time"] for r in found.to_pylist() if r["code"] in (BIRTH, DEATH)}
    assert {k: str(v) for k, v in times.items()} == {
        ("1", BIRTH): "1950-05-01 00:00:00",
        ("2", BIRTH): "1960-02-03 04:05:06",
        ("2", DEATH): "2021-06-07 00:00:00",
    }
    assert [r["code"] for r in rows if r["code"].startswith("GENDER")] == ["GENDER//M"]
    assert source.report["person"].rows == 2


def test_the_report_names_columns_that_are_absent_or_strange(tmp_path: Path) -> None:
    visit = (
        "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_end_date,admitted_from_concept_id,shoe_size\n"
    )
    source = omop(tmp_path, visit_occurrence=visit + "1,1,9201,2020-02-02,2020-02-01,0,42\n", cost="cost_id\n1\n")
    for _ in source.events():
        pass
    report = source.report["visit_occurrence"]
    assert report.unknown == ["shoe_size"]
    assert "discharged_to_concept_id" in report.absent  # of 5.4, as admitted_from_concept_id is
    assert "discharge_to_concept_id" not in report.absent
    assert report.counted == {"end before start": 1}
    assert (source.report["cost"].rows, source.report["cost"].events) == (1, 0)


@pytest.mark.parametrize(
    ("table", "text", "says"),
    [
        ("person", "a,b\n1,2\n", "person_id"),
        ("measurement", MEASUREMENT + "1,2\n", "same number of fields"),
        ("measurement", MEASUREMENT + '1,1,0,"Zebulon-secret\n', "cannot be read"),
    ],
)
def test_a_bad_file_is_told_without_its_values(tmp_path: Path, table: str, text: str, says: str) -> None:
    source = omop(tmp_path, **{table: text})
    with pytest.raises(RecordError, match=says) as caught:
        list(source.events())
    assert "Zebulon" not in str(caught.value)


def test_no_person_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="person"):
        Omop(tmp_path)
    (tmp_path / "x.duckdb").write_bytes(b"not a database at all")
    with pytest.raises(RecordError):
        Omop(tmp_path / "x.duckdb")


def test_parquet_and_duckdb_give_the_same_as_csv(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    measurement = MEASUREMENT + "7,1,3004249,2020-01-02,2020-01-02 10:00:00,,120.5,,8876,9,bp,mmHg\n"
    wanted = pa.concat_tables(omop(tmp_path / "csv", concept=CONCEPT, measurement=measurement).events())
    (tmp_path / "parquet").mkdir()
    with duckdb.connect(str(tmp_path / "all.duckdb")) as db:
        for path in sorted((tmp_path / "csv").glob("*.csv")):
            frame = db.sql(f"SELECT * FROM read_csv('{path}')").to_arrow_table()
            pq.write_table(frame, tmp_path / "parquet" / f"{path.stem}.parquet")
            db.execute(f"CREATE TABLE {path.stem} AS SELECT * FROM read_csv('{path}')")
    for place in (tmp_path / "parquet", tmp_path / "all.duckdb"):
        found = pa.concat_tables(Omop(place).events())
        assert found.sort_by([("source_ref", "ascending"), ("code", "ascending")]) == wanted.sort_by(
            [("source_ref", "ascending"), ("code", "ascending")]
        )


def test_gibleed_equals_sql_on_the_source(data: Path) -> None:
    place = data / "ehr" / "omop-eunomia" / "gibleed"
    source = Omop(place)
    found = pa.concat_tables(source.events())
    assert set(TIMELINE.names) - set(found.schema.names) == {"subject_id", "ingest_id"}
    for table in (
        "condition_occurrence",
        "drug_exposure",
        "measurement",
        "procedure_occurrence",
        "observation",
        "visit_occurrence",
    ):
        with gzip.open(place / f"{table}.csv.gz", "rt") as file:
            rows = sum(1 for _ in file) - 1
        assert source.report[table].rows == source.report[table].events == rows
        assert not source.report[table].absent
    assert source.report["person"].rows == 2_694
    db = duckdb.connect()
    people = [
        r[0]
        for r in db.sql(
            f"SELECT CAST(person_id AS BIGINT) FROM read_csv('{place}/person.csv.gz') ORDER BY 1 LIMIT 10"
        ).fetchall()
    ]
    for person in people:
        mine = found.filter(pc.equal(found["subject"], str(person)))
        for table, start in (
            ("condition_occurrence", "condition_start_datetime"),
            ("drug_exposure", "drug_exposure_start_datetime"),
        ):
            want = db.sql(
                f"SELECT coalesce({start}, CAST({start.removesuffix('time')} AS TIMESTAMP)), c.vocabulary_id || '//' || c.concept_code "
                f"FROM read_csv('{place}/{table}.csv.gz') t JOIN read_csv('{place}/concept.csv.gz', types = {{'concept_code': 'VARCHAR'}}) c "
                f"ON c.concept_id = t.{table.split('_')[0]}_concept_id WHERE person_id = {person}"
            ).fetchall()
            own = mine.filter(pc.starts_with(mine["source_ref"], f"{table}/"))
            assert sorted(zip(own["time"].to_pylist(), own["code"].to_pylist(), strict=True)) == sorted(want)
