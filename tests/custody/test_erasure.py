"""Erasure: what is derived goes or is listed as outside, search goes on for others, and the receipt says only what is so."""

import json
import re
from pathlib import Path

import pytest

from galenic import cli, flows, records, store
from galenic.custody import (
    ImportRequest,
    build_index,
    export_records,
    import_table,
    initialize,
    make_key,
    own_record,
    record_approval,
    record_care_relation,
    record_consent,
    restore_backup,
    search_rows,
    write_backup,
)
from galenic.errors import KeyErasedError, VerificationError
from galenic.installation import Installation, open_installation
from galenic.jobs.quality import advance_quality, quality_page, stored_quality
from galenic.schema import ErasureResult
from galenic.security import require_subject, verify_receipt
from made import made_patients


def erase(installation: Installation, patient: str = "P000001") -> ErasureResult:
    return flows.erase(installation, installation.sign_in("paul", "paul2"), patient)


def fates(result: ErasureResult) -> dict[str, str]:
    return {a["id"]: a["fate"] for a in result.facts["artefacts"]}


def measured(installation: Installation) -> Path:
    """The page of the quality of "clinic", made as the console's job makes it."""
    session = installation.sign_in("paul")
    state = {
        "home": str(installation.home), "session": session.id, "who": "paul", "by": "paul", "dataset": "clinic", "purpose": "quality",
    }  # fmt: skip
    result = flows.quality_of_stored(installation, session, "clinic", "quality", page="inside")
    from galenic.jobs import quality

    quality._store(installation, state, result)
    return next((installation.home / "quality").glob("*.html"))


def found(installation: Installation, where: str) -> set[str]:
    session = installation.sign_in("ada")
    rows = search_rows(installation, session, "clinic", "treatment", [("age_years", ">=", "0"), ("patient_id", "=", where)])
    return {str(r["patient_id"]) for r in rows}


def test_search_for_other_patients_works_right_after_an_erasure(custody: Installation) -> None:
    for patient in ("P000001", "P000002"):
        assert cli.run(["patient", "care-relation", "clinic", patient, "--who", "ada", "--key", "inge"]) == 0
    build_index(custody, custody.sign_in("paul"), "clinic", "quality")
    assert found(custody, "P000001") == {"P000001"}
    receipt = fates(erase(custody))
    assert receipt["index-1"] == "deleted; searches use index-2, a copy without the patient"
    assert not (custody.shards / "index-1.db").exists()
    assert found(custody, "P000002") == {"P000002"}
    assert found(custody, "P000001") == set()
    assert "index-1" not in fates(erase(custody, "P000002"))  # it was gone before
    assert [b["id"] for b in store.list_builds(custody.db, kind="index")] == ["index-3"]


def test_an_index_that_cannot_be_copied_is_deleted_and_the_receipt_says_so(custody: Installation) -> None:
    build_index(custody, custody.sign_in("paul"), "clinic", "quality")
    (custody.shards / "index-1.db").write_bytes(b"not an index" * 1_000)
    assert fates(erase(custody))["index-1"] == "deleted; build it again: galenic records index build clinic"
    assert not list(custody.shards.iterdir())


def test_the_page_of_the_quality_goes_with_the_patient(custody: Installation) -> None:
    page = measured(custody)
    assert stored_quality(custody, "clinic") is not None
    assert fates(erase(custody))[f"quality/{page.stem}"] == "deleted; measure the quality again"
    assert list(page.parent.iterdir()) == []
    assert stored_quality(custody, "clinic") is None
    assert fates(erase(custody, "P000002")).keys() == {"table/clinic"}


def test_a_page_of_an_earlier_version_goes_with_the_next_patient(custody: Installation) -> None:
    old = custody.home / "quality" / f"{'0' * 32}.html"
    old.parent.mkdir()
    old.write_text("<p>1847</p>", encoding="utf-8")
    assert fates(erase(custody))[f"quality/{'0' * 32}"] == "deleted"
    assert not old.exists()


