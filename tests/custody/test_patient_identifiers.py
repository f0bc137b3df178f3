"""Whom an identifier means, where several sources of ids use the same one."""

import json
from pathlib import Path

import pytest

from galenic import cli
from galenic.custody import ImportRequest, import_fhir, own_record
from galenic.errors import UnknownNameError
from galenic.installation import Installation

SHARED = "P000001"  # of a patient of the table "clinic", and of another one of the FHIR server "hosp"


@pytest.fixture
def two_sources(custody: Installation, tmp_path: Path) -> Installation:
    (tmp_path / "f.ndjson").write_text(json.dumps({"resourceType": "Patient", "id": SHARED}))
    import_fhir(custody, custody.sign_in("inge"), [tmp_path / "f.ndjson"], ImportRequest("hosp"))
    return custody


def _data_sets(installation: Installation, patient: str) -> set[str]:
    """The data sets that hold rows of a patient."""
    record = own_record(installation, installation.sign_in("paul"), patient)
    return {name for name, rows in record["rows"].items() if rows}


@pytest.mark.parametrize("words", [("erase", SHARED, "--second", "paul2"), ("access", SHARED)])
def test_an_identifier_that_several_patients_have_is_refused_and_the_data_sets_named(
    two_sources: Installation, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*words, "--key", "paul"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "clinic|ID" in said
    assert "hosp|ID" in said
    assert _data_sets(two_sources, f"clinic|{SHARED}") == {"clinic"}
    assert _data_sets(two_sources, f"hosp|{SHARED}") == {"hosp"}


def test_either_patient_is_chosen_by_the_data_set_and_erased_alone(two_sources: Installation) -> None:
    assert cli.run(["patient", "erase", f"clinic|{SHARED}", "--key", "paul", "--second", "paul2"]) == 0
    assert _data_sets(two_sources, SHARED) == {"hosp"}
    with pytest.raises(UnknownNameError, match="no patient"):
        own_record(two_sources, two_sources.sign_in("paul"), f"|{SHARED}")


def test_an_identifier_that_one_patient_has_needs_no_data_set(two_sources: Installation) -> None:
    for written in ("P000002", "clinic|P000002", "|P000002"):
        assert _data_sets(two_sources, written) == {"clinic"}
