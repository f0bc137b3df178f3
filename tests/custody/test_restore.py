"""Restore says which patients can be read, and refuses a backup that opens for nobody."""

import shutil
from pathlib import Path

import pytest

from galenic import cli, flows, store
from galenic.custody import own_record, recover_root, restore_backup, rotate_keys, write_backup
from galenic.errors import AccessDeniedError, StateError
from galenic.installation import Installation, open_installation
from galenic.schema import ErasureResult
from galenic.security import SystemAccess, token_name
from galenic.security.sign_in_limits import digest_of


def security_officer(installation: Installation):  # a Session
    return installation.sign_in("sven", "sven2")


def erase(installation: Installation, patient: str) -> ErasureResult:
    return flows.erase(installation, installation.sign_in("paul", "paul2"), patient)


def away(installation: Installation, folder: Path) -> Path:
    """A backup that was taken away at once, so that no erasure reaches it."""
    write_backup(installation, security_officer(installation), folder / "made")
    return Path(shutil.move(folder / "made", folder / "away"))


def after_the_loss(installation: Installation, tmp_path: Path) -> Installation:
    """An empty installation with people's keys and the escrow, into which the root was recovered."""
    installation.close()
    for name in ("keys", "escrow"):
        shutil.copytree(installation.home / name, tmp_path / "new" / name)
    private = (installation.home / "escrow" / "escrow-private.pem").read_bytes()
    shutil.rmtree(installation.home)
    opened = open_installation(tmp_path / "new")
    assert recover_root(opened, private) == {"patients": 0, "readable": 0}
    return opened


def test_a_backup_that_no_erasure_reached_is_refused_after_the_loss_of_everything_else(
    custody: Installation, tmp_path: Path
) -> None:
    folder = away(custody, tmp_path)
    receipt = erase(custody, "P000001").facts
    assert receipt["backups"] == [{"folder": str(tmp_path / "made"), "reached": False, "opens_with_todays_root": None}]
    fresh = after_the_loss(custody, tmp_path)
    with pytest.raises(StateError, match="None of its 200 patients could be read, and nothing was restored"):
        restore_backup(fresh, folder)
    assert store.list_datasets(fresh.db, "home") == []


def test_with_the_keys_of_a_newer_backup_everybody_else_is_read_again(custody: Installation, tmp_path: Path) -> None:
    folder = away(custody, tmp_path)
    erase(custody, "P000001")
    write_backup(custody, security_officer(custody), tmp_path / "newer")
    erase(custody, "P000002")  # reaches the newer one
    fresh = after_the_loss(custody, tmp_path)
    counts = restore_backup(fresh, folder, keys=tmp_path / "newer")
    assert (counts["patients"], counts["readable"], counts["erased_again"]) == (198, 198, 2)
    assert own_record(fresh, fresh.sign_in("paul"), "P000003")["rows"]["clinic"]
    for patient in ("P000001", "P000002"):
        with pytest.raises(Exception, match="no patient with this identifier"):
            own_record(fresh, fresh.sign_in("paul"), patient)


def test_a_backup_under_keys_before_a_rotation_is_refused_too(custody: Installation, tmp_path: Path) -> None:
    folder = away(custody, tmp_path)
    rotate_keys(custody, security_officer(custody))
    with pytest.raises(StateError, match="later erasure or rotation"):
        restore_backup(after_the_loss(custody, tmp_path), folder)


def test_without_the_root_the_command_ends_with_1_and_with_it_with_0(
    custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_backup(custody, security_officer(custody), tmp_path / "backup")
    custody.close()
    shutil.copytree(custody.home / "escrow", tmp_path / "new" / "escrow")
    monkeypatch.setenv("GALENIC_HOME", str(tmp_path / "new"))
    assert cli.run(["backup", "restore", str(tmp_path / "backup")]) == 1
    assert "0 of 200 patients can be read" in capsys.readouterr().out.replace("\n", " ")
    assert cli.run(["keys", "recover-root", str(tmp_path / "new" / "escrow" / "escrow-private.pem")]) == 0
    assert "200 patients can be read" in capsys.readouterr().out


def test_a_restore_into_a_running_installation_reads_an_unreached_backup(custody: Installation, tmp_path: Path) -> None:
    folder = away(custody, tmp_path)
    erase(custody, "P000001")
    counts = restore_backup(custody, folder, security_officer(custody))
    assert (counts["patients"], counts["readable"], counts["erased_again"]) == (199, 199, 1)


def test_what_left_after_a_backup_is_still_on_the_receipt_after_its_restore(custody: Installation, tmp_path: Path) -> None:
    write_backup(custody, security_officer(custody), tmp_path / "backup")
    own_record(custody, custody.sign_in("paul"), "P000001")
    restore_backup(custody, tmp_path / "backup", security_officer(custody))
    assert [n.partition("/")[0] for n in erase(custody, "P000001").facts["outside"]] == ["access"]


def test_what_was_open_when_a_backup_was_taken_is_ended_by_a_restore_elsewhere(custody: Installation, tmp_path: Path) -> None:
    """Sessions and tokens may have ended since, and links may have been used: none of the backup's opens anything."""
    people = custody.people
    people.write("anna", "anna@clinic.example", "Anna", "active")
    details = {"invitation": digest_of("secret"), "until": "2999-01-01T00:00:00+00:00"}
    people.write("guest", "guest@clinic.example", "Guest", "invited", details)
    secrets = [people.begin("anna", "test", "agent"), people.begin_half("anna")]
    custody.systems.register("lab", SystemAccess(), proposed_by="test")
    secrets.append(custody.systems.issue_token("lab", by="test", how="test", seconds=3600))
    open_keys = {f.key for f in custody.facts.of("session") if f.state in ("open", "half")}
    assert {token_name(s) for s in secrets} <= open_keys
    write_backup(custody, security_officer(custody), tmp_path / "backup")
    fresh = after_the_loss(custody, tmp_path)
    restore_backup(fresh, tmp_path / "backup")
    assert {f.key for f in fresh.facts.of("session")} & open_keys == set()
    for secret in secrets:
        assert fresh.gate.session(token_name(secret)) is None
        assert fresh.people.half(secret) is None
    with pytest.raises(AccessDeniedError):
        fresh.invitations.accept("secret", "harbour-velvet-seventeen-otters")
    assert fresh.people.begin("anna", "test", "agent"), "who has an account signs in anew"
    fresh.close()
