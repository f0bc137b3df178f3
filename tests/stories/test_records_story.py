"""Records through the real doors: FHIR, OMOP, MEDS and mapped tables go in, are found, erased, taken up again, and come out."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from galenic import cli, flows, records, store
from galenic.custody import (
    EXPORTERS,
    ImportRequest,
    ImportResult,
    export_records,
    grant_role,
    import_fhir,
    import_meds,
    import_omop,
    open_timelines,
    own_record,
    record_approval,
    record_consent,
    withdraw_approval,
)
from galenic.errors import AccessDeniedError, RecordError
from galenic.installation import Installation, open_installation
from galenic.records import fhir
from galenic.records.meds import read_codes, read_meds
from galenic.records.omop import Omop

CANARY = "Zebulon-canary"


def patient(number: int) -> dict[str, Any]:
    identifier = [{"system": "http://hospital.example/mrn", "value": f"M{number}"}]
    name = [{"family": f"{CANARY}{number}"}]
    return {"resourceType": "Patient", "id": f"p{number}", "identifier": identifier, "name": name, "birthDate": "1950-02-03"}


def observation(number: int, of: int, value: str = "7.10", **more: Any) -> dict[str, Any]:
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4", "display": "HbA1c"}]}
    quantity = {"value": fhir.ExactNumber(value), "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}
    return {
        "resourceType": "Observation", "id": f"o{number}", "status": "final", "code": code, "subject": {"reference": f"Patient/p{of}"},
        "effectiveDateTime": "2020-03-04T10:00:00+01:00", "valueQuantity": quantity, **more,
    }  # fmt: skip


def ndjson(place: Path, resources: list[dict[str, Any]]) -> Path:
    place.write_bytes(b"".join(fhir.write_json(r) + b"\n" for r in resources))
    return place


def resources_of(installation: Installation, name: str, *, history: bool = False) -> list[dict[str, Any]]:
    known = store.dataset(installation.db, name, "home")
    with installation.gate.open(installation.sign_in("paul"), "read", f"dataset/{name}", "quality") as handle:
        kept = [k for batch in store.read_documents(installation.db, handle, known, history=history) for k in batch]
    return [fhir.restore_resource(k.document, k.about) for k in kept if k.type != "Bundle"]


def bring(installation: Installation, *places: Path, name: str = "hospital", **more: Any) -> ImportResult:
    workers = more.pop("workers", None)
    return import_fhir(installation, installation.sign_in("inge"), list(places), ImportRequest(name, **more), workers=workers)


def test_what_goes_in_is_there_to_the_last_digit_and_again_changes_nothing(custody: Installation, tmp_path: Path) -> None:
    given = [patient(1), patient(2), observation(1, 1, "7.10"), observation(2, 2, "0.00000001"), observation(3, 2, "1E+2")]
    place = ndjson(tmp_path / "all.ndjson", given)
    done = bring(custody, place)
    assert (done.new, done.already_stored, done.patients, done.refused) == (5, 0, 2, 0)
    assert sorted(resources_of(custody, "hospital"), key=str) == sorted(given, key=str)
    again = bring(custody, place)
    assert (again.new, again.already_stored) == (0, 5)
    custody.db.shrink()
    for path in custody.home.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def test_a_new_version_takes_the_place_of_the_old_one_which_stays(custody: Installation, tmp_path: Path) -> None:
    bring(custody, ndjson(tmp_path / "a.ndjson", [patient(1), observation(1, 1, "7.1")]))
    bring(custody, ndjson(tmp_path / "b.ndjson", [observation(1, 1, "7.2"), observation(1, 1, "7.3")]))
    bring(custody, ndjson(tmp_path / "c.ndjson", [observation(1, 1, "7.1")]))  # back to the first
    values = [r["valueQuantity"]["value"] for r in resources_of(custody, "hospital") if r["id"] == "o1"]
    assert [str(v) for v in values] == ["7.1"]
    assert len([r for r in resources_of(custody, "hospital", history=True) if r["id"] == "o1"]) == 4


def test_hospital_and_practitioners_may_come_after_those_who_refer_to_them(custody: Installation, tmp_path: Path) -> None:
    a = "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001"
    visit = {
        "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": a},
        "participant": [{"individual": {"reference": "Practitioner?identifier=http://npi.example|7"}}],
    }  # fmt: skip
    person = {k: v for k, v in patient(1).items() if k != "id"}
    entries = [{"fullUrl": a, "resource": person, "request": {"method": "POST", "url": "Patient"}}]
    entries.append({"fullUrl": a[:-1] + "2", "resource": visit, "request": {"method": "POST", "url": "Encounter"}})
    one = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (tmp_path / "patient.json").write_text(json.dumps(one))
    first = bring(custody, tmp_path / "patient.json")
    assert (first.new, first.unresolved, first.patients) == (2, 1, 1)
    doctor = {"resourceType": "Practitioner", "id": "d7", "identifier": [{"system": "http://npi.example", "value": "7"}]}
    assert bring(custody, ndjson(tmp_path / "doctors.ndjson", [doctor])).unresolved == 0
    approve(custody, "hospital")
    record_consent(custody, custody.sign_in("inge"), "hospital", [a[9:]], "research")
    export_records(custody, custody.sign_in("rosa", "rosa2"), "hospital", "research", tmp_path / "out", "fhir")
    (found,) = [line.document.exact for line in fhir.read_ndjson(tmp_path / "out" / "Encounter.ndjson") if line.document]
    assert found["participant"][0]["individual"] == {"reference": "Practitioner/d7"}
    assert found["subject"] == {"reference": f"Patient/{a[9:]}"}
    assert not (tmp_path / "out" / "Practitioner.ndjson").exists()  # who did not agree stays


def test_a_conditional_create_makes_nobody_twice(custody: Installation, tmp_path: Path) -> None:
    bring(custody, ndjson(tmp_path / "a.ndjson", [patient(1)]))
    a = "urn:uuid:6f1a2b3c-0000-4000-8000-000000000009"
    person = {k: v for k, v in patient(1).items() if k != "id"}
    asked = {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=http://hospital.example/mrn|M1"}
    value = observation(5, 1) | {"subject": {"reference": a}, "id": "o5"}
    entries = [{"fullUrl": a, "resource": person, "request": asked}]
    entries.append({"fullUrl": a[:-1] + "8", "resource": value, "request": {"method": "PUT", "url": "Observation/o5"}})
    text = fhir.write_json({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    (tmp_path / "b.json").write_bytes(text)
    bring(custody, tmp_path / "b.json")
    found = resources_of(custody, "hospital")
    assert Counter(r["resourceType"] for r in found) == {"Patient": 1, "Observation": 1}
    assert next(r for r in found if r["resourceType"] == "Observation")["subject"] == {"reference": "Patient/p1"}


def test_a_patient_named_by_identifier_is_found_and_an_unknown_one_is_nobodys_never(
    custody: Installation, tmp_path: Path
) -> None:
    by_number = observation(1, 1) | {"subject": {"identifier": {"system": "http://hospital.example/mrn", "value": "M1"}}}
    stranger = observation(2, 1) | {"subject": {"identifier": {"system": "http://hospital.example/mrn", "value": "M9"}}}
    unknown = observation(3, 1) | {"subject": {"display": "somebody"}}
    inside = observation(4, 1) | {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]}
    done = bring(
        custody,
        ndjson(tmp_path / "a.ndjson", [patient(1)]),
        ndjson(tmp_path / "b.ndjson", [by_number, stranger, unknown, inside]),
    )
    assert (done.new, done.refused, done.without_patient, done.patients) == (4, 1, 0, 3)
    assert done.issues["error", "patient-unknown"] == 1
    own = own_record(custody, custody.sign_in("paul"), "p1")
    assert [d["id"] for d in own["rows"]["hospital"]] == ["p1", "o1"]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:6f1a2b3c-0000-4000-8000-000000000001", "resource": by_number | {"id": "o9"}}],
    }
    (tmp_path / "c.json").write_bytes(fhir.write_json(bundle))
    again = bring(custody, tmp_path / "c.json")
    assert (again.new, again.refused) == (1, 0)


def test_what_is_not_valid_is_refused_with_its_line_and_the_rest_comes_in(
    custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    place = ndjson(tmp_path / "mixed.ndjson", [patient(1), {**observation(1, 1), "status": CANARY}])
    place.write_bytes(place.read_bytes() + b"{ nonsense\n\n" + fhir.write_json(patient(2)))
    assert cli.run(["records", "import", str(place), "--dataset", "hospital", "--key", "inge"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "2 resources of 2 people are in custody" in said
    assert "2 resources were REFUSED" in said
    assert "mixed.ndjson, line 2" in said
    assert "line 3" in said
    assert CANARY not in said
    assert len(resources_of(custody, "hospital")) == 2


def test_erasure_takes_the_patients_documents_and_what_names_several(custody: Installation, tmp_path: Path) -> None:
    group = {
        "resourceType": "Group", "id": "g", "type": "person", "actual": True,
        "member": [{"entity": {"reference": "Patient/p1"}}, {"entity": {"reference": "Patient/p2"}}],
    }  # fmt: skip
    trace = {
        "resourceType": "Provenance", "id": "t", "target": [{"reference": "Observation/o1"}], "recorded": "2020-01-01T00:00:00Z",
        "agent": [{"who": {"display": "a device"}}],
    }  # fmt: skip
    place = ndjson(tmp_path / "all.ndjson", [trace, group, patient(1), patient(2), observation(1, 1), observation(2, 2)])
    assert bring(custody, place).new == 6
    own = own_record(custody, custody.sign_in("paul"), "p1")
    assert {d["type"] for d in own["rows"]["hospital"]} == {"Patient", "Observation", "Provenance"}
    done = flows.erase(custody, custody.sign_in("paul", "paul2"), "hospital|p1")
    assert done.facts["rows"] == 4
    assert sorted(r["id"] for r in resources_of(custody, "hospital", history=True)) == ["o2", "p2"]
    with custody.db.reading("home") as c:
        for table in ("documents", "originals"):
            assert c.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE dataset = 'hospital'").scalar_one() == 2
    again = bring(custody, place)
    assert again.erased == 3
    assert "p1" not in {r["id"] for r in resources_of(custody, "hospital")}


def test_the_same_id_on_two_servers_is_two_people_unless_said_otherwise(custody: Installation, tmp_path: Path) -> None:
    place = ndjson(tmp_path / "a.ndjson", [patient(1)])
    bring(custody, place, name="north")
    bring(custody, place, name="south")
    bring(custody, place, name="north-again", ids="north")
    with pytest.raises(Exception, match="several patients"):
        own_record(custody, custody.sign_in("paul"), "p1")
    own = own_record(custody, custody.sign_in("paul"), "north|p1")["rows"]
    assert {name: len(rows) for name, rows in own.items()} == {"clinic": 0, "north": 1, "south": 0, "north-again": 1}


def approve(installation: Installation, name: str) -> None:
    for key in ("eli", "eli2"):
        if not any(f.who == key for f in installation.facts.of("grant")):
            installation.keys.create(key, "ethics-board")
            grant_role(installation, key, "ethics-board", person="eli")
    record_approval(installation, installation.sign_in("eli", "eli2"), name, "rosa", "research")


def test_the_ethics_board_approves_others_and_takes_it_back(custody: Installation, tmp_path: Path) -> None:
    bring(custody, ndjson(tmp_path / "a.ndjson", [patient(1)]))
    approve(custody, "hospital")
    eli, rosa = custody.sign_in("eli", "eli2"), custody.sign_in("rosa", "rosa2")
    with pytest.raises(AccessDeniedError, match="is the person who approves"):
        record_approval(custody, eli, "hospital", "eli2", "research")
    with pytest.raises(AccessDeniedError, match="may not approve"):
        record_approval(custody, rosa, "hospital", "rosa", "research")
    export_records(custody, rosa, "hospital", "research", tmp_path / "x", "fhir")
    with pytest.raises(AccessDeniedError):
        export_records(custody, rosa, "hospital", "quality", tmp_path / "y", "fhir")
    withdraw_approval(custody, eli, "hospital", "rosa", "research")
    with pytest.raises(AccessDeniedError):
        export_records(custody, rosa, "hospital", "research", tmp_path / "z", "fhir")


def test_only_those_who_agreed_leave_and_in_another_form_under_new_numbers(custody: Installation, tmp_path: Path) -> None:
    visit = {"resourceType": "Encounter", "id": "e-secret", "status": "finished", "class": {"code": "AMB"}}
    visit |= {"subject": {"reference": "Patient/p1"}, "period": {"start": "2020-03-04", "end": "2020-03-05"}}
    within = observation(1, 1, encounter={"reference": "Encounter/e-secret"})
    diagnosis = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}, "onsetDateTime": "2020-03-04"}
    diagnosis |= {"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]}}
    bring(custody, ndjson(tmp_path / "a.ndjson", [patient(1), patient(2), visit, within, observation(2, 2), diagnosis]))
    rosa = custody.sign_in("rosa", "rosa2")
    with pytest.raises(AccessDeniedError):
        export_records(custody, rosa, "hospital", "research", tmp_path / "x", "fhir")
    approve(custody, "hospital")
    record_consent(custody, custody.sign_in("inge"), "hospital", ["p1"], "research")
    made = {f: export_records(custody, rosa, "hospital", "research", tmp_path / f, f) for f in EXPORTERS if f != "rows"}
    assert made["fhir"].written == {"Patient": 1, "Observation": 1, "Encounter": 1, "Condition": 1}
    (table,) = read_meds(tmp_path / "meds")
    (code,) = [r for r in read_codes(tmp_path / "meds").to_pylist() if r["code"].startswith("ICD10CM")]
    assert (code["description"], code["parent_codes"]) == ("Type 2 diabetes mellitus without complications", ["ICD10CM//E11"])
    assert table["subject_id"].unique().to_pylist() == [1]
    assert set(table["source_ref"].to_pylist()) == {"Patient", "Observation", "Encounter", "Condition"}
    for form in ("omop", "meds", "csv", "parquet"):
        files = [tmp_path / form] if (tmp_path / form).is_file() else [p for p in (tmp_path / form).rglob("*") if p.is_file()]
        text = b"".join(p.read_bytes() for p in files)
        assert b"e-secret" not in text, form
        assert CANARY.encode() not in text, form
    omop = Omop(tmp_path / "omop")
    events = [e for batch in omop.events() for e in batch.to_pylist()]
    assert {"MEDS_BIRTH"} < {e["code"] for e in events}
    assert next(e for e in events if e["value_text"])["value_text"] == "7.10"
    assert not any(i.level == "error" for i in fhir.validate_resource(fhir.parse((tmp_path / "bundle").read_bytes()).resource))
    marks = json.loads((tmp_path / "meds.decision.json").read_text())
    assert marks["purpose"] == "research"
    receipt = flows.erase(custody, custody.sign_in("paul", "paul2"), "p1").facts
    assert len(receipt["outside"]) == len(made)


def test_a_table_with_a_mapping_has_timelines_and_becomes_fhir(custody: Installation, tmp_path: Path) -> None:
    (tmp_path / "watch.csv").write_text(
        "who,at,device,bpm,born\na,2024-05-06T07:08:09+02:00,w1,61.50,1980-01-02\na,2024-05-06T07:09:09+02:00,w1,,1980-01-02\n"
        "b,2024-05-06T07:08:09Z,=cmd(),58,1981-01-02\n"
    )
    (tmp_path / "map.toml").write_text(
        '[[event]]\ncode = "LOINC//8867-4"\ntime = "at"\nvalue = "bpm"\nunit = "/min"\ntext = "device"\n'
        '[[event]]\ncode = "MEDS_BIRTH"\ntime = "born"\n'
    )
    words = [
        "import",
        tmp_path / "watch.csv",
        "--as",
        "watch",
        "--patient",
        "who",
        "--map",
        tmp_path / "map.toml",
        "--key",
        "inge",
    ]
    assert cli.run([str(w) for w in words]) == 0
    approve(custody, "watch")
    record_consent(custody, custody.sign_in("inge"), "watch", ["a", "b"], "research")
    rosa = custody.sign_in("rosa", "rosa2")
    done = export_records(custody, rosa, "watch", "research", tmp_path / "fhir", "fhir")
    assert done.written == {"Patient": 2, "Observation": 3, "Provenance": 2}
    documents = [line.document for line in fhir.read_ndjson(tmp_path / "fhir" / "Observation.ndjson") if line.document]
    assert not any(fhir.validate_resource(d.resource) for d in documents)
    found = [d.exact for d in documents]
    first = next(r for r in found if str(r.get("valueQuantity", {}).get("value")) == "61.50")
    assert first["effectiveDateTime"] == "2024-05-06T07:08:09+02:00"
    assert first["code"]["coding"] == [{"system": "http://loinc.org", "code": "8867-4"}]
    assert first["meta"]["security"][0]["code"] == "MAPPED"
    export_records(custody, rosa, "watch", "research", tmp_path / "events.csv", "csv")
    assert "'=cmd()" in (tmp_path / "events.csv").read_text()
    people = [line.document.exact for line in fhir.read_ndjson(tmp_path / "fhir" / "Patient.ndjson") if line.document]
    assert {p["birthDate"] for p in people} == {"1980-01-02", "1981-01-02"}


def some_of(source: Omop, folder: Path, most: int) -> Path:
    """The first persons of an OMOP data set, with their rows and the whole vocabulary, as CSV."""
    folder.mkdir()
    people = pa.array(sorted(p for b in source.rows("person") for p in b["_person"].to_pylist())[:most])
    for table in source.tables:
        rows = pa.concat_tables(source.rows(table))
        if "_person" in rows.column_names:
            rows = rows.filter(pc.is_in(rows["_person"], value_set=people)).drop_columns("_person")
        pacsv.write_csv(rows, folder / f"{table}.csv")
    return folder


def test_omop_and_meds_go_in_and_come_out_as_they_were(custody: Installation, tmp_path: Path, data: Path) -> None:
    source = some_of(Omop(data / "ehr" / "omop-eunomia" / "gibleed"), tmp_path / "source", 200)
    done = import_omop(custody, custody.sign_in("inge"), source, ImportRequest("gibleed"))
    assert import_omop(custody, custody.sign_in("inge"), source, ImportRequest("gibleed")).new == 0
    direct = Omop(source)
    wanted = Counter((e["subject"], e["code"], e["time"]) for b in direct.events() for e in b.to_pylist())
    with open_timelines(custody, custody.sign_in("paul"), "gibleed", "quality") as lines:
        rows = [r for b in lines.batches() for r in b.select(["subject_id", "code", "time", "source_ref"]).to_pylist()]
        names = {r["subject_id"]: r["source_ref"].partition("/")[2] for r in rows if r["source_ref"].startswith("person/")}
        assert Counter((names[r["subject_id"]], r["code"], r["time"]) for r in rows) == wanted
        assert lines.described["SNOMED//40055000"] == "Chronic sinusitis"
    approve(custody, "gibleed")
    persons = [p for b in direct.rows("person") for p in b["_person"].to_pylist()]
    record_consent(custody, custody.sign_in("inge"), "gibleed", persons, "research")
    rosa = custody.sign_in("rosa", "rosa2")
    out = export_records(custody, rosa, "gibleed", "research", tmp_path / "omop", "omop")
    assert {t: n for t, n in out.written.items() if t != "observation_period"} == {
        t: n for t, n in done.seen.items() if t != "observation_period"
    }
    back = Omop(tmp_path / "omop")
    for table in ("person", "measurement", "condition_occurrence"):
        before = {tuple(r.values()) for b in direct.rows(table) for r in b.to_pylist()}
        assert {tuple(r.values()) for b in back.rows(table) for r in b.to_pylist()} == before
    export_records(custody, rosa, "gibleed", "research", tmp_path / "meds", "meds")
    import_meds(custody, custody.sign_in("inge"), tmp_path / "meds", ImportRequest("events"))
    with open_timelines(custody, custody.sign_in("paul"), "events", "quality") as lines:
        assert lines.events == sum(wanted.values())
        assert lines.described["SNOMED//40055000"] == "Chronic sinusitis"
    (first,) = [f for f in sorted((tmp_path / "meds" / "data").glob("*.parquet"))][:1]
    assert pq.read_table(first).num_rows


def test_synthea_comes_in_whole_by_type_and_by_its_bundles(custody: Installation, data: Path) -> None:
    for folder in ("synthea-bulk-10", "synthea-hiv-bundles"):
        files = records.fhir_files([data / "ehr" / folder])
        done = bring(custody, *files, name=folder)
        assert (done.refused, done.already_stored, done.new) == (0, 0, done.seen.total())
        assert Counter(r["resourceType"] for r in resources_of(custody, folder)) == done.seen


IMPORT = """
import sys
from pathlib import Path
from galenic import custody
from galenic.installation import open_installation
installation = open_installation()
custody.import_fhir(
    installation, installation.sign_in("inge"), sorted(Path(sys.argv[1]).iterdir()), custody.ImportRequest("hospital"),
    workers=int(sys.argv[2]),
)
installation.close()
"""


def test_an_import_killed_twenty_times_loses_nothing_and_doubles_nothing(custody: Installation, tmp_path: Path) -> None:
    chance, folder = random.Random(7), tmp_path / "in"
    folder.mkdir()
    given: list[dict[str, Any]] = []
    for k in range(30):
        of = [patient(k), *(observation(100 * k + i, k) for i in range(60))]
        given += of
        entries = [{"fullUrl": f"http://h.example/{r['resourceType']}/{r['id']}", "resource": r} for r in of]
        (folder / f"{k:02d}.json").write_bytes(
            fhir.write_json({"resourceType": "Bundle", "type": "collection", "entry": entries})
        )
    more = [observation(10_000 + i, i % 30) for i in range(1_500)]
    ndjson(folder / "more.ndjson", more)
    custody.close()
    kills = 0
    for _ in range(300):
        work = subprocess.Popen([sys.executable, "-c", IMPORT, str(folder), "0"], env={**os.environ})
        try:
            work.wait(0.3 + chance.random() * 1.9 if kills < 20 else 120)
            assert work.returncode == 0
            if kills >= 20:
                break
        except subprocess.TimeoutExpired:
            work.send_signal(signal.SIGKILL)
            work.wait()
            kills += 1
    assert (kills, work.returncode) == (20, 0)
    installation = open_installation(custody.home)
    found = resources_of(installation, "hospital", history=True)
    assert sorted(r["id"] for r in found) == sorted(r["id"] for r in given + more)
    assert installation.audit.faults()[0] == []
    start = time.perf_counter()
    again = bring(installation, *sorted(folder.iterdir()))
    assert (again.new, again.already_stored) == (0, len(given) + len(more))
    assert time.perf_counter() - start < 20


def test_helpers_do_the_same_work_and_one_that_dies_is_replaced(custody: Installation, tmp_path: Path) -> None:
    places = [
        ndjson(tmp_path / f"{k}.ndjson", [patient(k), *(observation(1000 * k + i, k) for i in range(700))]) for k in range(4)
    ]
    alone, helped = bring(custody, *places, name="alone", workers=0), bring(custody, *places, name="helped", workers=1)
    assert {**alone.__dict__, "dataset": ""} == {**helped.__dict__, "dataset": ""}
    assert sorted(map(str, resources_of(custody, "alone"))) == sorted(map(str, resources_of(custody, "helped")))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({}, "is not a supported folder"),
        ({"person.csv": "gender_concept_id\n8507\n"}, "person_id"),
        ({"person.csv": "person_id,year_of_birth\n"}, "no row"),
        ({"data/x.parquet": "nonsense"}, "Expected a Parquet file"),
    ],
)
def test_folders_that_hold_no_records_are_refused_and_leave_nothing(
    custody: Installation, tmp_path: Path, made: dict[str, str], said: str, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in made.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert cli.run(["records", "import", str(folder), "--dataset", "bad", "--key", "inge"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    with pytest.raises(Exception, match="no data set"):
        store.dataset(custody.db, "bad", "home")


def test_a_mapping_that_does_not_fit_says_so(custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "t.csv").write_text("who,at\na,2024-01-01\n")
    for text, said in (
        ('[[event]]\ncode = "X"\ntime = "when"\n', "when"),
        ('[[event]]\ncode = "X"\ncode_column = "at"\n', "not both"),
        ('[[event]]\ncode = "X"\nwhen = "at"\n', "is unknown"),
        ("nonsense", "TOML"),
    ):
        (tmp_path / "map.toml").write_text(text)
        words = [
            "records",
            "import",
            tmp_path / "t.csv",
            "--as",
            "t",
            "--patient",
            "who",
            "--map",
            tmp_path / "map.toml",
            "--key",
            "inge",
        ]
        assert cli.run([str(w) for w in words]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    with pytest.raises(RecordError):
        import_meds(custody, custody.sign_in("inge"), tmp_path, ImportRequest("none"))
