"""Versions that imports write: the last one of an id counts, and each says when it was written here."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from galenic import custody, flows, store
from galenic.errors import StateError
from server_made import Fhir


def medication(state: str, own: str = "m1", patient: str = "p") -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest", "id": own, "status": state, "intent": "order",
        "subject": {"reference": f"Patient/{patient}"}, "medicationCodeableConcept": {"text": "aspirin"},
    }  # fmt: skip


def brought(ehr: Fhir, folder: Path, *documents: dict[str, Any], name: str = "") -> custody.ImportResult:
    """Imports documents, one file each run: NDJSON, or a file of its own for a Bundle."""
    bundle = documents[0]["resourceType"] == "Bundle"
    place = folder / (name or ("in.json" if bundle else "in.ndjson"))
    place.write_text("\n".join(json.dumps(d) for d in documents), encoding="utf-8")
    session = custody.server_session(ehr.installation)
    return custody.import_fhir(ehr.installation, session, [place], custody.ImportRequest("records"))


@pytest.mark.parametrize("in_bundle", [False, True], ids=["lines", "Bundles"])
def test_a_version_that_returns_to_an_earlier_one_is_imported(ehr: Fhir, tmp_path: Path, in_bundle: bool) -> None:
    own = "m-bundle" if in_bundle else "m-lines"
    for state in ("active", "stopped", "active"):
        one = medication(state, own)
        brought(
            ehr, tmp_path, {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one}]} if in_bundle else one
        )
    found = ehr("GET", f"/MedicationRequest/{own}").json()
    assert (found["status"], found["meta"]["versionId"]) == ("active", "3")
    assert own in ehr.found("MedicationRequest?status=active")


def test_versions_within_one_file_stay_in_order_also_when_it_is_imported_again(ehr: Fhir, tmp_path: Path) -> None:
    lines = [medication(state, "m-file") for state in ("active", "stopped", "active")]
    for _ in range(2):
        brought(ehr, tmp_path, *lines)
        assert ehr("GET", "/MedicationRequest/m-file").json()["status"] == "active"
    brought(ehr, tmp_path, lines[1], lines[0], lines[1])
    assert ehr("GET", "/MedicationRequest/m-file").json()["status"] == "stopped"


@pytest.mark.parametrize("in_bundle", [False, True], ids=["lines", "a Bundle"])
def test_an_import_that_is_repeated_writes_nothing(ehr: Fhir, tmp_path: Path, in_bundle: bool) -> None:
    several = [medication("active", f"again-{in_bundle}-{i}") for i in range(3)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": m} for m in several]}
    documents = [bundle] if in_bundle else several
    assert brought(ehr, tmp_path, *documents).new == 3
    again = brought(ehr, tmp_path, *documents)
    assert (again.new, again.already_stored) == (0, 3)


def test_what_was_deleted_over_http_returns_with_an_import(ehr: Fhir, tmp_path: Path) -> None:
    brought(ehr, tmp_path, medication("active", "back"))
    assert ehr("DELETE", "/MedicationRequest/back").status_code == 204
    brought(ehr, tmp_path, medication("active", "back"))
    assert ehr("GET", "/MedicationRequest/back").json()["meta"]["versionId"] == "3"


def test_an_update_over_http_is_followed_by_the_version_of_an_import(ehr: Fhir, tmp_path: Path) -> None:
    brought(ehr, tmp_path, medication("active", "mixed"))
    assert ehr("PUT", "/MedicationRequest/mixed", medication("stopped", "mixed")).status_code == 200
    brought(ehr, tmp_path, medication("active", "mixed"))
    assert ehr("GET", "/MedicationRequest/mixed").json()["status"] == "active"


def test_versions_of_a_resource_that_waits_for_its_patient_stay_in_order(ehr: Fhir, tmp_path: Path) -> None:
    def a_list(code: str, **more: Any) -> dict[str, Any]:
        return {"resourceType": "List", "id": "waits", "status": "current", "mode": "working", "code": {"text": code}, **more}

    first = a_list("first", entry=[{"item": {"reference": "Observation/nowhere"}}])
    brought(ehr, tmp_path, first, a_list("second", subject={"reference": "Patient/p"}))
    assert ehr("GET", "/List/waits").json()["code"]["text"] == "second"


def test_each_version_says_when_it_was_written_here(ehr: Fhir, tmp_path: Path) -> None:
    brought(ehr, tmp_path, medication("active", "early"))
    time.sleep(0.01)
    between = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    time.sleep(0.01)
    brought(ehr, tmp_path, medication("active", "late"))
    assert ehr("GET", "/MedicationRequest/late").json()["meta"]["lastUpdated"] > between
    assert ehr.found(f"MedicationRequest?_lastUpdated=gt{between}&_id=early,late") == ["late"]
    assert ehr.found(f"MedicationRequest?_lastUpdated=lt{between}&_id=early,late") == ["early"]
    history = ehr("GET", "/MedicationRequest/late/_history").json()["entry"][0]
    assert history["response"]["lastModified"] > between


def test_files_named_otherwise_than_by_a_type_are_imported_in_the_order_given(ehr: Fhir, tmp_path: Path) -> None:
    newer, older = tmp_path / "new.ndjson", tmp_path / "patients-old.ndjson"
    newer.write_text(json.dumps({"resourceType": "Patient", "id": "order", "gender": "female"}))
    older.write_text(json.dumps({"resourceType": "Patient", "id": "order", "gender": "male"}))
    session = custody.server_session(ehr.installation)
    custody.import_fhir(ehr.installation, session, [newer, older], custody.ImportRequest("records"))
    assert ehr("GET", "/Patient/order").json()["gender"] == "male"


def test_a_patient_who_is_erased_while_an_import_runs_does_not_return(
    ehr: Fhir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought(ehr, tmp_path, medication("active", "raced", "raced"))
    for key in ("paul", "paul2"):
        custody.make_key(ehr.installation, key, "privacy-officer", person="Paul")
    assign = store.assign_subjects

    def assign_then_erase(*args: Any) -> Any:
        found = assign(*args)
        flows.erase(ehr.installation, ehr.installation.sign_in("paul", "paul2"), "records|raced")
        return found

    monkeypatch.setattr(store, "assign_subjects", assign_then_erase)
    with pytest.raises(StateError, match="erased during"):
        brought(ehr, tmp_path, medication("stopped", "raced", "raced"))
    assert ehr("GET", "/MedicationRequest/raced").status_code == 404


def history(*versions: dict[str, Any] | str) -> dict[str, Any]:
    """A history Bundle of versions, newest first; of a deletion its Type/id."""
    entries = [
        {"request": {"method": "DELETE", "url": v}}
        if isinstance(v, str)
        else {"request": {"method": "PUT", "url": f"{v['resourceType']}/{v['id']}"}, "resource": v}
        for v in versions
    ]
    return {"resourceType": "Bundle", "type": "history", "entry": [{**e, "response": {"status": "200"}} for e in entries]}


def erase(ehr: Fhir, patient: str) -> None:
    for key in (f"{patient}-1", f"{patient}-2"):
        custody.make_key(ehr.installation, key, "privacy-officer", person="Paul")
    flows.erase(ehr.installation, ehr.installation.sign_in(f"{patient}-1", f"{patient}-2"), f"records|{patient}")


def test_a_deletion_in_an_erased_patients_history_does_not_delete_another_patients_resource(ehr: Fhir, tmp_path: Path) -> None:
    old = history("MedicationRequest/reused", medication("active", "reused", "gone-1"))
    brought(ehr, tmp_path, old)
    erase(ehr, "gone-1")
    brought(ehr, tmp_path, medication("active", "reused", "stays"))
    again = brought(ehr, tmp_path, old)
    assert (again.new, again.erased) == (0, 2)
    assert ehr("GET", "/MedicationRequest/reused").json()["subject"]["reference"] == "Patient/stays"


def test_a_deletion_in_a_later_file_belongs_to_the_erased_version_before_it(ehr: Fhir, tmp_path: Path) -> None:
    brought(ehr, tmp_path, medication("active", "later", "gone-2"))
    erase(ehr, "gone-2")
    brought(ehr, tmp_path, medication("active", "later", "stays"))
    first, second = tmp_path / "1.ndjson", tmp_path / "2.json"
    first.write_text(json.dumps(medication("stopped", "later", "gone-2")), encoding="utf-8")
    second.write_text(json.dumps(history("MedicationRequest/later")), encoding="utf-8")
    session = custody.server_session(ehr.installation)
    found = custody.import_fhir(ehr.installation, session, [first, second], custody.ImportRequest("records"))
    assert (found.new, found.erased) == (0, 2)
    assert ehr("GET", "/MedicationRequest/later").status_code == 200


def test_a_deletion_before_an_erased_patients_version_is_applied(ehr: Fhir, tmp_path: Path) -> None:
    brought(ehr, tmp_path, medication("active", "other", "gone-3"))
    erase(ehr, "gone-3")
    own = "MedicationRequest/moved"
    moved = history(medication("active", "moved", "gone-3"), own, medication("active", "moved", "stays"))
    found = brought(ehr, tmp_path, moved)
    assert (found.new, found.erased) == (2, 1)
    assert ehr("GET", f"/{own}").status_code == 410


def test_a_deletion_without_a_version_before_it_deletes_what_is_there(ehr: Fhir, tmp_path: Path) -> None:
    brought(ehr, tmp_path, medication("active", "alone", "stays"))
    assert brought(ehr, tmp_path, history("MedicationRequest/alone")).new == 1
    assert ehr("GET", "/MedicationRequest/alone").status_code == 410


@pytest.mark.parametrize("in_bundle", [False, True])
def test_a_deletion_after_a_current_version_that_is_passed_over_is_applied(ehr: Fhir, tmp_path: Path, in_bundle: bool) -> None:
    own = f"passed-{in_bundle}"
    brought(ehr, tmp_path, medication("active", own, f"gone-{own}"))
    erase(ehr, f"gone-{own}")
    current = medication("active", own, "stays")
    current = history(current) if in_bundle else current
    files = [tmp_path / f"{number}.json" for number in range(3)]
    for file, document in zip(
        files, (medication("stopped", own, f"gone-{own}"), current, history(f"MedicationRequest/{own}")), strict=True
    ):
        file.write_text(json.dumps(document), encoding="utf-8")
    session = custody.server_session(ehr.installation)
    custody.import_fhir(ehr.installation, session, [files[1]], custody.ImportRequest("records"))
    found = custody.import_fhir(ehr.installation, session, files, custody.ImportRequest("records"))
    assert (found.new, found.erased, found.already_stored) == (1, 1, 1)
    assert ehr("GET", f"/MedicationRequest/{own}").status_code == 410
