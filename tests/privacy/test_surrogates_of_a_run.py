"""One name has one surrogate in all files of a run, and each patient's dates move together, whatever the file."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from galenic.privacy.deidentification import DeidentificationOptions, deidentify

OPTIONS = DeidentificationOptions(policy="expert", measured=False)


def patient(ident: str, family: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": ident, "name": [{"family": family}]}


def observation(ident: str, day: str) -> dict[str, Any]:
    reference = {"reference": f"Patient/{ident}"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": reference,
        "effectiveDateTime": day,
    }


def test_one_name_has_one_surrogate_in_all_notes_of_a_run(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(
            f"Mrs. Hansen was seen today in ward {name[0]} with a cough and went home.", encoding="utf-8"
        )
    deidentify([tmp_path / "a.txt", tmp_path / "b.txt"], tmp_path / "out", OPTIONS)
    words = [(tmp_path / "out" / name).read_text(encoding="utf-8").split()[1] for name in ("a.txt", "b.txt")]
    assert words[0] == words[1] != "Hansen"


@pytest.mark.parametrize("together", [True, False])
def test_a_patient_in_several_bundles_has_one_surrogate_and_one_shift(tmp_path: Path, together: bool) -> None:
    others = [patient("p2", "Garcia"), observation("p2", "2021-03-04")] if together else []
    for name, more in (("one", []), ("two", others)):
        entries = [patient("p1", "Hansen"), observation("p1", "2021-03-04"), *more]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in entries]}
        (tmp_path / f"{name}.json").write_text(json.dumps(bundle), encoding="utf-8")
    deidentify([tmp_path / "one.json", tmp_path / "two.json"], tmp_path / "out", OPTIONS)
    one, two = (json.loads((tmp_path / "out" / f"{n}.json").read_text(encoding="utf-8"))["entry"] for n in ("one", "two"))
    assert one[0]["resource"]["name"] == two[0]["resource"]["name"]
    assert one[1]["resource"]["effectiveDateTime"] == two[1]["resource"]["effectiveDateTime"]
    shift = date.fromisoformat(one[1]["resource"]["effectiveDateTime"]) - date(2021, 3, 4)
    assert shift.days < -365 and shift.days % 7 == 0
