"""Keys of signers stay private."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from galenic.errors import OptionError, StateError, StoreError, UnknownNameError
from galenic.installation import Installation
from galenic.security import Escrow, KeyRing


def test_keys_are_for_their_owner_only(installation: Installation) -> None:
    key = installation.keys.create("ada", "clinician")
    mode = (installation.keys.folder / "ada.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(installation.keys.folder.stat().st_mode) == 0o700
    assert installation.keys.get("ada").fingerprint == key.fingerprint


def test_a_passphrase_locks_keys(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALENIC_PASSPHRASE", "correct horse")
    installation.keys.create("ada", "clinician")
    assert "ENCRYPTED" in json.loads((installation.keys.folder / "ada.json").read_text())["pem"]
    monkeypatch.setenv("GALENIC_PASSPHRASE", "wrong")
    with pytest.raises(StoreError, match="GALENIC_PASSPHRASE"):
        installation.keys.get("ada")


@pytest.mark.parametrize(
    ("name", "role"), [("../x", "clinician"), ("gate", "clinician"), ("ada", "emperor"), ("", "clinician")]
)
def test_a_key_with_a_bad_name_or_role_is_refused(installation: Installation, name: str, role: str) -> None:
    with pytest.raises(OptionError):
        installation.keys.create(name, role)


def test_a_name_is_taken_once_and_an_unknown_key_is_said_to_be_unknown(installation: Installation) -> None:
    installation.keys.create("ada", "clinician")
    with pytest.raises(StateError, match="already"):
        installation.keys.create("ada", "privacy-officer")
    with pytest.raises(UnknownNameError, match="known: ada"):
        installation.keys.get("bob")


def test_processes_that_begin_at_once_share_one_key_of_the_house(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom galenic.security import Escrow, KeyRing\n"
        "ring, escrow = KeyRing(Path(sys.argv[1])), Escrow(Path(sys.argv[2]), 30)\nprint('ready', flush=True)\ninput()\n"
        "escrow.keep(bytes(32))\nprint(ring.gate().public)"
    )
    words = [sys.executable, "-c", code, tmp_path / "keys", tmp_path / "escrow"]
    crowd = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for p in crowd:
        assert p.stdout is not None
        assert p.stdout.readline() == "ready\n"
    for p in crowd:
        assert p.stdin is not None
        p.stdin.write("go\n")
        p.stdin.flush()
    said = {p.communicate(timeout=60)[0] for p in crowd}
    assert said == {KeyRing(tmp_path / "keys").gate().public + "\n"}
    assert Escrow(tmp_path / "escrow", 30).recover((tmp_path / "escrow" / "escrow-private.pem").read_bytes()) == bytes(32)
