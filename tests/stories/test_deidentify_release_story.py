"""A de-identified copy leaves as an artefact: decided, signed, verified, recalled by erasure; tokens lead back past the gate alone."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from galenic import cli, flows, release, store
from galenic.custody import ImportRequest, import_fhir, reveal_token
from galenic.errors import AccessDeniedError, NotFoundError, OptionError, ReleaseRefusedError
from galenic.installation import Installation, open_installation
from galenic.privacy.deidentification.note import NoteDeidentifier
from galenic.privacy.deidentification.table import TableDeidentifier
from galenic.records import fhir

NOTE = "Mrs. Agathe Zwingli was seen by Dr. Whitfield on 12 March 2023 and takes metformin 500 mg. Call 415-555-2671.\n"


def lenient_policy(folder: Path) -> str:
    """A copy of the shipped policy with a low bar, for the stories that are about other things than the recall."""
    policy = folder / "lenient.toml"
    shipped = Path(flows.__file__).parent.parent / "release" / "policies" / "deidentified.toml"
    text = shipped.read_text().replace('name = "deidentified"', 'name = "lenient"')
    policy.write_text(text.replace("at_least = 0.95", "at_least = 0.7"))
    return str(policy)


def command(*said: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(said))
    return int(ended.value.code or 0)


def patient(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Patient", "id": f"p{number}", "identifier": [{"system": "http://hospital.example/mrn", "value": f"77120{number:03d}"}],
        "name": [{"family": "Zwingli", "given": ["Agathe"]}], "birthDate": "1950-02-03", "gender": "female",
    }  # fmt: skip


def seen(number: int, of: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": "Note"},
        "subject": {"reference": f"Patient/p{of}"},
        "effectiveDateTime": f"2020-03-0{number}", "note": [{"text": "Agathe Zwingli (77120001) feels better."}], "valueString": "better",
    }  # fmt: skip


@pytest.fixture
def hospital(custody: Installation, tmp_path: Path) -> Installation:
    place = tmp_path / "in.ndjson"
    place.write_bytes(
        b"".join(fhir.write_json(r) + b"\n" for r in (patient(1), patient(2), seen(1, 1), seen(4, 1), seen(2, 2)))
    )
    import_fhir(custody, custody.sign_in("inge"), [place], ImportRequest("hospital"))
    return custody


def unpacked(folder: Path) -> dict[str, list[dict[str, Any]]]:
    with zipfile.ZipFile(folder / "data.zip") as packed:
        return {n: [json.loads(line) for line in packed.read(n).splitlines()] for n in packed.namelist()}


def test_notes_leave_by_a_decision_two_signatures_and_a_proof(custody: Installation, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text(NOTE)
    custody.close()
    assert command("deidentify", str(tmp_path / "notes"), "--release-policy", lenient_policy(tmp_path)) == 0
    installation = open_installation()
    run = next(p.name for p in installation.runs.iterdir())
    with pytest.raises(ReleaseRefusedError, match="not signed"):
        release.write_release(installation, run, tmp_path / "out")
    release.sign_with_key(installation, run, "ada")
    release.sign_with_key(installation, run, "paul")
    release.write_release(installation, run, tmp_path / "out")
    assert release.check_release(tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "out" / "data.zip") as packed:
        clean = packed.read("a.txt").decode()
    assert "metformin 500 mg" in clean
    for gone in ("Agathe", "Zwingli", "Whitfield", "12 March", "2671"):
        assert gone not in clean
    evidence = {f["name"]: f for f in json.loads((tmp_path / "out" / "evidence.json").read_text())["findings"]}
    assert evidence["deid.planted.recall"]["value"] >= 0.7
    assert evidence["deid.planted.recall"]["detail"]["strata"][0]["planted"] >= 120
    assert evidence["deid.expected.recall"]["direction"] == "fact"
    assert "model card" in evidence["deid.expected.recall"]["method"]
    assert "not_measured" in evidence["deid.stated"]  # a note states nothing in a field
    (tmp_path / "out" / "data.zip").write_bytes((tmp_path / "out" / "data.zip").read_bytes() + b" ")
    with pytest.raises(Exception, match="changed"):
        release.check_release(tmp_path / "out")


def test_the_gate_refuses_by_planted_recall(
    custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    custody.close()
    (tmp_path / "ja.txt").write_text("患者は昨日から発熱があり、咳が続いています。血圧は正常でした。\n", encoding="utf-8")
    (tmp_path / "t.csv").write_text("dob,gout\n" + "4/3/58,1\n11/2/61,0\nunknown,0\n" * 20, encoding="utf-8")
    assert command("deidentify", str(tmp_path / "ja.txt")) == 1  # nothing came out
    capsys.readouterr()
    for deidentifier in (NoteDeidentifier, TableDeidentifier):  # as if no rule held
        monkeypatch.setattr(deidentifier, "deidentify", lambda _self, file, out, _run: shutil.copy(file, out))
    for name in ("ja.txt", "t.csv"):
        assert command("deidentify", str(tmp_path / name), "--json") == 1
        said = json.loads(capsys.readouterr().out)
        (recall,) = (f for f in said["findings"] if f["name"] == "deid.planted.recall")
        assert recall["value"] < 0.05
        outcomes = {i["finding"]: i["outcome"] for i in said["decision"]["refusals"]}
        assert outcomes["deid.planted.recall"] == "not met"


def test_a_table_in_which_people_stand_alone_stays_inside(custody: Installation, tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": range(20, 80), "sex": ["f", "m"] * 30, "gout": [0, 1] * 30})
    frame.to_csv(tmp_path / "t.csv", index=False)
    custody.close()
    assert command("deidentify", str(tmp_path / "t.csv")) == 1
    assert command("deidentify", str(tmp_path / "t.csv"), "--quasi", "age", "--quasi", "sex") == 0
    frame[["gout"]].to_csv(
        tmp_path / "u.csv", index=False
    )  # nobody knows whether what stands in it is known: not measured, not let out
    assert command("deidentify", str(tmp_path / "u.csv"), "--json") == 1
    installation = open_installation()
    refused = [p for p in installation.runs.iterdir() if not (p / "artefact").exists()]
    assert len(refused) == 2
    assert not [f for p in refused for f in p.rglob("*.csv")]
    assert (refused[0] / "internal" / "report.html").exists()


def test_a_copy_from_custody_is_under_patients_keys_and_goes_with_them(hospital: Installation, tmp_path: Path) -> None:
    paul = hospital.sign_in("paul", "paul2")
    copy = flows.deidentify_stored(
        hospital, paul, flows.StoredCopyRequest("hospital", "expert", lenient_policy(tmp_path), vault=True)
    )
    assert copy.decision.accepted, (copy.decision.refusals, copy.report)
    files = unpacked(copy.folder / "artefact")
    everything = json.dumps(files)
    for gone in ("Agathe", "Zwingli", "77120", "p1", "2020-03-01"):
        assert gone not in everything
    people = {p["id"]: p for p in files["Patient.ndjson"]}
    of = [o["subject"]["reference"].removeprefix("Patient/") for o in files["Observation.ndjson"]]
    assert set(of) == set(people)
    often = max(set(of), key=of.count)
    days = sorted(o["effectiveDateTime"] for o in files["Observation.ndjson"] if o["subject"]["reference"].endswith(often))
    assert (pd.Timestamp(days[1]) - pd.Timestamp(days[0])).days == 3
    told = {reveal_token(hospital, paul, "hospital", token, "patient-safety") for token in people}
    assert told == {("patient", "p1"), ("patient", "p2")}
    number = files["Patient.ndjson"][0]["identifier"][0]["value"]
    assert reveal_token(hospital, paul, "hospital", number, "incident")[1].startswith("77120")
    again = flows.deidentify_stored(
        hospital, paul, flows.StoredCopyRequest("hospital", "expert", lenient_policy(tmp_path), vault=True)
    )
    twice = unpacked(again.folder / "artefact")
    for whence in (*twice["Provenance.ndjson"], *files["Provenance.ndjson"]):
        assert whence.pop("recorded")
    assert twice == files  # the same patients, the same surrogates
    erased = flows.erase(hospital, paul, "hospital|p1")
    assert any(a["kind"] == "copy" for a in erased.facts["artefacts"])
    assert not copy.folder.exists()
    left = []
    for token in people:
        try:
            left.append(reveal_token(hospital, paul, "hospital", token, "patient-safety"))
        except NotFoundError as error:
            assert "cannot be revealed" in str(error)
    assert left == [("patient", "p2")]


def test_every_try_to_lead_back_is_decided_and_written_down(hospital: Installation, tmp_path: Path) -> None:
    paul = hospital.sign_in("paul", "paul2")
    copy = flows.deidentify_stored(
        hospital, paul, flows.StoredCopyRequest("hospital", release_policy=lenient_policy(tmp_path), vault=True)
    )
    token = unpacked(copy.folder / "artefact")["Patient.ndjson"][0]["id"]
    for who, purpose in (("ada", "patient-safety"), ("rosa", "research"), ("paul", "curiosity")):
        with pytest.raises(AccessDeniedError):
            reveal_token(hospital, hospital.sign_in(who, f"{who}2"), "hospital", token, purpose)
    with pytest.raises(AccessDeniedError, match="second key"):
        reveal_token(hospital, hospital.sign_in("paul"), "hospital", token, "incident")
    reveal_token(hospital, paul, "hospital", token, "incident")
    with pytest.raises(NotFoundError, match="cannot be revealed"):
        reveal_token(hospital, paul, "hospital", "0" * 32, "incident")
    hospital.audit.flush()
    rows = [r for batch in store.audit_batches(hospital.db) for r in batch]
    kinds = [str(r) for r in rows]
    assert sum("token.revealed" in k for k in kinds) == 1
    assert sum("gate.denied" in k and "reveal" in k for k in kinds) == 4


def test_without_the_vault_no_token_leads_back(hospital: Installation, tmp_path: Path) -> None:
    paul = hospital.sign_in("paul", "paul2")
    copy = flows.deidentify_stored(hospital, paul, flows.StoredCopyRequest("hospital", release_policy=lenient_policy(tmp_path)))
    token = unpacked(copy.folder / "artefact")["Patient.ndjson"][0]["id"]
    with pytest.raises(NotFoundError, match="cannot be revealed"):
        reveal_token(hospital, paul, "hospital", token, "incident")
    other = flows.deidentify_stored(
        hospital, paul, flows.StoredCopyRequest("hospital", release_policy=lenient_policy(tmp_path))
    )
    assert unpacked(other.folder / "artefact")["Patient.ndjson"][0]["id"] != token


def test_who_may_not_learn_from_records_makes_no_copy(hospital: Installation, tmp_path: Path) -> None:
    with pytest.raises(AccessDeniedError):
        flows.deidentify_stored(
            hospital, hospital.sign_in("ada"), flows.StoredCopyRequest("hospital", release_policy=lenient_policy(tmp_path))
        )
    assert not list(hospital.runs.iterdir()) if hospital.runs.exists() else True
    with pytest.raises(OptionError, match="holds table"):
        flows.deidentify_stored(hospital, hospital.sign_in("paul"), flows.StoredCopyRequest("clinic"))
