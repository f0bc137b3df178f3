"""The commands of the audit log: proofs are checked offline, and a running server is no crash."""

import json
from pathlib import Path

import pytest

from galenic import cli
from galenic.installation import Installation
from galenic.store import only_server


@pytest.fixture
def proof(custody: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """A proof of an entry; the public key is in gate.pub."""
    (tmp_path / "gate.pub").write_text(custody.keys.gate().public + "\n")
    custody.close()
    assert cli.run(["audit", "proof", "2"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def checked(proof: dict[str, object], folder: Path, *words: str) -> int:
    (folder / "proof.json").write_text(json.dumps(proof))
    return cli.run(["audit", "check-proof", str(folder / "proof.json"), "--public", str(folder / "gate.pub"), *words])


def test_a_proof_is_checked_without_the_installation(
    proof: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GALENIC_HOME", str(tmp_path / "none"))
    assert checked(proof, tmp_path, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["row"] == 2
    assert shown["entry"]["seq"] == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("part", ["seq", "entry", "previous", "leaf", "path", "head", "signature"])
def test_a_changed_part_of_a_proof_is_found(part: str, proof: dict[str, object], tmp_path: Path) -> None:
    other = {"seq": 3, "path": [], "entry": str(proof["entry"]).replace('"seq":2', '"seq":9')}
    swapped = str(proof[part]).translate(str.maketrans("0123456789", "1234567890"))
    assert checked({**proof, part: other.get(part, swapped)}, tmp_path) in (1, 2)
    assert checked(proof, tmp_path) == 0


def test_a_proof_of_an_earlier_version_is_checked_too(
    proof: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked({k: v for k, v in proof.items() if k not in ("entry", "previous")}, tmp_path) == 0
    assert "does not hold the content" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_is_no_proof_ends_with_2(
    proof: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked({"seq": 1}, tmp_path) == 2
    assert "galenic audit proof ROW" in " ".join(capsys.readouterr().err.split())


def test_a_decision_of_a_running_server_is_open_and_not_a_crash(
    custody: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    with custody.gate.open(custody.sign_in("paul", "paul2"), "access", "subject/0", "subject-access") as grant:
        with only_server(custody.db, custody.home, "https://localhost:8443"):
            assert cli.run(["audit", "verify", "--json"]) == 0
            running = json.loads(capsys.readouterr().out)
            assert cli.run(["audit", "verify"]) == 0
            assert "open while the server is running" in capsys.readouterr().out
        assert cli.run(["audit", "verify", "--json"]) == 0
        stopped = json.loads(capsys.readouterr().out)
    assert (running["open"], running["interrupted"]) == ([grant.decision], [])
    assert (stopped["open"], stopped["interrupted"]) == ([], [grant.decision])
