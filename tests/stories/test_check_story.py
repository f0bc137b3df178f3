"""An integration engineer checks a hospital's export before anything is imported."""

import gzip
import json
from pathlib import Path

import pytest

from galenic import cli

PATIENT = {"resourceType": "Patient", "id": "a", "name": [{"text": "Quillfeather"}], "birthDate": "1970-01-01"}


def run(*words: object) -> int:
    return cli.run([str(w) for w in words])


def test_what_is_fine_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b"\n".join([json.dumps(PATIENT).encode()] * 3)))
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001", "resource": PATIENT}],
    }
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    assert run("fhir", "validate", tmp_path / "a.ndjson.gz", tmp_path / "b.json") == 0
    assert capsys.readouterr().out.splitlines() == ["a.ndjson.gz: 3 resources, valid", "b.json: 1 resources, valid"]


def test_a_profile_that_is_not_checked_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    claims = {**PATIENT, "meta": {"profile": [url, "http://hl7.org/fhir/StructureDefinition/Patient"]}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": claims}]}
    (tmp_path / "a.ndjson").write_text("\n".join(json.dumps(one) for one in (claims, bundle, PATIENT)))
    assert run("fhir", "validate", tmp_path / "a.ndjson", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["issues"] == [{"level": "warning", "rule": "profile-not-checked", "count": 2}]
    assert url in found["shown"][0]["text"]
    assert run("fhir", "validate", tmp_path / "a.ndjson") == 0
    assert url in capsys.readouterr().out.replace("\n", "")


def test_what_is_wrong_is_counted_and_shown_without_its_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [{**PATIENT, "birthDate": "Zebulon"}] * 5 + [{**PATIENT, "gender": "Zebulon"}]
    lines = [json.dumps(b) for b in bad] + ["{broken", json.dumps(PATIENT)]
    (tmp_path / "a.ndjson").write_text("\n".join(lines))
    assert run("fhir", "validate", tmp_path / "a.ndjson", "--json") == 2
    (found,) = json.loads(capsys.readouterr().out)
    assert found["resources"] == {"Patient": 7}
    assert found["refused"] == 7
    assert {(i["rule"], i["count"]) for i in found["issues"]} == {("format", 5), ("binding", 1), ("json", 1)}
    assert [i["where"] for i in found["shown"] if i["rule"] == "format"] == [f"line {n}" for n in range(1, 6)]
    assert run("fhir", "validate", tmp_path / "a.ndjson") == 2
    said = capsys.readouterr()
    assert "Patient.birthDate" in said.out
    assert "Zebulon" not in said.out + said.err + json.dumps(found)


def test_what_can_not_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fhir", "validate", tmp_path / "absent.ndjson") == 2
    (tmp_path / "a.json").write_text("<Patient/>")
    assert run("fhir", "validate", tmp_path / "a.json") == 2
    assert "XML" in capsys.readouterr().out
