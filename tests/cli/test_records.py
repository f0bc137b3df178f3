"""Commands that bring records in and out."""

import json
from pathlib import Path

import pytest

from galenic import cli
from galenic.custody import ImportRequest, grant_role, import_fhir, record_approval
from galenic.installation import Installation


def test_the_json_of_an_export_names_its_form(
    custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = {"resourceType": "Patient", "id": "p1", "gender": "female"}
    (tmp_path / "Patient.ndjson").write_text(json.dumps(resource) + "\n")
    import_fhir(custody, custody.sign_in("inge"), [tmp_path / "Patient.ndjson"], ImportRequest("hospital"))
    for key in ("eli", "eli2"):
        custody.keys.create(key, "ethics-board")
        grant_role(custody, key, "ethics-board", person="eli")
    record_approval(custody, custody.sign_in("eli", "eli2"), "hospital", "rosa", "research")
    custody.close()
    words = [
        "records",
        "export",
        "hospital",
        str(tmp_path / "out"),
        "--purpose",
        "research",
        "--key",
        "rosa",
        "--second",
        "rosa2",
        "--json",
    ]
    assert cli.run(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"dataset", "form", "written", "dropped"}
    assert (found["dataset"], found["form"]) == ("hospital", "fhir")
