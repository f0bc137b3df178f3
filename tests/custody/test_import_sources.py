"""Imports of what other servers write: Bundles in Bundles, histories, long ids, absolute addresses, damaged files."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galenic import cli, custody, store
from galenic.cli.import_report import print_import
from galenic.custody.importers import IMPORTERS
from galenic.errors import OptionError, RecordError
from server_made import Fhir, observation

Resource = dict[str, Any]
EHR = "https://ehr.example.org/fhir"


def patient(own: str, **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": own, **more}


def bundle(kind: str, *entries: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def brought(ehr: Fhir, place: Path, *documents: Resource, **options: Any) -> custody.ImportResult:
    """Imports documents from one file."""
    whole = documents[0]["resourceType"] == "Bundle"
    file = place / ("in.json" if whole else "in.ndjson")
    file.write_text("\n".join(json.dumps(d) for d in documents), encoding="utf-8")
    return import_of(ehr, file, **options)


def import_of(ehr: Fhir, *paths: Path, **options: Any) -> custody.ImportResult:
    importer = IMPORTERS["fhir"]
    plan = importer.plan(list(paths), custody.ImportRequest("records", **options))
    return importer.run(ehr.installation, custody.server_session(ehr.installation), plan)


def rules(result: custody.ImportResult) -> set[str]:
    return {rule for _, rule in result.issues}


def test_a_bundle_in_a_bundle_is_imported(ehr: Fhir, tmp_path: Path) -> None:
    inner = bundle("collection", {"resource": patient("inner")}, {"resource": {**observation("inner"), "id": "of-inner"}})
    result = brought(ehr, tmp_path, bundle("collection", {"resource": patient("outer")}, {"resource": inner}))
    assert (result.new, result.refused) == (3, 0)
    assert dict(result.seen) == {"Patient": 2, "Observation": 1}
    assert ehr.found("Observation?patient=inner") == ["of-inner"]
    assert brought(ehr, tmp_path, bundle("collection", {"resource": patient("outer")}, {"resource": inner})).new == 0


def test_a_batch_response_with_a_searchset_is_imported_and_its_errors_are_named(ehr: Fhir, tmp_path: Path) -> None:
    found = bundle("searchset", {"fullUrl": f"{EHR}/Patient/in-batch", "resource": patient("in-batch")})
    failed = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
    result = brought(
        ehr, tmp_path,
        bundle("batch-response", {"resource": found, "response": {"status": "200"}}, {"resource": failed, "response": {"status": "404"}}),
    )  # fmt: skip
    assert ehr("GET", "/Patient/in-batch").status_code == 200
    assert (result.new, rules(result)) == (1, {"bundle-response"})


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(
            bundle("transaction-response", {"response": {"status": "201", "location": "Patient/1"}}), id="no resource"
        ),
        pytest.param(
            bundle("collection", {"resource": bundle("subscription-notification")}), id="an inner Bundle of no kind of R4"
        ),
        pytest.param(
            bundle("collection", {"resource": bundle("batch", {"request": {"method": "GET", "url": "Patient/1"}})}),
            id="an inner request",
        ),
    ],
)
def test_a_bundle_that_holds_no_records_is_refused_by_name(ehr: Fhir, tmp_path: Path, document: Resource) -> None:
    result = brought(ehr, tmp_path, document)
    assert result.refused == 1
    assert result.issues
    assert result.new == 0


def test_bundles_nested_too_deep_are_refused_by_name(ehr: Fhir, tmp_path: Path) -> None:
    document = patient("deep")
    for _ in range(9):
        document = bundle("collection", {"resource": document})
    result = brought(ehr, tmp_path, document)
    assert result.refused == 1
    assert any("The whole Bundle was refused" in e["text"] for e in result.examples)
    assert any("Bundles nested" in e["text"] for e in result.examples)
    assert brought(ehr, tmp_path, document["entry"][0]["resource"]).new == 1


def history(*versions: tuple[str, Resource | None, str]) -> Resource:
    """A history of Patient/h: (time, resource or None for a deletion, method) of each version, in the given order."""
    entries = []
    for at, resource, method in versions:
        entry: Resource = {"fullUrl": f"{EHR}/Patient/h", "request": {"method": method, "url": "Patient/h"}}
        entry["response"] = {"status": "200", "lastModified": at}
        entries.append(entry | ({"resource": resource} if resource else {}))
    return bundle("history", *entries)


def test_a_history_is_imported_oldest_first_and_its_deletion_is_applied(ehr: Fhir, tmp_path: Path) -> None:
    first = ("2024-01-01T10:00:00Z", patient("h", gender="male"), "PUT")
    second = ("2024-01-02T10:00:00+02:00", patient("h", gender="female"), "PUT")
    result = brought(ehr, tmp_path, history(second, first))
    assert (result.new, result.refused) == (2, 0)
    assert ehr("GET", "/Patient/h").json()["gender"] == "female"
    assert ehr("GET", "/Patient/h").json()["meta"]["versionId"] == "2"
    deletion = ("2024-01-03T10:00:00Z", None, "DELETE")
    assert brought(ehr, tmp_path, history(deletion, second, first)).refused == 0
    assert ehr("GET", "/Patient/h").status_code == 410
    assert ehr.found("Patient?_id=h") == []
    methods = [e["request"]["method"] for e in ehr("GET", "/Patient/h/_history").json()["entry"]]
    assert methods[0] == "DELETE"
    assert brought(ehr, tmp_path, history(deletion, second, first)).new == 0


def test_the_deletion_of_what_was_never_here_changes_nothing(ehr: Fhir, tmp_path: Path) -> None:
    gone = {"request": {"method": "DELETE", "url": "Patient/never"}, "response": {"status": "204"}}
    assert brought(ehr, tmp_path, bundle("history", gone)).new == 0
    assert ehr("GET", "/Patient/never").status_code == 404


LONG = "eq081-VQEgP8drUUqCWzHfw3" * 4  # 96 characters


def test_ids_of_more_than_64_characters_are_refused_by_the_name_of_the_option(ehr: Fhir, tmp_path: Path) -> None:
    result = brought(ehr, tmp_path, patient(LONG))
    assert result.refused == 1
    assert any("--hash-long-ids" in e["text"] for e in result.examples)


@pytest.mark.parametrize("in_bundle", [False, True], ids=["lines", "a Bundle"])
def test_ids_of_more_than_64_characters_are_replaced_by_their_hash(ehr: Fhir, tmp_path: Path, in_bundle: bool) -> None:
    own = f"{LONG}{in_bundle}"
    resources = [patient(own), {**observation(own), "id": f"o-{own}"}]
    whole = bundle("collection", *({"fullUrl": f"{EHR}/{r['resourceType']}/{r['id']}", "resource": r} for r in resources))
    documents = [whole] if in_bundle else resources
    result = brought(ehr, tmp_path, *documents, hash_long_ids=True)
    assert (result.new, result.refused) == (2, 0)
    new = ehr.found(f"Patient?identifier=https://galenic.dev/fhir/source-id|{own}")
    assert len(new) == 1
    assert len(new[0]) <= 64
    assert len(ehr.found(f"Observation?patient={new[0]}")) == 1
    assert brought(ehr, tmp_path, *documents, hash_long_ids=True).new == 0


def test_absolute_references_of_the_exporting_server_are_warned_of_and_resolved_by_its_base(ehr: Fhir, tmp_path: Path) -> None:
    of_other = {**observation("eX"), "id": "abs", "subject": {"reference": f"{EHR}/Patient/eX"}}
    result = brought(ehr, tmp_path, patient("eX"), of_other)
    assert result.issues["warning", "reference-absolute"] == 1
    assert any(f"--source-url {EHR}" in e["text"] for e in result.examples)
    assert ehr.found("Observation?patient=eX") == []
    again = brought(ehr, tmp_path, patient("eX"), of_other, bases=(EHR + "/",))
    assert (again.new, again.already_stored, rules(again)) == (1, 1, set())
    assert ehr.found("Observation?patient=eX") == ["abs"]
    assert ehr("GET", "/Observation/abs").json()["subject"]["reference"] == "Patient/eX"
    assert brought(ehr, tmp_path, patient("eX"), of_other, bases=(EHR,)).new == 0


def test_references_to_a_third_server_are_not_warned_of(ehr: Fhir, tmp_path: Path) -> None:
    elsewhere = {**observation("eY"), "id": "third", "performer": [{"reference": "https://other.example.org/Practitioner/p9"}]}
    assert rules(brought(ehr, tmp_path, patient("eY"), elsewhere)) == set()


def test_a_base_that_is_no_address_is_an_error(ehr: Fhir, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"ehr\.example\.org"):
        brought(ehr, tmp_path, patient("eZ"), bases=("ehr.example.org",))


def a_folder(place: Path) -> Path:
    """Three files, of which one is cut off, one of them in a folder of its own."""
    (place / "sub").mkdir(parents=True)
    lines = [json.dumps(patient(f"{place.name}-{i}")) for i in range(300)]
    (place / "a.ndjson").write_text("\n".join(lines[:2]), encoding="utf-8")
    packed = gzip.compress("\n".join(json.dumps(patient(f"{place.name}-cut-{i}")) for i in range(3_000)).encode())
    (place / "cut.ndjson.gz").write_bytes(packed[: len(packed) * 2 // 3])
    (place / "sub" / "a.ndjson").write_text("\n".join(lines[2:5]), encoding="utf-8")
    (place / "readme.txt").write_text("no FHIR", encoding="utf-8")
    return place


def test_a_damaged_file_in_a_folder_is_named_and_the_others_and_its_whole_lines_are_imported(ehr: Fhir, tmp_path: Path) -> None:
    result = import_of(ehr, a_folder(tmp_path / "folder"))
    assert result.refused == 1
    assert result.new > 5 + 500
    assert {"file-damaged", "file-not-read"} == rules(result)
    named = {e["rule"]: e["where"] for e in result.examples}
    assert named == {"file-damaged": "cut.ndjson.gz", "file-not-read": "readme.txt"}
    assert ehr("GET", "/Patient/folder-4").status_code == 200


def test_a_check_of_a_folder_reports_every_file_and_names_the_damaged_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_folder(tmp_path / "folder")
    assert cli.run(["fhir", "validate", str(folder), "--json"]) == 2
    reports = {r["file"]: r for r in json.loads(capsys.readouterr().out)}
    assert set(reports) == {"a.ndjson", "cut.ndjson.gz", "sub/a.ndjson"}
    assert [name for name, r in reports.items() if not r["valid"]] == ["cut.ndjson.gz"]
    assert cli.run(["fhir", "validate", str(folder / "a.ndjson"), str(folder / "sub" / "a.ndjson"), "--json"]) == 0
    assert len({r["file"] for r in json.loads(capsys.readouterr().out)}) == 2


def test_the_resources_of_a_refused_bundle_are_counted(ehr: Fhir, tmp_path: Path) -> None:
    document = patient("level-0")
    for level in range(1, 13):
        document = bundle("collection", {"resource": document}, {"resource": patient(f"level-{level}")})
    result = brought(ehr, tmp_path, document)
    assert (result.seen.total(), result.new, result.refused) == (13, 0, 13)
    assert any("The whole Bundle was refused" in e["text"] for e in result.examples)


def said(capsys: pytest.CaptureFixture[str], result: custody.ImportResult, *, as_json: bool = False) -> tuple[int, str]:
    """(exit code, output) of an import's report."""
    code = print_import("fhir", result, as_json)
    return code, capsys.readouterr().out


