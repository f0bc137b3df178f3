"""Columns of tables: what is not positively recognized as free of identifiers does not come out."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galenic.errors import OptionError
from galenic.privacy.deidentification import DeidentificationOptions, DeidentificationReport, deidentify

PEOPLE = ("Zorvath Kelm", "Brelka Quistorp", "Tamsor Ollivand")  # syllables, nobody's name


def written(tmp_path: Path, columns: dict[str, list[str]], **options: object) -> tuple[str, DeidentificationReport]:
    """The output of one table, and the report."""
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out", DeidentificationOptions(**options))  # type: ignore[arg-type]
    place = tmp_path / "out" / "t.csv"
    return place.read_text(encoding="utf-8") if place.exists() else "", done


DATES_OF_BIRTH = ["4/3/58", "11/2/61", "unknown"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        pytest.param("dob", DATES_OF_BIRTH, id="dates of birth of three values"),
        pytest.param("bday", DATES_OF_BIRTH, id="bday"),
        pytest.param("geb.", ["20.03.58", "1.2.1961", "unbekannt"], id="German dates"),
        pytest.param("visit_date", ["Feb 20, 2021"] * 3, id="a visit date that repeats"),
        pytest.param("misc", ["Feb 20, 2021", "3 mars 2019", "20 de febrero de 2020"], id="dates under a header that says nothing"),
        pytest.param("var17", ["20190704", "20200811", "20210102"], id="dates of eight digits"),
        pytest.param("mother", list(PEOPLE), id="mother"),
        pytest.param("next_of_kin", list(PEOPLE), id="next of kin"),
        pytest.param("guardian", list(PEOPLE), id="guardian"),
        pytest.param("ward_clerk", list(PEOPLE), id="ward clerk"),
        pytest.param("seen_by", ["Dr Kelm", "Dr Quistorp", "Dr Kelm"], id="seen by"),
        pytest.param("dr", ["Kelm", "Quistorp", "Kelm"], id="dr"),
        pytest.param("pt", ["KELM, ZORVATH", "QUISTORP, B", "KELM, ZORVATH"], id="pt"),
        pytest.param("Nachname", ["Kelm", "Quistorp", "Kelm"], id="Nachname"),
        pytest.param("Vorname", ["Zorvath", "Brelka", "Zorvath"], id="Vorname"),
        pytest.param("Wohnort", ["Kelmstadt", "Obertupfing", "Kelmstadt"], id="Wohnort"),
        pytest.param("status", list(PEOPLE), id="names under a header of categories"),
        pytest.param("code", ["Kelm-1958-F", "Quistorp-1961-M", "Kelm-1958-F"], id="composite keys"),
        pytest.param("lat", ["47.37689", "47.38123", "47.36991"], id="latitude"),
        pytest.param("q3", ["47.37689", "47.38123", "47.36991"], id="coordinates under a header that says nothing"),
        pytest.param("comment", ["see Dr Kelm", "lives in Obertupfing", "see Dr Kelm"], id="short comments"),
        pytest.param("file", ["Kelm_1958.pdf", "Quistorp_1961.pdf", "Kelm_1958.pdf"], id="file names"),
        pytest.param("extra", ['{"name": "Kelm"}', '{"name": "Quistorp"}', "{}"], id="JSON"),
        pytest.param("var3", ["94611", "94612", "94611"], id="postal codes under a header that says nothing"),
        pytest.param("var4", ["219099999", "219099998", "219099999"], id="nine digits"),
        pytest.param("weight", ["219-09-9999", "219-09-9998", "219-09-9999"], id="social security numbers as weights"),
        pytest.param("icd10", ["P12345", "Q92346", "P12345"], id="record numbers as diagnoses"),
        pytest.param("group", ["6.10311", "6.22150", "6.22200"], id="coordinates as groups"),
        pytest.param("score", ["84321", "91234", "77812"], id="record numbers as scores"),
        pytest.param("code", ["K12345678", "K87654321", "K12345678"], id="insurance numbers as codes"),
        pytest.param("seen", ["12.3.", "4.5.", "12.3."], id="days without a year"),
        pytest.param("admitted", ["43891", "43892", "43891"], id="serial numbers of a spreadsheet"),
        pytest.param("x2", ["841221-9684", "790101-9999", "660229-3332"], id="Danish or Swedish numbers of people"),
        pytest.param("rodne", ["810106/2854", "575214/0001", "810106/2854"], id="Czech birth numbers"),
        pytest.param("q7", ["79419-1815", "94611-0001", "79419-1815"], id="postal codes of nine digits"),
        pytest.param("extra", ["503-9259", "555-0100", "503-9259"], id="telephone numbers without an area"),
        pytest.param("ref", ["68142/361", "68143/362", "68144/363"], id="tax numbers as references"),
        pytest.param("result", ["841221-9684 f", "790101-9999 m", "660229-3332 f"], id="numbers of people with a sex"),
        pytest.param("level", ["503/925/123", "503/925/124", "503/925/125"], id="three parts of three digits"),
        pytest.param("value", ["47.37/8.5417", "47.3812/8.54", "47.3699/8.5410"], id="pairs of coordinates"),
        pytest.param("pnr_se", ["841221-9684", "790101-9999", "660229-3332"], id="a national number beside the word of a measure"),
        pytest.param("nino", ["Q1", "Q2", "Q3"], id="national insurance number"),
        pytest.param("steuer-id", ["Q1", "Q2", "Q3"], id="tax number"),
        pytest.param("q1", ["Faith Summer", "Will Long", "Iris Summer"], id="names of common words under a question"),
        pytest.param("ward", ["Faith Summer", "Will Long", "Iris Summer"], id="names of common words under a ward"),
        pytest.param("blood_relative", ["Summer", "Wood", "Long"], id="relatives by blood"),
        pytest.param("grp", ["103 years", "97 years", "91 years"], id="ages in years under a header that says nothing"),
        pytest.param("los", ["93 a", "95 a", "102 a"], id="ages in years under a header of durations"),
        pytest.param("grp", ["93 Jahre alt", "95 años", "ninety-three"], id="ages in words"),
        pytest.param("x9", ["95M", "97F", "101F"], id="ages with a sex"),
        pytest.param("grp", ["1130 months", "093Y", "99 ans"], id="ages in other units"),
        pytest.param("category_b", ["92-94", "95-97", ">97"], id="groups of ages above 89"),
    ],
)  # fmt: skip
def test_values_that_may_identify_do_not_come_out_whatever_their_number(header: str, values: list[str], tmp_path: Path) -> None:
    text, done = written(tmp_path, {"sex": ["female", "male", "female"] * 20, header: values * 20})
    assert text.splitlines()[1:] and "female" in text
    for value in values:
        if value not in ("unknown", "unbekannt"):
            assert value not in text
    assert not done.refusals


@pytest.mark.parametrize(
    ("header", "values"),
    [
        pytest.param("dob", ["4/3/1958", "1961-11-02", "unknown"], id="dates are reduced to the year"),
        pytest.param("geb.", ["20.03.1958", "1. Februar 1961", "unbekannt"], id="German"),
        pytest.param("fecha_nacimiento", ["20 de marzo de 1958", "1 feb 1961", "desconocido"], id="Spanish"),
    ],
)
def test_dates_in_mixed_forms_keep_their_year(header: str, values: list[str], tmp_path: Path) -> None:
    text, _ = written(tmp_path, {header: values})
    assert text.replace('"', "").splitlines() == [header, "1958", "1961", values[2]]


def test_a_year_of_birth_that_reveals_an_age_above_89_is_left_out(tmp_path: Path) -> None:
    text, _ = written(tmp_path, {"dob": ["4/3/1921", "4/3/21", "4/3/1961"], "age": ["95", "94 years", "60"]})
    assert text.replace('"', "").splitlines() == ["dob,age", ",90", ",90 or older", "1961,60"]


def test_a_rare_name_in_a_column_of_clean_words_is_left_out(tmp_path: Path) -> None:
    text, done = written(tmp_path, {"smoking": ["never", "current", "former"] * 400 + ["Kelm"]})
    assert "Kelm" not in text
    assert text.count("never") == 400
    assert "1 cells" in done.columns[0]["what"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        pytest.param("Geschlecht", ["männlich", "weiblich", "divers"], id="German sex"),
        pytest.param("situation_familiale", ["célibataire", "marié", "divorcé"], id="French marital status"),
        pytest.param("tabaquismo", ["fumador", "exfumador", "nunca"], id="Spanish smoking"),
        pytest.param("reparto", ["Cardiologia", "Terapia intensiva", "Chirurgia"], id="Italian wards"),
        pytest.param("tipo_alta", ["óbito", "melhorado", "transferido"], id="Portuguese outcome"),
        pytest.param("bloedgroep", ["A+", "O-", "AB+"], id="Dutch blood groups"),
        pytest.param("icd10", ["E11.9", "I10", "J45.909"], id="ICD-10"),
        pytest.param("loinc", ["2345-7", "718-7", "2823-3"], id="LOINC"),
        pytest.param("atc", ["C07AB02", "A10BA02", "N02BE01"], id="ATC"),
        pytest.param("cpt", ["99213", "99214", "80053"], id="CPT"),
        pytest.param("platelets", ["150000", "220000", "310000"], id="large measurements"),
        pytest.param("result", ["4.1", "<0.5", "positive"], id="results"),
        pytest.param("bp", ["120/80", "135/90", "110/70"], id="blood pressure"),
        pytest.param("titer", ["1:160", "1:2560", "1:40"], id="titres"),
        pytest.param("visual_acuity", ["20/40", "20/200", "20/25"], id="visual acuity"),
        pytest.param("ref_range", ["3-5", "3.5-5.1", "70-110"], id="reference ranges"),
        pytest.param("spo2", [">95 %", "92-97", "98"], id="saturations that might be ages"),
        pytest.param("temp", ["99 F", "101.2 F", "98.6 F"], id="degrees Fahrenheit"),
        pytest.param("duration", ["36 h", "12 weeks", "90 days"], id="durations"),
        pytest.param("strength", ["875/125 mg", "1000 mg", "5000 U"], id="strengths"),
        pytest.param("unit", ["mg/dL", "mmol/L", "10*3/uL"], id="units"),
        pytest.param("drug_name", ["Metformin", "atorvastatina", "Amoxicillin 500 mg"], id="drugs"),
        pytest.param("diagnosis", ["Crohn's disease", "Herzinsuffizienz", "type 2 diabetes mellitus"], id="diagnoses"),
        pytest.param("race", ["White", "Black or African American", "Asian"], id="race, whose words are names, too"),
    ],
)
def test_clean_columns_come_out_whole(header: str, values: list[str], tmp_path: Path) -> None:
    text, done = written(tmp_path, {header: values * 10})
    assert text.replace('"', "").splitlines()[1:] == values * 10
    assert not done.columns


def test_a_declared_column_is_written_and_recorded(tmp_path: Path) -> None:
    columns = {"sex": ["f", "m"] * 10, "var17": ["brelk", "domp"] * 10}
    text, done = written(tmp_path, columns)
    assert "brelk" not in text
    assert "--column NAME=KIND" in done.columns[0]["what"]
    (tmp_path / "again").mkdir()
    text, done = written(tmp_path / "again", columns, table={"columns": {"var17": "category"}})
    assert text.count("brelk") == 10
    assert "declared as category by the user" in done.columns[0]["what"]


def test_a_declaration_that_its_values_contradict_is_refused_unless_overridden(tmp_path: Path) -> None:
    columns = {"sex": ["f", "m"] * 10, "var17": ["Dr Kelm", "4/3/1958"] * 10}
    _, done = written(tmp_path, columns, table={"columns": {"var17": "category"}})
    assert "dates and names" in done.refusals[0][1].replace("names of people", "names")
    (tmp_path / "again").mkdir()
    text, done = written(tmp_path / "again", columns, table={"columns": {"var17": "verbatim"}})
    assert "Dr Kelm" in text
    assert "declared as verbatim by the user" in done.columns[0]["what"]


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Expected one of"):
        written(tmp_path, {"a": ["1", "2"]}, table={"columns": {"a": "harmless"}})


def test_a_nested_column_of_parquet_is_withheld(tmp_path: Path) -> None:
    table = pa.table({"sex": ["f", "m"], "contact": [{"name": "Kelm"}, {"name": "Quistorp"}], "tags": [["Kelm"], []]})
    pq.write_table(table, tmp_path / "t.parquet")
    done = deidentify([tmp_path / "t.parquet"], tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "t.parquet").column_names == ["sex"]
    assert {c["column"] for c in done.columns} == {"contact", "tags"}


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Thomas,Smith,1958-03-04,47\nMary,Jones,1961-02-11,52\n")
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out")
    assert not done.files
    assert "header" in done.refusals[0][1]


def test_a_transposed_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("field,p1,p2\nsurname,Kelm,Quistorp\ndob,1958-03-04,1961-02-11\nsex,f,m\n")
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out")
    assert not done.files
    assert "transposed" in done.refusals[0][1]
