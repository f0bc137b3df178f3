"""A signature is on what its signer was shown, and on nothing else."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from galenic import release
from galenic.custody import initialize_if_new
from galenic.errors import AccessDeniedError, GalenicError, ReleaseRefusedError, StateError
from galenic.flows.demonstration import POPULATION
from galenic.flows.synthesis import synthesize
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.records import demo_columns, demo_table
from galenic.release.signing import sign_off
from galenic.release.status import run_status
from galenic.security import Session


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, list[str], dict[str, Session]]]:
    """Two runs that rita asked for, and sessions of those who sign."""
    from galenic.privacy import ColumnOptions

    installation = open_installation(tmp_path_factory.mktemp("signers") / "home")
    initialize_if_new(installation)
    installation.ledger.declare(POPULATION, epsilon=2.0, delta=1e-8, actor="rita")
    column_options = ColumnOptions(description=demo_columns())
    request = SynthesisRequest(
        epsilon=1.0, delta=1e-9, population=POPULATION, column_options=column_options, target="mdvis", by="rita"
    )
    runs = [str(synthesize(installation, demo_table(), request).run) for _ in range(2)]
    sessions = {}
    for name, role in (
        ("rita", "researcher"),
        ("paul", "privacy-officer"),
        ("clara", "clinician"),
        ("petra", "privacy-officer"),
    ):
        installation.people.write(name, f"{name}@clinic.example", name, "active")
        installation.people.grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
        begun = installation.gate.session(_token(installation, name))
        assert begun is not None
        sessions[name] = begun[0]
    yield installation, runs, sessions
    installation.close()


def _token(installation: Installation, name: str) -> str:
    from galenic.security import token_name

    secret = installation.people.begin(name, "passkey", "x")
    found = installation.gate.session(token_name(secret))
    assert found is not None
    return token_name(installation.people.step_up(found[0], "passkey"))


@pytest.fixture
def run(signers: tuple[Installation, list[str], dict[str, Session]]) -> Iterator[Path]:
    """The first run, as it was, put back afterwards."""
    installation, runs, _sessions = signers
    folder, aside = installation.runs / runs[0], installation.home / "aside"
    shutil.copytree(folder, aside)
    yield folder
    shutil.rmtree(folder)
    aside.rename(folder)


def test_a_signature_on_another_hash_is_none(signers: tuple[Installation, list[str], dict[str, Session]], run: Path) -> None:
    installation, runs, sessions = signers
    first, second = (run_status(installation, r) for r in runs)
    with pytest.raises(ReleaseRefusedError, match="has changed since the evidence was shown"):
        sign_off(installation, sessions["paul"], runs[0], "privacy-officer", second.digest)
    sign_off(installation, sessions["paul"], runs[0], "privacy-officer", first.digest)
    replayed = installation.runs / runs[1] / "signoffs" / "privacy-officer.json"
    shutil.copy(run / "signoffs" / "privacy-officer.json", replayed)
    try:
        sign_off(installation, sessions["clara"], runs[1], "clinician", second.digest)
        with pytest.raises(GalenicError, match="sign"):
            release.write_release(installation, runs[1], installation.home / "out")
        assert not (installation.home / "out").exists()
    finally:
        replayed.unlink()
        (installation.runs / runs[1] / "signoffs" / "clinician.json").unlink(missing_ok=True)


@pytest.mark.parametrize("what", ["data.csv", "evidence.json", "decision.json", "policy.toml", "card.html"])
def test_what_was_swapped_after_the_evidence_is_not_signed(
    signers: tuple[Installation, list[str], dict[str, Session]], run: Path, what: str
) -> None:
    installation, runs, sessions = signers
    digest = run_status(installation, runs[0]).digest
    place = next(p for p in (run / "artefact").rglob("*") if p.name == what or (what == "data.csv" and p.stem == "data"))
    place.write_bytes(place.read_bytes() + b" ")
    with pytest.raises(GalenicError):
        sign_off(installation, sessions["paul"], runs[0], "privacy-officer", digest)
    assert not list((run / "signoffs").glob("*.json"))


def test_what_was_swapped_between_signature_and_release_does_not_leave(
    signers: tuple[Installation, list[str], dict[str, Session]], run: Path
) -> None:
    installation, runs, sessions = signers
    digest = run_status(installation, runs[0]).digest
    for name, role in (("paul", "privacy-officer"), ("clara", "clinician")):
        sign_off(installation, sessions[name], runs[0], role, digest)
    place = next(p for p in (run / "artefact").rglob("*") if p.stem == "data")
    honest = place.read_bytes()
    place.write_bytes(honest.replace(b"0", b"1", 1))
    with pytest.raises(GalenicError):
        release.write_release(installation, runs[0], installation.home / "out")
    place.write_bytes(honest)
    attestation = json.loads((run / "attestation.json").read_text())
    (run / "attestation.json").write_text(json.dumps({**attestation, "payload": attestation["payload"][:-8] + "AAAAAAA="}))
    with pytest.raises(GalenicError):
        release.write_release(installation, runs[0], installation.home / "out")
    assert not (installation.home / "out").exists()


def test_the_asker_the_same_person_and_who_has_not_confirmed_do_not_sign(
    signers: tuple[Installation, list[str], dict[str, Session]], run: Path
) -> None:
    installation, runs, sessions = signers
    digest = run_status(installation, runs[0]).digest
    installation.people.grant("rita", "rita@clinic.example", "privacy-officer", by="sofia", approved="otto")
    with pytest.raises(AccessDeniedError, match="the requester of a run cannot sign"):
        sign_off(installation, sessions["rita"], runs[0], "privacy-officer", digest)
    with pytest.raises(AccessDeniedError, match="do not hold"):
        sign_off(installation, sessions["clara"], runs[0], "privacy-officer", digest)
    installation.people.grant("paul", "paul@clinic.example", "clinician", by="sofia", approved="otto")
    sign_off(installation, sessions["paul"], runs[0], "privacy-officer", digest)
    with pytest.raises(AccessDeniedError, match="second person"):
        sign_off(installation, sessions["paul"], runs[0], "clinician", digest)
    twin = replace(sessions["clara"], who="clara2")
    with pytest.raises(StateError, match="another person has this id"):
        installation.people.write("clara2", "paul@clinic.example", "Paul again", "active")
    installation.people.grant("clara2", "paul@clinic.example", "clinician", by="sofia", approved="otto")
    with pytest.raises(AccessDeniedError):
        sign_off(installation, replace(twin, id=_token(installation, "clara2")), runs[0], "clinician", digest)
    assert sorted(p.stem for p in (run / "signoffs").glob("*.json")) == ["privacy-officer"]
    stale = installation.people.begin("clara", "passkey", "x")
    from galenic.security import token_name

    found = installation.gate.session(token_name(stale))
    assert found is not None
    with pytest.raises(AccessDeniedError, match="recent confirmation"):
        sign_off(installation, found[0], runs[0], "clinician", digest)