def test_a_page_that_was_measured_beside_an_erasure_is_not_kept(custody: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    from galenic.jobs import quality

    state = {"home": str(custody.home), "by": "paul", "dataset": "clinic", "purpose": "quality"}
    monkeypatch.setattr(quality, "job_session", lambda opened, _state: opened.sign_in("paul"))
    monkeypatch.setattr(quality, "progress_writer", lambda *_: lambda *_: None)
    real = quality.quality_of_stored

    def erased_meanwhile(*words: object, **named: object) -> object:
        result = real(*words, **named)
        erase(custody)
        return result

    monkeypatch.setattr(quality, "quality_of_stored", erased_meanwhile)
    assert "erased during" in advance_quality(state)["error"]
    assert not list((custody.home / "quality").glob("*"))


def test_every_way_out_is_on_the_receipt(custody: Installation, tmp_path: Path) -> None:
    record_consent(custody, custody.sign_in("inge"), "clinic", ["P000001", "P000002"], "research")
    from galenic.custody import make_key

    for key in ("eli", "eli2"):
        make_key(custody, key, "ethics-board", person="eli")
    record_approval(custody, custody.sign_in("eli", "eli2"), "clinic", "rosa", "research")
    export_records(custody, custody.sign_in("rosa", "rosa2"), "clinic", "research", tmp_path / "out.csv")
    own_record(custody, custody.sign_in("paul"), "P000001")
    assert cli.run(["patient", "access", "P000001", "--key", "paul", "--out", str(tmp_path / "record.json")]) == 0
    cli.run(["records", "quality", "clinic", "--key", "paul", "--report", str(tmp_path / "page.html")])
    result = erase(custody)
    assert sorted(name.partition("/")[0] for name in result.facts["outside"]) == ["access", "access", "export", "page"]
    assert sorted(n.partition("/")[0] for n in erase(custody, "P000002").facts["outside"]) == ["export", "page"]


def test_a_receipt_names_its_subject_to_whoever_has_identifier_and_salt(
    custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt, public = tmp_path / "receipt.json", tmp_path / "gate.pub"
    words = ["patient", "erase", "P000001", "--key", "paul", "--second", "paul2", "--receipt", str(receipt), "--json"]
    assert cli.run(words) == 0
    salt = json.loads(capsys.readouterr().out)["salt"]
    public.write_text(custody.keys.gate().public, encoding="ascii")
    facts = verify_receipt(receipt.read_text(encoding="utf-8"), custody.keys.gate().public)
    assert salt not in receipt.read_text(encoding="utf-8")
    assert salt not in json.dumps(facts)
    require_subject(facts, "P000001", salt)
    for patient, other in (("P000002", salt), ("P000001", "00" * 16), ("P000001", "no hex"), ("", salt)):
        with pytest.raises(VerificationError, match="not about this patient"):
            require_subject(facts, patient, other)
    check = ["patient", "verify-receipt", str(receipt), "--public", str(public)]
    assert cli.run(check) == 0
    assert cli.run([*check, "--patient", "P000001", "--salt", salt]) == 0
    assert cli.run([*check, "--patient", "P000002", "--salt", salt]) == 1
    assert set(facts["rows_left"].values()) == {0}


def test_two_receipts_of_one_identifier_have_different_digests(custody: Installation) -> None:
    first, second = erase(custody, "P000001"), erase(custody, "P000002")
    assert first.salt != second.salt
    assert first.facts["subject"] != second.facts["subject"]
    with pytest.raises(VerificationError):
        require_subject(first.facts, "P000001", second.salt)


def test_the_page_of_the_console_is_of_the_last_measurement(custody: Installation) -> None:
    measured(custody)
    assert "Data quality" in quality_page(custody, "clinic")


def test_what_a_killed_process_left_goes_with_the_next_erasure(custody: Installation) -> None:
    import os

    from galenic.security import BUILDS

    left = {}
    for kind in ("index", "shards", "bulk"):
        build, number = store.next_build(custody.db, kind, "clinic")
        custody.tree.add([BUILDS + number])
        left[build] = BUILDS + number
    custody.shards.mkdir(exist_ok=True)
    (custody.shards / "index-1.db").write_bytes(b"half an index")
    (custody.shards / "bulk-3").mkdir()
    upload = custody.home / "incoming" / "tmpx"
    upload.mkdir(parents=True)
    (upload / "table.csv").write_text("CNRY", encoding="utf-8")
    os.utime(upload, (0, 0))
    receipt = fates(erase(custody))
    assert {receipt[build] for build in left} == {"deleted; it was not finished"}
    assert list(custody.shards.iterdir()) == [] and list(upload.parent.iterdir()) == []
    for place in left.values():
        with pytest.raises(KeyErasedError):
            custody.tree.key(place)


def test_every_folder_that_the_code_names_in_the_home_is_known_to_erasure() -> None:
    source = Path(store.__file__).parents[1]
    pattern = re.compile(r"""home / ["']([^"'/{]+)["']""")
    named = {n for path in source.rglob("*.py") for n in pattern.findall(path.read_text(encoding="utf-8"))}
    assert len(named) > 8
    assert named - set(store.HOME_CONTENTS) == set(), "say in HOME_CONTENTS what an erasure does there"


def test_on_postgresql_search_goes_on_and_a_restore_counts_who_can_be_read(
    postgresql: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALENIC_DATABASE", postgresql)
    installation = open_installation(home)
    initialize(installation)
    people = {"ada": "clinician", "inge": "integration-engineer", "paul": "privacy-officer", "sven": "security-officer"}
    for name, role in people.items():
        for key in (name, f"{name}2"):
            make_key(installation, key, role, person=name)
    import_table(
        installation,
        installation.sign_in("inge"),
        records.in_memory(made_patients(60)),
        ImportRequest("clinic", patient="patient_id"),
    )
    for patient in ("P000001", "P000002"):
        record_care_relation(installation, installation.sign_in("inge"), "clinic", patient, "ada")
    build_index(installation, installation.sign_in("paul"), "clinic", "quality")
    receipt = erase(installation)
    assert fates(receipt)["index-1"] == "deleted; searches use index-2, a copy without the patient"
    assert set(receipt.facts["rows_left"].values()) == {0}
    assert store.rows_left(installation.db, 3, "home")["originals"] > 0  # the count is one that sees rows
    assert found(installation, "P000002") == {"P000002"}
    assert found(installation, "P000001") == set()
    session = installation.sign_in("sven", "sven2")
    write_backup(installation, session, tmp_path / "backup")
    counts = restore_backup(installation, tmp_path / "backup", session)
    assert (counts["patients"], counts["readable"]) == (59, 59)
    installation.close()
