"""Columns that may tell patients apart: names in several languages, and values that repeat."""

import pyarrow as pa
import pytest

from galenic import records
from galenic.records.patient_column import may_tell_patients_apart, patient_columns, repeated_instead


@pytest.mark.parametrize(
    "name",
    [
        "id", "ID", "patient", "patient_id", "PatientID", "Patient-Id", "patient_nbr", "pat no", "IDPatient", "subject id", "person_id",
        "person_source_value", "member_number", "MRN", "nhs_number", "ssn", "seqn", "USUBJID", "Patientennummer", "PatNr",
        "versichertennummer", "id_paciente", "número_paciente", "num_patient", "id paziente", "codice_fiscale", "fødselsnummer",
        "henkilötunnus", "pacjent_id", "PESEL", "hasta_no", "患者ID", "患者番号", "病人编号", "환자번호", "пациент_id", "номер пациента",
        "ΑΣΘΕΝΗΣ", "رقم_المريض", "रोगी_क्रमांक", "id2",
    ],
)  # fmt: skip
def test_names_of_a_patients_identifier(name: str) -> None:
    assert may_tell_patients_apart(name)


@pytest.mark.parametrize(
    "name",
    [
        "age", "visit_id", "encounter_id", "record_id", "patient_age", "patient_sex", "hospital_id", "no_of_visits", "number_inpatient",
        "number_of_children", "smoker", "member", "insured", "participant", "patient_type", "persona_edad", "diag_code", "hadm_id",
        "stay_id", "key_risk", "identity_status", "nodule_id", "",
    ],
)  # fmt: skip
def test_names_of_other_columns(name: str) -> None:
    assert not may_tell_patients_apart(name)


def test_all_candidates_are_found_in_the_order_of_the_header() -> None:
    assert patient_columns(("age", "PatientID", "encounter_id", "id")) == ("PatientID", "id")
    assert patient_columns(("record_id", "age")) == ()


def visits(**more: list[str]) -> records.Source:
    return records.in_memory(pa.table({"id": [str(i) for i in range(60)], **more}))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        pytest.param("account_no", [f"a{i // 4}" for i in range(60)], True, id="15 values, four rows each"),
        pytest.param("client", [f"a{i // 4}" for i in range(60)], True, id="a word for people"),
        pytest.param("account_no", [f"a{i}" for i in range(60)], False, id="does not repeat"),
        pytest.param("account_no", ["a", "b"] * 30, False, id="two values: a category"),
        pytest.param("account_no", ["a"] * 57 + ["b", "c", "d"], True, id="four of 60 values are still many enough"),
        pytest.param("account_no", ["", *[f"a{i}" for i in range(59)]], False, id="an empty cell is no repetition"),
        pytest.param("ward_id", [f"a{i // 4}" for i in range(60)], False, id="wards repeat"),
        pytest.param("height", [str(i // 4) for i in range(60)], False, id="not an identifier by its name"),
    ],
)
def test_another_column_that_repeats_instead_of_the_chosen_one(name: str, values: list[str], expected: bool) -> None:
    assert repeated_instead(visits(**{name: values}), "id") == (name if expected else None)


def test_nothing_repeats_instead_of_a_column_that_repeats_itself() -> None:
    rows = pa.table({"id": [str(i // 2) for i in range(60)], "account_no": [str(i // 4) for i in range(60)]})
    assert repeated_instead(records.in_memory(rows), "id") is None
