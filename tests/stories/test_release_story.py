"""A release verifies as it was signed, and any change to it is refused with the reason."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from galenic import release
from galenic.errors import ReleaseRefusedError, UnknownNameError, VerificationError
from galenic.installation import Installation, open_installation
from galenic.release import verify
from galenic.release.attestation import signoff


def trust(finished: tuple[Path, str, Path]) -> dict[str, str]:
    return release.trust_of(open_installation(finished[0]), ("ada", "bea"))


def edit(path: Path, change: Callable) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps(change(data) or data))


def test_a_release_verifies_offline_with_and_without_known_keys(finished: tuple[Path, str, Path], released: Path) -> None:
    assert any("NOT known" in line for line in verify(released))
    lines = verify(released, trust(finished))
    assert any("keys are trusted" in line for line in lines)
    assert sum("unverified identity" in line for line in lines) == 2


def test_a_recipient_verifies_with_one_file_and_no_galenic(
    finished: tuple[Path, str, Path], released: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(trust(finished)))
    alone = shutil.copy(released / "verify_release.py", tmp_path / "alone.py")
    # -I: no user site, no PYTHONPATH; the file must not need galenic
    done = subprocess.run([sys.executable, "-I", alone, released, "--trust", keys], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("VERIFIED")
    (released / "data.csv").write_text("changed")
    done = subprocess.run([sys.executable, "-I", alone, released], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "data.csv was changed" in done.stderr


def change_byte(folder: Path) -> None:
    content = bytearray((folder / "data.csv").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "data.csv").write_bytes(bytes(content))


def swap_by_link(folder: Path) -> None:
    outside = folder.parent / "same-bytes.csv"
    shutil.copy(folder / "data.csv", outside)
    (folder / "data.csv").unlink()
    (folder / "data.csv").symlink_to(outside)


def drop_finding(folder: Path) -> None:
    edit(folder / "evidence.json", lambda d: d["findings"].pop() and d)


def lower_threshold(folder: Path) -> None:
    text = (folder / "policy.toml").read_text()
    (folder / "policy.toml").write_text(text.replace("at_most = 0.15", "at_most = 0.99"))


def double_signature(folder: Path) -> None:
    edit(folder / "signoffs.json", lambda d: [d[0], d[0]])


def one_signature(folder: Path) -> None:
    edit(folder / "signoffs.json", lambda d: d[:1])


def flip_signature(folder: Path) -> None:
    edit(folder / "signoffs.json", lambda d: d[0]["signatures"][0].update(sig="A" * 86 + "=="))


def change_role(folder: Path) -> None:
    import base64

    def change(signed: list) -> None:
        said = json.loads(base64.b64decode(signed[0]["payload"]))
        said["predicate"]["role"] = "security-officer"
        signed[0]["payload"] = base64.b64encode(json.dumps(said).encode()).decode()

    edit(folder / "signoffs.json", change)


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        pytest.param(change_byte, "data.csv was changed", id="a changed byte"),
        pytest.param(swap_by_link, "data.csv is a link", id="a file swapped by a symbolic link"),
        pytest.param(lambda f: (f / "data.csv").unlink(), "data.csv is missing", id="a missing file"),
        pytest.param(lambda f: (f / "extra.csv").write_text("x"), "not part of the signed release", id="an extra file"),
        pytest.param(lambda f: (f / "sub").mkdir(), "not a plain file", id="an extra folder"),
        pytest.param(drop_finding, "evidence.json was changed", id="a missing finding"),
        pytest.param(lower_threshold, "policy.toml was changed", id="a lowered threshold"),
        pytest.param(double_signature, "signed twice", id="one person signing twice"),
        pytest.param(one_signature, "not signed by", id="a signature missing"),
        pytest.param(flip_signature, "signature on a urn:galenic:signoff:v1 is wrong", id="a forged signature"),
        pytest.param(change_role, "signature on a urn:galenic:signoff:v1 is wrong", id="a role changed after signing"),
        pytest.param(lambda f: (f / "attestation.json").write_text("{}"), "envelope", id="no attestation"),
        pytest.param(lambda f: (f / "signoffs.json").unlink(), "signoffs.json is missing", id="no signatures at all"),
        pytest.param(lambda f: (f / "signoffs.json").write_text("[1]"), "envelope", id="signatures of another shape"),
    ],
)
def test_a_tampered_release_is_refused(released: Path, tamper: Callable, why: str) -> None:
    tamper(released)
    with pytest.raises(VerificationError, match=why):
        release.check_release(released)


def resigned(finished: tuple[Path, str, Path], released: Path, change: Callable[[Path], None]) -> Path:
    """An insider with the gate's key and both people's keys attests a changed folder anew."""
    from galenic.release import attest, statement_of

    installation = open_installation(finished[0])
    change(released)
    old = statement_of(json.loads((released / "attestation.json").read_text()))
    for name in ("attestation.json", "signoffs.json"):
        (released / name).unlink()
    predicate = {k: v for k, v in old["predicate"].items() if k not in ("key", "time")}
    import hashlib

    predicate["policy"]["digest"] = hashlib.sha256((released / "policy.toml").read_bytes()).hexdigest()
    attestation = attest(released, predicate, installation.keys.gate())
    signed = [signoff(attestation, installation.keys.get(n)) for n in ("ada", "bea")]
    (released / "attestation.json").write_text(json.dumps(attestation))
    (released / "signoffs.json").write_text(json.dumps(signed))
    return released


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lower_threshold, "differs from the one Galenic ships", id="a lowered threshold"),
        pytest.param(
            lambda f: edit(f / "decision.json", lambda d: d["items"].pop() and d),
            "does not record it as met",
            id="a rule left out",
        ),
        pytest.param(
            lambda f: edit(f / "decision.json", lambda d: [i.update(audience="public") for i in d["items"]] and d),
            "the evidence does not hold this finding",
            id="a public finding missing",
        ),
    ],
)
def test_even_with_every_key_the_evidence_must_satisfy_the_shipped_policy(
    finished: tuple[Path, str, Path], released: Path, change: Callable[[Path], None], why: str
) -> None:
    with pytest.raises(VerificationError, match=why):
        release.check_release(resigned(finished, released, change))


def test_a_signature_replayed_from_another_release_is_refused(finished: tuple[Path, str, Path], released: Path) -> None:
    stolen = (released / "signoffs.json").read_text()
    resigned(finished, released, lambda f: (f / "card.html").write_text("another card"))
    release.check_release(released)
    (released / "signoffs.json").write_text(stolen)
    with pytest.raises(VerificationError, match="another release"):
        release.check_release(released)


def test_keys_that_are_not_trusted_are_refused(finished: tuple[Path, str, Path], released: Path, tmp_path: Path) -> None:
    known = trust(finished)
    gate = next(k for k, role in known.items() if role == "gate")
    for change in ({gate: "gate"}, {k: "gate" for k in known}, {}):
        place = tmp_path / "keys.json"
        place.write_text(json.dumps(change))
        with pytest.raises(VerificationError, match="not trusted"):
            release.check_release(released, trust=place)


def test_nothing_real_leaves_in_a_private_release(finished: tuple[Path, str, Path]) -> None:
    evidence = json.loads((finished[2] / "evidence.json").read_text())
    assert {f["audience"] for f in evidence["findings"]} == {"public"}
    assert not any(f["name"].startswith(("fidelity", "utility")) for f in evidence["findings"])
    text = "".join((finished[2] / n).read_text() for n in ("card.html", "decision.json", "evidence.json", "attestation.json"))
    sheet = json.loads((finished[0] / "runs" / finished[1] / "internal" / "sheet.json").read_text())
    value = next(f["value"] for f in sheet["report"]["findings"] if f["name"] == "fidelity.tvd2")
    assert str(value)[:8] not in text
    card = (finished[2] / "card.html").read_text()
    assert "is not covered by ε" in card
    assert "Refused attempts" in card


def test_a_recalled_release_is_refused_by_whoever_has_the_notice(
    finished: tuple[Path, str, Path], released: Path, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(finished[0], tmp_path / "home"))
    installation = open_installation(home)
    with pytest.raises(UnknownNameError, match="no release of run"):
        release.recall_release(installation, "nothing", "why", tmp_path / "n.json")
    notice = release.recall_release(installation, finished[1], "wrong cohort", tmp_path / "notice.json")
    with pytest.raises(VerificationError, match="recalled: wrong cohort"):
        release.check_release(released, recalls=(notice,))
    with pytest.raises(VerificationError, match="recalled: wrong cohort"):
        release.check_release(released, installation=installation)
    assert release.list_releases(installation)[0]["state"] == "recalled"


def test_a_notice_of_another_gate_recalls_nothing(released: Path, installation: Installation, tmp_path: Path) -> None:
    from galenic.release.attestation import payload_digest, recall_notice

    digest = payload_digest(json.loads((released / "attestation.json").read_text()))
    place = tmp_path / "forged.json"
    place.write_text(json.dumps(recall_notice(digest, "forged", installation.keys.gate())))
    assert release.check_release(released, recalls=(place,))


def test_the_public_policy_refuses_what_unverified_people_signed(finished: tuple[Path, str, Path], tmp_path: Path) -> None:
    installation = open_installation(Path(shutil.copytree(finished[0], tmp_path / "home")))
    before = installation.ledger.statement("clinic").refusals
    with pytest.raises(ReleaseRefusedError, match="verified people"):
        release.write_release(installation, finished[1], tmp_path / "out", policy_name="public")
    assert installation.ledger.statement("clinic").refusals == before + 1
    assert not (tmp_path / "out").exists()


def test_a_run_leaves_only_signed_by_two_and_not_after_a_recall(finished: tuple[Path, str, Path], tmp_path: Path) -> None:
    home = Path(shutil.copytree(finished[0], tmp_path / "home"))
    installation = open_installation(home)
    release.write_release(installation, finished[1], tmp_path / "again")
    assert (tmp_path / "again" / "data.csv").read_bytes() == (finished[2] / "data.csv").read_bytes()
    assert len(release.list_releases(installation)) == 1
    release.recall_release(installation, finished[1], "wrong cohort", tmp_path / "notice.json")
    with pytest.raises(ReleaseRefusedError, match="recalled: wrong cohort"):
        release.write_release(installation, finished[1], tmp_path / "after")
    with installation.db.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM releases")
    (home / "runs" / finished[1] / "signoffs" / "clinician.json").unlink()
    with pytest.raises(ReleaseRefusedError, match="not signed by: clinician"):
        release.write_release(installation, finished[1], tmp_path / "half")
    assert not (tmp_path / "half").exists()
    with pytest.raises(ReleaseRefusedError, match="signed as privacy-officer already"):
        release.sign_with_key(installation, finished[1], "ada")
    installation.keys.create("carl", "researcher")
    with pytest.raises(ReleaseRefusedError, match="not for a researcher"):
        release.sign_with_key(installation, finished[1], "carl")


@pytest.mark.parametrize("name", ["internal/sheet.json", "artefact/data.csv"])
def test_nobody_signs_what_changed_since_it_was_attested(finished: tuple[Path, str, Path], tmp_path: Path, name: str) -> None:
    home = Path(shutil.copytree(finished[0], tmp_path / "home"))
    run = home / "runs" / finished[1]
    (run / "signoffs" / "clinician.json").unlink()
    with (run / name).open("a") as file:
        file.write(" ")
    with pytest.raises(ReleaseRefusedError, match="changed since the run was attested"):
        release.sign_with_key(open_installation(home), finished[1], "bea")


def test_every_step_is_on_the_audit_chain(finished: tuple[Path, str, Path]) -> None:
    log = open_installation(finished[0]).audit
    assert log.intact()
    actions = [e.action for e in log.entries() if e.resource == finished[1]]
    expected = ["synthesize.requested", "budget.reserved", "budget.settled", "decision", "signed", "signed", "release"]
    assert actions[: len(expected)] == expected


@pytest.mark.filterwarnings("ignore")
def test_the_metadata_describes_the_data_that_left(finished: tuple[Path, str, Path]) -> None:
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=finished[2] / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    first = next(iter(dataset.records("rows")))
    assert set(first) == {f"rows/{n}" for n in ("age_years", "sex", "smoker", "sbp_mmhg", "diabetes", "admitted")}
