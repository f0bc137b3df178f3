"""Codes: what is shipped, what a site loads, and never unknown for not loaded; units by UCUM."""

from pathlib import Path

import pytest

from galenic import cli
from galenic.errors import RecordError
from galenic.records import terminology
from galenic.records.terminology import Terminology, load
from galenic.records.terminology.loaders import CONSO, REL
from galenic.records.unit_conversion import convert, is_unit

SHIPPED = Terminology()


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("E11.9", "Type 2 diabetes mellitus without complications"),
        ("I10", "Essential (primary) hypertension"),
        ("S52.501A", "Unspecified fracture of the lower end of right radius, initial encounter for closed fracture"),
        ("T36.0X1A", "Poisoning by penicillins, accidental (unintentional), initial encounter"),
    ],
)
def test_icd_10_cm_is_there_with_its_seventh_characters(code: str, reads: str) -> None:
    found = SHIPPED.validate("icd10cm", code, reads)
    assert found.concept
    assert (found.state, found.concept.display, found.display_fits) == ("found", reads, True)
    assert SHIPPED.validate("icd10cm", code, "something else").display_fits is False


def test_not_loaded_is_not_the_same_as_not_found() -> None:
    assert SHIPPED.validate("icd10cm", "E11.99").state == "not-found"
    assert SHIPPED.validate("icd10cm", "S06.1X7D").state == "not-found"  # of those who died no later encounter is coded
    assert SHIPPED.validate("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB").state == "found"
    for system in ("snomed", "loinc", "rxnorm", "http://nowhere.example"):
        assert SHIPPED.validate(system, "1").state == "not-loaded"
    assert SHIPPED.subsumes("snomed", "1", "1") == "not-loaded"
    assert SHIPPED.subsumes("icd10cm", "E11", "nonsense") == "not-found"


def test_of_a_table_that_is_here_in_part_no_code_is_called_unknown() -> None:
    measles = SHIPPED.validate("cvx", "05", "measles")
    assert measles.concept and (measles.state, measles.display_fits, measles.concept.active) == ("found", True, None)
    assert SHIPPED.validate("cvx", "122", "rotavirus, NOS").display_fits  # without the footnote's digit
    assert SHIPPED.validate("cvx", "60", "herpes simplex 2").display_fits
    assert SHIPPED.validate("cvx", "140").state == "not-loaded"  # a code of 2011
    assert "http://hl7.org/fhir/sid/cvx" in SHIPPED.systems()


def test_what_hl7_gave_up_is_not_active() -> None:
    given_up = SHIPPED.validate("http://terminology.hl7.org/CodeSystem/v2-0292", "05").concept
    in_use = SHIPPED.validate("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB").concept
    assert given_up and in_use
    assert (given_up.active, in_use.active) == (False, True)


def test_what_stands_above_subsumes() -> None:
    ask = SHIPPED.subsumes
    assert ask("icd10cm", "E11", "E11.9") == "subsumes"
    assert ask("icd10cm", "S52.501A", "S52") == "subsumed-by"
    assert ask("icd10cm", "E11.9", "E11.9") == "equivalent"
    assert ask("icd10cm", "E11.9", "I10") == "not-subsumed"


def snomed(folder: Path) -> Path:
    made = folder / "rf2" / "Snapshot" / "Terminology"
    made.mkdir(parents=True)
    name, syn = "900000000000003001", "900000000000013009"
    (made / "sct2_Concept_Snapshot_INT_20260101.txt").write_text(
        "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n10\t0\t1\t0\t0\n20\t0\t1\t0\t0\n30\t0\t0\t0\t0\n"
    )
    (made / "sct2_Description_Snapshot-en_INT_20260101.txt").write_text(
        "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n"
        f'1\t0\t1\t0\t10\ten\t{syn}\tfinding "x"\t0\n2\t0\t1\t0\t10\ten\t{name}\tClinical finding (finding)\t0\n'
        f"3\t0\t1\t0\t20\ten\t{name}\tDiabetes (disorder)\t0\n"
    )
    (made / "sct2_Relationship_Snapshot_INT_20260101.txt").write_text(
        "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\ttypeId\n"
        "1\t0\t1\t0\t20\t10\t0\t116680003\n2\t0\t0\t0\t10\t20\t0\t116680003\n3\t0\t1\t0\t10\t20\t0\t999\n"
    )
    return folder / "rf2"


