"""An installation made by version 0.1.0 opens and works, through the command line alone.

scripts/make_installation_fixture.py made the archive and says what it holds. Each test works on a copy of its own, in another
place than the one where the installation was made. Only exit codes and JSON are compared, so that texts may change.
"""

import csv
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ARCHIVE = Path(__file__).parents[1] / "installations" / "installation-0.1.0.tar.gz"


@dataclass(frozen=True)
class Installation:
    """A copy of the previous version's installation: its folder, and the names that its tests need."""

    place: Path
    released: str
    refused: str
    signed_once: str
    token: str
    erased: str
    treated: str
    version: str
    audit_rows: int

    def run(self, *words: object, code: int = 0) -> str:
        """The standard output of a command of today's version, which must end with this exit code."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GALENIC_")}
        done = subprocess.run(
            [sys.executable, "-m", "galenic", *map(str, words)],
            cwd=self.place,
            env=clean | {"GALENIC_HOME": str(self.place / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def json(self, *words: object, code: int = 0) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*words, code=code))

    def ids_found(self, *words: object) -> set[str]:
        """Patients in the JSON lines of a search."""
        return {json.loads(line)["patient_id"] for line in self.run("records", "search", *words).splitlines()}

    def imported(self, patient: str) -> dict[str, str]:
        """The row of a patient in the table that was imported."""
        with (self.place / "clinic.csv").open(encoding="utf-8", newline="") as file:
            return next(r for r in csv.DictReader(file) if r["patient_id"] == patient)


@pytest.fixture
def previous(tmp_path: Path) -> Installation:
    """The installation of version 0.1.0, unpacked for one test."""
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path, filter="data")
    place = tmp_path / "installation-0.1.0"
    return Installation(place, **json.loads((place / "expected.json").read_text(encoding="utf-8")))


def test_its_audit_log_verifies_with_what_is_added_now(previous: Installation) -> None:
    previous.run("patient", "care-relation", "clinic", previous.treated, "--who", "ada", "--key", "inge", "--ended")
    found = previous.json("audit", "verify", "--json")
    assert found["intact"]
    assert found["rows"] > previous.audit_rows


def test_its_data_sets_are_listed(previous: Installation) -> None:
    found = previous.json("records", "list", "--json")
    assert {(d["name"], d["kind"]) for d in found} == {("clinic", "table"), ("hospital", "fhir")}


def test_its_release_is_in_the_register(previous: Installation) -> None:
    (entry,) = previous.json("release", "list", "--json")
    assert (entry["run"], entry["state"], entry["policy"]) == (previous.released, "live", "internal")


def test_its_release_folder_verifies_with_the_keys_that_were_sent(previous: Installation) -> None:
    previous.run("verify", "release", "--trust", "keys.json")
    with (previous.place / "release" / "data.csv").open("a", encoding="utf-8") as data:
        data.write("\n")
    previous.run("verify", "release", "--trust", "keys.json", code=1)


def test_its_release_can_be_recalled(previous: Installation) -> None:
    previous.run("release", "recall", previous.released, "--reason", "wrong cohort", "--notice", "notice.json")
    previous.run("verify", "release", "--trust", "keys.json", "--recalls", "notice.json", code=1)
    assert {r["state"] for r in previous.json("release", "list", "--json")} == {"recalled"}


def test_a_run_that_one_person_had_signed_is_released_after_the_second_signature(previous: Installation) -> None:
    previous.run("release", "sign", previous.signed_once, "--key", "paul")
    previous.run("release", previous.signed_once, "copy", "--trust", "copy.json")
    previous.run("verify", "copy", "--trust", "copy.json")


def test_a_refused_run_cannot_be_signed(previous: Installation) -> None:
    previous.run("release", "sign", previous.refused, "--key", "paul", code=1)


def test_a_clinician_finds_only_the_patient_whom_she_treats(previous: Installation) -> None:
    row = previous.imported(previous.treated)
    conditions = ["--where", "age_years >= 0", "--where", f"sex = {row['sex']}"]
    assert previous.ids_found("clinic", *conditions, "--purpose", "treatment", "--key", "ada") == {previous.treated}


def test_a_patient_gets_the_rows_of_the_table_as_they_were_imported(previous: Installation) -> None:
    row = previous.imported(previous.treated)
    assert previous.json("patient", "access", previous.treated, "--key", "paul")["rows"]["clinic"] == [row]


def test_a_patient_gets_the_fhir_resources_that_were_imported(previous: Installation) -> None:
    rows = previous.json("patient", "access", "hospital|1", "--key", "paul")["rows"]["hospital"]
    assert [r["document"]["id"] for r in rows if r["type"] == "Patient"] == ["1"]
    assert {"Patient", "Observation"} <= {r["type"] for r in rows}


def test_a_token_of_the_de_identified_copy_leads_back_to_its_patient(previous: Installation) -> None:
    words = ["reveal", "hospital", previous.token, "--purpose", "patient-safety", "--key", "paul", "--second", "paul2"]
    assert previous.run(*words).strip()


def test_the_erased_patient_stays_erased_when_the_table_is_imported_again(previous: Installation) -> None:
    words = ["import", "clinic.csv", "--as", "again", "--patient", "patient_id", "--key", "inge", "--json"]
    assert previous.json(*words)["erased"] == 1
    previous.run("patient", "access", previous.erased, "--key", "paul", code=2)


def test_the_erased_patient_stays_erased_after_the_old_backup_is_restored(previous: Installation) -> None:
    previous.run("backup", "restore", "backup", "--key", "sven", "--second", "sven2")
    previous.run("patient", "access", previous.erased, "--key", "paul", code=2)
    assert len(previous.json("patient", "access", previous.treated, "--key", "paul")["rows"]["clinic"]) == 1


def test_the_receipt_of_the_erasure_verifies(previous: Installation) -> None:
    previous.run("patient", "verify-receipt", "receipt.json", "--public", "gate.pub")


def test_another_patient_can_be_erased(previous: Installation) -> None:
    previous.run("patient", "erase", previous.treated, "--key", "paul", "--second", "paul2")
    previous.run("patient", "access", previous.treated, "--key", "paul", code=2)


def test_new_rows_come_into_the_old_table_and_are_found(previous: Installation) -> None:
    header, *_ = (previous.place / "clinic.csv").read_text(encoding="utf-8").splitlines()
    (previous.place / "new.csv").write_text(f"{header}\nN1,50,female,no,120.5,no,2024-01-02\n", encoding="utf-8")
    previous.run("records", "import", "new.csv", "--dataset", "clinic", "--patient", "patient_id", "--key", "inge")
    previous.run("patient", "care-relation", "clinic", "N1", "--who", "ada", "--key", "inge")
    previous.run("records", "index", "clinic", "--purpose", "quality", "--key", "paul", "--codes", "sex")
    words = ["clinic", "--where", "age_years >= 0", "--purpose", "treatment", "--key", "ada"]
    assert previous.ids_found(*words) == {previous.treated, "N1"}


def test_its_budget_statement_is_unchanged(previous: Installation) -> None:
    before = json.loads((previous.place / "budget.json").read_text(encoding="utf-8"))
    assert previous.json("budget", "--json") == before
    assert before[0]["rho_spent"] > 0


def test_its_model_still_fills_gaps(previous: Installation) -> None:
    (previous.place / "gaps.csv").write_text(
        "patient_id,sbp_mmhg,diabetes,admitted\nN1,,no,2020-05-06\nN2,130.5,,2020-05-07\n", encoding="utf-8"
    )
    previous.run("table", "impute", previous.released, "gaps.csv", "filled.csv")
    with (previous.place / "filled.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["sbp_mmhg"]
    assert rows[1]["diabetes"] in {"yes", "no"}


def test_a_system_that_was_registered_gets_an_access_token(previous: Installation) -> None:
    assert previous.json("clients", "token", "lab", "--hours", 1, "--scope", "system/Patient.rs", "--json")["access_token"]


def test_its_root_and_node_keys_can_be_replaced(previous: Installation) -> None:
    previous.run("keys", "rotate", "--key", "sven", "--second", "sven2")
    assert len(previous.json("patient", "access", previous.treated, "--key", "paul")["rows"]["clinic"]) == 1
