"""The unit of privacy: said in words, and refused where it is unclear who is protected."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

import galenic.api as ga
from galenic import cli, custody, records
from galenic.errors import DescriptionError, RecordError
from galenic.generators.tables import describe_relations, related_unit
from galenic.installation import Installation
from galenic.privacy import ColumnOptions, PrivacyUnit, describe_table, privacy_unit, without_observed
from galenic.schema import Column


def visits(*names: str) -> records.Source:
    """Six visits each of 50 patients; the first column numbers visits, the others patients."""
    numbers = {name: [str(i if not place else i // 6) for i in range(300)] for place, name in enumerate(names)}
    return records.in_memory(pa.table({**numbers, "sex": ["f", "m"] * 150}))


def test_the_unit_in_words() -> None:
    assert str(PrivacyUnit("mrn", 1)) == "patient: column mrn, at most 1 row each"
    assert str(PrivacyUnit("mrn", 3)) == "patient: column mrn, at most 3 rows each"
    assert str(PrivacyUnit(None)).startswith("row: no column identifies patients")


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("other", ["patient_id", "Patientennummer", "患者番号", "mrn"])
def test_two_columns_that_could_be_the_patient_are_refused_and_named(other: str, private: bool) -> None:
    with pytest.raises(DescriptionError, match=rf"columns \['id', '{other}'\].*--patient COLUMN"):
        describe_table(visits("id", other), ColumnOptions(), private=private)
    with pytest.raises(DescriptionError, match=rf"columns \['id', '{other}'\]"):  # dropping one does not say who is protected
        describe_table(visits("id", other), ColumnOptions(drop=(other,)), private=private)
    assert describe_table(visits("id", other), ColumnOptions(patient=other, drop=("id",)), private=private).patient == other


def test_a_recognized_column_that_does_not_repeat_while_another_does_is_refused() -> None:
    with pytest.raises(RecordError, match=r"'id' has a different value in every row.*'account_no' repeat.*--patient COLUMN"):
        describe_table(visits("id", "account_no"), ColumnOptions(), private=True)
    assert privacy_unit(visits("id", "account_no"), ColumnOptions(patient="id"), 1) == PrivacyUnit("id", 1)


def test_a_description_declares_the_patient_column() -> None:
    columns = (Column("id", "identifier", role="drop"), Column("mrn", "identifier", role="patient"), Column("sex", "category"))
    assert privacy_unit(visits("id", "mrn"), ColumnOptions(columns), 2) == PrivacyUnit("mrn", 2)


OLD_FILE = """\
# What each column holds. Edit this file: by passing it to galenic you declare the kinds and roles that stand here.
version = 1
[[column]]
name = "id"
kind = "identifier"
role = "patient"
[[column]]
name = "account_no"
kind = "identifier"
role = "drop"
kind_origin = "declared"
[[column]]
name = "sex"
kind = "category"
"""


def test_a_role_that_an_earlier_description_observed_is_checked_as_a_recognized_one(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(OLD_FILE)
    for private in (True, False):
        with pytest.raises(RecordError, match=r"'id' has a different value in every row.*'account_no' repeat"):
            describe_table(visits("id", "account_no"), ColumnOptions(tmp_path / "old.toml", buy=True), private=private)
    declared = OLD_FILE.replace('role = "patient"', 'role = "patient"\nkind_origin = "declared"')
    (tmp_path / "new.toml").write_text(declared)
    options = ColumnOptions(tmp_path / "new.toml", buy=True)
    assert describe_table(visits("id", "account_no"), options, private=True).patient == "id"


def test_a_description_says_whether_its_patient_column_was_recognized_or_named() -> None:
    recognized, named = (records.describe(visits("id", "sex_at_birth"), patient) for patient in (None, "id"))
    assert [c.kind_origin for c in (recognized[0], named[0])] == ["observed", "declared"]
    assert without_observed(recognized)[0] == recognized[0]


def test_a_row_is_the_unit_only_where_the_caller_says_so() -> None:
    assert privacy_unit(visits("id", "mrn"), ColumnOptions(unit="row"), 3).column is None
    with pytest.raises(DescriptionError, match="no column is known to identify patients"):
        privacy_unit(visits("visit_id"), ColumnOptions(), 1)


def test_describe_and_python_refuse_it_too(installation: Installation) -> None:
    with pytest.raises(DescriptionError, match=r"\['id', 'mrn'\]"):
        custody.describe_source(installation, visits("id", "mrn"))
    described = custody.describe_source(installation, visits("id", "mrn"), patient="mrn").columns
    assert [c.role for c in described][:2] != ["patient", "patient"]
    assert described[1].role == "patient"
    rows = visits("id", "mrn").table((Column("id", "identifier"), Column("mrn", "identifier"), Column("sex", "category")))
    with pytest.raises(DescriptionError, match=r"\['id', 'mrn'\]"):
        ga.Synthesizer(home=installation.home).fit(rows.frame)


def test_a_root_table_of_visits_is_refused_unless_its_key_is_declared_the_patient(tmp_path: Path) -> None:
    lines = ["vid,mrn,sex", *(f"{i},{i // 6},{'fm'[i % 2]}" for i in range(300))]
    (tmp_path / "visits.csv").write_text("\n".join(lines))
    toml = 'version = 1\n[[table]]\nname = "visits"\nfile = "visits.csv"\nkey = "vid"\ndrop = ["mrn"]\n'
    (tmp_path / "tables.toml").write_text(toml)
    with pytest.raises(RecordError, match="'vid' has another value in every row, while values of 'mrn' repeat"):
        describe_relations(tmp_path / "tables.toml", private=True)
    (tmp_path / "tables.toml").write_text(toml + 'patient = "mrn"\n')
    with pytest.raises(DescriptionError, match="patient is 'mrn' and the key 'vid'"):
        describe_relations(tmp_path / "tables.toml", private=True)
    (tmp_path / "tables.toml").write_text(toml + 'patient = "vid"\n')
    relations, _sources, _dropped = describe_relations(tmp_path / "tables.toml", private=True)
    assert related_unit(relations) == "patient: column vid of visits, in all tables together, 1 row of visits"


def test_the_first_line_and_json_name_the_unit(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The private run ends with too little to learn from; its first line is out before."""
    lines = ["mrn[1],sex", *(f"{i},{'fm'[i % 2]}" for i in range(30))]
    (tmp_path / "people.csv").write_text("\n".join(lines))
    words = ["table", "synthesize", str(tmp_path / "people.csv"), "--patient", "mrn[1]"]
    assert cli.run([*words, "--epsilon", "0.01", "--rows-per-patient", "2"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "Protects each patient: column mrn[1], at most 2 rows each."
    assert cli.run([*words, "--no-privacy", "--json"]) in (0, 1)
    said = capsys.readouterr()
    assert said.err.splitlines()[0] == "No formal guarantee; each patient: column mrn[1], at most 1 row each."
    assert next(iter(json.loads(said.out).items())) == (
        "protects",
        said.err.splitlines()[0][0].lower() + said.err.splitlines()[0][1:-1],
    )
    assert (
        cli.run(["table", "synthesize", str(tmp_path / "people.csv"), "--unit", "row", "--drop", "mrn[1]", "--epsilon", "0.01"])
        == 1
    )
    assert capsys.readouterr().err.startswith("Protects each row: no column identifies patients")


def test_a_run_that_the_values_of_the_patient_column_stop_counts_as_refused(
    home: Path, installation: Installation, tmp_path: Path
) -> None:
    lines = ["id,account_no,sex", *(f"{i},{i // 6},{'fm'[i % 2]}" for i in range(300))]
    (tmp_path / "visits.csv").write_text("\n".join(lines))
    installation.ledger.declare("clinic", epsilon=2.0, delta=1e-8, actor="test")
    words = ["table", "synthesize", str(tmp_path / "visits.csv"), "--population", "clinic", "--drop", "account_no"]
    assert cli.run(words) == 2
    statement = installation.ledger.statement("clinic")
    assert (statement.refusals, statement.rho_spent) == (1, 0)


def test_related_tables_that_their_rows_stop_count_as_refused(home: Path, installation: Installation, tmp_path: Path) -> None:
    lines = ["vid,mrn,sex", *(f"{i},{i // 6},{'fm'[i % 2]}" for i in range(300))]
    (tmp_path / "visits.csv").write_text("\n".join(lines))
    toml = 'version = 1\n[[table]]\nname = "visits"\nfile = "visits.csv"\nkey = "vid"\ndrop = ["mrn"]\n'
    (tmp_path / "tables.toml").write_text(toml)
    installation.ledger.declare("clinic", epsilon=2.0, delta=1e-8, actor="test")
    assert cli.run(["table", "synthesize-related", str(tmp_path / "tables.toml"), "--population", "clinic"]) == 2
    assert installation.ledger.statement("clinic").refusals == 1


@pytest.mark.parametrize("rows", ["1,f\n,m\n", "1,f\n2\n"], ids=["a row without a patient", "a row without a cell"])
def test_a_population_is_declared_before_rows_can_stop_a_run(
    home: Path, installation: Installation, tmp_path: Path, rows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "people.csv").write_text("patient_id,sex\n" + rows)
    words = ["table", "synthesize", str(tmp_path / "people.csv"), "--population", "fresh"]
    assert cli.run(words) == 1
    assert "population 'fresh' is not declared" in capsys.readouterr().err
    installation.ledger.declare("fresh", epsilon=2.0, delta=1e-8, actor="test")
    assert cli.run(words) == 2
    assert installation.ledger.statement("fresh").refusals == 1
    assert cli.run(words[:3]) == 2
    assert installation.ledger.statement("default").refusals == 1
