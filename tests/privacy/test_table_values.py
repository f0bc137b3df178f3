"""Cells of tables: identifiers that have the form of a value of their column do not come out, and clean columns come out whole."""

import csv
from pathlib import Path

import pytest

from galenic.privacy.deidentification import DeidentificationOptions, DeidentificationReport, deidentify


def written(tmp_path: Path, columns: dict[str, list[str]]) -> tuple[dict[str, list[str]], DeidentificationReport]:
    """The columns that come out, and the report."""
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    done = deidentify([tmp_path / "t.csv"], tmp_path / "out", DeidentificationOptions(measured=False))
    place = tmp_path / "out" / "t.csv"
    if not place.exists():
        return {}, done
    with place.open(encoding="utf-8", newline="") as file:
        head, *lines = list(csv.reader(file))
    return {name: [line[i] for line in lines] for i, name in enumerate(head)}, done


SEX = ["female", "male", "female"] * 20


@pytest.mark.parametrize(
    ("header", "values"),
    [
        pytest.param("ward", ["14/03", "02/11", "28/02"], id="days and months under a ward"),
        pytest.param("score", ["3/10", "4/11", "5/12", "1/9", "2/8", "3/7"], id="days and months of many denominators"),
        pytest.param("stage", ["Mar 14", "Nov 2", "Feb 28"], id="days of months under a stage"),
        pytest.param("diagnosis", ["1931-045", "1944-301", "1950-366"], id="days of years under a diagnosis"),
        pytest.param("hr", ["393058", "401772", "388120"], id="record numbers as heart rates"),
        pytest.param("total_cost", ["810 106 285", "905 203 110", "780 512 334"], id="telephone numbers in groups as costs"),
        pytest.param("albumin", ["0.219091001", "0.219091002", "0.318113405"], id="numbers of people behind a point"),
        pytest.param("creatinine", ["47.37689", "47.38123", "47.36991"], id="coordinates as laboratory values"),
        pytest.param("glucose", ["19022", "19023", "19100"], id="days since 1970 as laboratory values"),
        pytest.param("glucose", ["1643712000", "1643712060", "1643712120"], id="seconds since 1970 as laboratory values"),
        pytest.param("ferritin", ["43891", "43892", "43900"], id="days of a spreadsheet as laboratory values"),
        pytest.param("code", ["4812203", "7712034", "5520187"], id="record numbers as codes"),
        pytest.param("snomed", ["4812203", "7712034", "5520187"], id="record numbers as codes of SNOMED CT"),
        pytest.param("loinc", ["48122-1", "77120-2", "55201-9"], id="numbers without LOINC's check digit"),
        pytest.param("ward", ["Young", "Long", "Walker"], id="family names of common words as wards"),
        pytest.param("ward", ["GARCIA", "KELM", "GARCIA"], id="family names in capitals"),
        pytest.param("service", ["Grace Ann Young", "Hope Mary Long", "Faith Rose Hill"], id="names of three words"),
        pytest.param("status", ["854 Hill Street", "12 Mill Road", "7 Church Lane"], id="addresses of common words"),
        pytest.param("race", ["Violet Waters", "Ruby Stone", "Grace Field"], id="given and family names of common words"),
        pytest.param("imie", ["Zorvath", "Brelka", "Tamsor"], id="Polish given name"),
        pytest.param("sukunimi", ["Zorvath", "Brelka", "Tamsor"], id="Finnish family name"),
        pytest.param("wiek", ["93", "95", "101"], id="Polish ages above 89"),
        pytest.param("q4", ["93", "34", "101"], id="ages above 89 under a header that says nothing"),
        pytest.param("var9", ["1234", "8001", "3007"], id="postal codes of four digits under a header that says nothing"),
        pytest.param("q4", [str(55 + i) for i in range(50)] + ["-9"] * 10, id="ages among codes of missing values"),
        pytest.param("q5", [str(91 + i % 12) for i in range(57)] + ["-1", "900", "888"], id="ages among rare codes"),
        pytest.param("lfd", [str(1 + i // 2) for i in range(60)], id="numbers of patients with two rows each"),
        pytest.param("x1", [str(1 + i % 30) for i in range(60)], id="numbers of patients that come back"),
        pytest.param("x1", [str(120 + 7 * i * i % 883) for i in range(60)], id="numbers with gaps"),
        pytest.param("group", [str(1 + i // 2) for i in range(60)], id="numbers of patients under a category"),
        pytest.param("x2", ["314", "1121", "602", "228"], id="months and days as whole numbers"),
        pytest.param("var2", ["103", "2111", "206"], id="days and months as whole numbers"),
        pytest.param("team", ["Foster", "Burns", "Snow", "Law", "Weeks"], id="family names that are rarely thought to be any"),
        pytest.param("ward", ["Street", "Post", "Summer", "Small", "Short"], id="the same under a ward"),
        pytest.param("discharge_ward", ["Young", "Long", "Walker", "Major"], id="family names under a discharge"),
        pytest.param("ward", ["3/14", "4/15", "2/28"], id="months and days under a ward"),
        pytest.param("status", ["1/31", "3/31", "5/31"], id="last days of months"),
        pytest.param("nr_x", [str(200 + i) for i in range(60)], id="another number in each row"),
    ],
)  # fmt: skip
def test_identifiers_in_the_form_of_values_do_not_come_out(header: str, values: list[str], tmp_path: Path) -> None:
    repeated = values if len(values) == 60 else (values * 20)[:60]
    young = [v for v in values if header in ("q4", "q5") and not 90 <= float(v) <= 125]
    columns, done = written(tmp_path, {"sex": SEX, header: repeated})
    assert columns["sex"] == SEX
    assert not {
        v
        for v in columns.get(header, [])
        if v not in (*young, "90", "") and not (header == "diagnosis" and v in ("1944", "1950"))
    }
    assert not done.refusals


@pytest.mark.parametrize(
    ("header", "usual", "stray"),
    [
        ("hr", ["62", "71", "88"], "393058"),
        ("sodium", ["138", "141", "135"], "4471"),
        ("bsa", ["1.7", "1.9", "2.1"], "4471"),
        ("spo2", ["97", "95", "99"], "821"),
        ("weight", ["62.5", "71.0", "88.2"], "7712034"),
        ("platelets", ["150000", "220000", "310000"], "2015550100"),
        ("albumin", ["3.9", "4.1", "4.4"], "0.219091001"),
        ("x3", ["1", "2", "3"], "20455189"),
        ("pain", ["1/10", "3/10", "7/10"], "14/03"),
        ("ward", ["medical", "surgical", "maternity"], "Walker"),
        ("icd10", ["E11.9", "I10", "J45.909"], "7712034"),
        ("cvx", ["08", "115", "141"], "7712034"),
    ],
)
def test_a_single_identifier_among_clean_values_is_left_out(header: str, usual: list[str], stray: str, tmp_path: Path) -> None:
    values = [*(usual * 20), stray]
    columns, done = written(tmp_path, {"sex": [*SEX, "male"], header: values})
    assert columns[header] == [*values[:-1], ""]
    assert "1 cells" in done.columns[0]["what"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        pytest.param("hday", ["1", "12", "301"], id="numbers of fewer than four digits under a header that says nothing"),
        pytest.param("q7", ["0.4", "-1.25", "17.5"], id="decimals under a header that says nothing"),
        pytest.param("futime", ["41", "1925", "4795"], id="times"),
        pytest.param("pgr", ["0", "26", "2380"], id="numbers of mixed length"),
        pytest.param("laser", ["xenon", "argon", "xenon"], id="ordinary words under a header that says nothing"),
        pytest.param("status2", ["transplanted", "censored", "withdrawn"], id="outcomes"),
        pytest.param("ca", ["no", "metastatic", "yes"], id="cancer"),
        pytest.param("race", ["white", "black", "asian"], id="race"),
        pytest.param("health", ["Good", "Fair", "Poor"], id="answers that are names, too"),
        pytest.param("unit", ["days", "weeks", "months"], id="a name among units"),
        pytest.param("body_part", ["hand", "arm", "foot", "knee"], id="names among parts of the body"),
        pytest.param("religion", ["Christian", "Muslim", "Jewish"], id="faiths"),
        pytest.param("eye_color", ["brown", "green", "blue"], id="colors"),
        pytest.param("group", ["White", "Black", "Asian"], id="races under a group"),
        pytest.param("stage", ["1/4", "2/4", "4/4"], id="a scale"),
        pytest.param("q8", [str(60 + i * 37 % 60 + i * 23 % 61) for i in range(60)], id="weights, some of which might be ages"),
        pytest.param("snomed", ["73211009", "38341003", "44054006"], id="SNOMED CT"),
        pytest.param("glasgow", ["14/15", "15/15", "13/15"], id="scores of fifteen"),
        pytest.param("cost", ["1,250.50", "880.00", "12,400.25"], id="amounts in groups"),
        pytest.param("kreatinin", ["0,9", "1,25", "3,456"], id="decimal commas"),
        pytest.param("asa", ["1", "2", "III"], id="classes of the ASA"),
        pytest.param("FEV1", ["3132", "2299", "2405"], id="a measure that begins as a French month"),
        pytest.param("edu", ["12", "16", "9"], id="an abbreviation that is a listed name"),
    ],
)  # fmt: skip
def test_clean_columns_come_out_whole_under_their_header(header: str, values: list[str], tmp_path: Path) -> None:
    columns, done = written(tmp_path, {header: values * 20})
    assert columns == {header: values * 20}
    assert not done.columns


def test_of_races_and_names_under_a_group_only_colors_come_out(tmp_path: Path) -> None:
    columns, _ = written(tmp_path, {"sex": SEX, "group": (["White", "Black", "Asian", "Young", "Walker", "Long"] * 10)})
    assert set(columns.get("group", [])) <= {"White", "Black", "Asian", ""}


def test_a_word_that_says_that_a_date_is_missing_is_no_stated_value(tmp_path: Path) -> None:
    columns = {"dob": ["4/3/1958", "unknown", "11/2/1961"] * 20, "smoking": ["unknown", "never", "current"] * 20}
    _, done = written(tmp_path, columns)
    assert done.residual_search.places == 0