def loinc(folder: Path) -> Path:
    made = folder / "loinc"
    (made / "LoincTable").mkdir(parents=True)
    (made / "LoincTable" / "Loinc.csv").write_text(
        '"LOINC_NUM","LONG_COMMON_NAME","STATUS"\n"4548-4","Hemoglobin A1c, total","ACTIVE"\n"1-1","Old","DEPRECATED"\n'
    )
    (made / "ComponentHierarchyBySystem.csv").write_text(
        "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n,1,,LP1,Chemistry\nLP1,1,LP1,4548-4,HbA1c\n"
    )
    return made


def rxnorm(folder: Path) -> Path:
    made = folder / "rx" / "rrf"
    made.mkdir(parents=True)

    def line(names: tuple[str, ...], **given: str) -> str:
        return "|".join(given.get(n, "") for n in names) + "|\n"

    conso = [
        ("6809", "IN", "metformin"),
        ("861007", "SCD", "metformin hydrochloride 500 MG Oral Tablet"),
        ("861007", "SY", "a synonym"),
    ]
    (made / "RXNCONSO.RRF").write_text(
        "".join(line(CONSO, RXCUI=c, TTY=t, STR=s, SAB="RXNORM", SUPPRESS="N") for c, t, s in conso)
        + line(CONSO, RXCUI="9", TTY="IN", STR="of others", SAB="VANDF", SUPPRESS="N")
    )
    (made / "RXNREL.RRF").write_text(line(REL, RXCUI1="6809", RXCUI2="861007", RELA="has_ingredient", SAB="RXNORM"))
    return made.parent


def cvx(folder: Path) -> Path:
    (folder / "cvx.txt").write_text(
        "140|Influenza|Influenza, seasonal, injectable||Active|1|False|2020\n03|MMR|measles||Inactive|2|False|2020\n"
    )
    return folder / "cvx.txt"


@pytest.mark.parametrize(
    ("kind", "make", "code", "reads", "above"),
    [
        ("snomed", snomed, "20", "Diabetes (disorder)", "10"),
        ("loinc", loinc, "4548-4", "Hemoglobin A1c, total", "LP1"),
        ("rxnorm", rxnorm, "861007", "metformin hydrochloride 500 MG Oral Tablet", "6809"),
        ("cvx", cvx, "140", "Influenza, seasonal, injectable", None),
    ],
)
def test_a_licensed_release_is_loaded_and_stays(
    home: Path, tmp_path: Path, kind: str, make: object, code: str, reads: str, above: str | None, capsys: pytest.CaptureFixture
) -> None:
    assert cli.run(["terminology", "lookup", kind, code]) == 2
    assert "not-loaded" in capsys.readouterr().out
    assert cli.run(["terminology", "load", kind, str(make(tmp_path))]) == 0  # type: ignore[operator]
    found = terminology.terminology().validate(kind, code)
    assert found.concept
    assert found.concept.display == reads
    if above:
        assert terminology.terminology().subsumes(kind, above, code) == "subsumes"
    assert terminology.terminology().validate(kind, "nonsense").state == "not-found"
    assert found.concept.system in terminology.terminology().systems()


def test_what_is_out_of_use_says_so_and_what_is_no_release_is_refused(tmp_path: Path) -> None:
    load("snomed", snomed(tmp_path), tmp_path / "here")
    found = Terminology(tmp_path / "here").validate("snomed", "30")
    assert found.concept
    assert not found.concept.active
    (tmp_path / "empty").mkdir()
    for kind in ("snomed", "loinc", "rxnorm"):
        with pytest.raises(RecordError, match="no file"):
            load(kind, tmp_path / "empty", tmp_path / "there")
    (tmp_path / "empty" / "Loinc.csv").write_text("A,B\n1,2\n")
    with pytest.raises(RecordError, match="no column LOINC_NUM"):
        load("loinc", tmp_path / "empty", tmp_path / "there")
    with pytest.raises(RecordError, match="cannot be read"):
        load("cvx", tmp_path / "none", tmp_path / "there")
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "is_"),
    [
        (98.6, "[degF]", "Cel", 37.0),
        (180.0, "[lb_av]", "kg", 81.6466),
        (1.0, "g/L", "mg/dL", 100.0),
        (13.3322, "kPa", "mm[Hg]", 100.0),
    ],
)
def test_units_convert_by_ucum(value: float, unit: str, wanted: str, is_: float) -> None:
    assert convert(value, unit, wanted) == pytest.approx(is_, rel=1e-4)


def test_what_is_no_unit_or_another_quantity_is_refused() -> None:
    assert is_unit("mm[Hg]")
    assert not is_unit("mmHg")
    assert not is_unit("")
    with pytest.raises(RecordError, match="not a UCUM unit"):
        convert(1, "mmHg", "kPa")
    with pytest.raises(RecordError, match="same quantity"):
        convert(1, "mmol/L", "mg/dL")