def test_every_damaged_file_is_named(ehr: Fhir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        (tmp_path / f"bad{number}.ndjson.gz").write_bytes(gzip.compress(b"{}" * 100)[:-9])
        (tmp_path / f"line{number}.ndjson").write_text("{\n", encoding="utf-8")
    result = import_of(ehr, tmp_path)
    code, listed = said(capsys, result, as_json=True)
    assert code == 2
    assert {e["where"].partition(",")[0] for e in json.loads(listed)["shown"]} == {p.name for p in tmp_path.iterdir()}
    assert "and 2 more" in said(capsys, result)[1]
    assert cli.run(["fhir", "validate", str(tmp_path), "--json"]) == 2


def test_an_empty_file_is_named(ehr: Fhir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.ndjson", "b.ndjson.gz", "c.json", "d.json.gz"):
        (tmp_path / name).write_bytes(b"")
    result = import_of(ehr, tmp_path)
    named = {e["where"]: e["rule"] for e in result.examples}
    expected = {"a.ndjson": "file-empty", "b.ndjson.gz": "file-damaged", "c.json": "json", "d.json.gz": "file-damaged"}
    assert named == expected
    alone = import_of(ehr, tmp_path / "a.ndjson")
    code, text = said(capsys, alone)
    assert code == 2
    assert "a.ndjson" in text


@pytest.mark.parametrize(
    "line", ['{"resourceType": "Patient", "id": "x", "gender": "none"}', "", "{", '{"resourceType": "Nope", "id": "x"}']
)
def test_an_import_that_is_refused_whole_leaves_no_data_set(ehr: Fhir, tmp_path: Path, line: str) -> None:
    place = tmp_path / "in.ndjson"
    place.write_text(f"{line}\n", encoding="utf-8")
    session = custody.server_session(ehr.installation)
    done = custody.import_fhir(ehr.installation, session, [place], custody.ImportRequest("refused"))
    assert done.new == 0
    assert "refused" not in {d["name"] for d in store.list_datasets(ehr.installation.db)}
    assert ehr.installation.facts.one("dataset", "refused") is None


def test_a_refused_table_leaves_no_data_set(ehr: Fhir, tmp_path: Path) -> None:
    place = tmp_path / "table.csv"
    place.write_text("patient,age\n,5\np2,7\n", encoding="utf-8")
    request = custody.ImportRequest("refused", patient="patient")
    custody.make_key(ehr.installation, "inge", "integration-engineer")
    session = ehr.installation.sign_in("inge")
    importer = IMPORTERS["table"]
    with pytest.raises(RecordError):
        importer.run(ehr.installation, session, importer.plan([place], request))
    assert "refused" not in {d["name"] for d in store.list_datasets(ehr.installation.db)}
    pq.write_table(pa.table({"patient": ["a"], "tags": [[1, 2]]}), tmp_path / "t.parquet")
    with pytest.raises(RecordError, match=r"columns \['tags'\] hold lists"):
        importer.run(ehr.installation, session, importer.plan([tmp_path / "t.parquet"], request))
    assert "refused" not in {d["name"] for d in store.list_datasets(ehr.installation.db)}
