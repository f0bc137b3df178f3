"""A signature is on what its signer was shown, and on nothing else."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from galenic import flows
from galenic.errors import AccessDenied, GalenicError, ReleaseRefused
from galenic.flows import serving
from galenic.flows.demo import POPULATION, description, table
from galenic.flows.sign_off import run_of, sign_off
from galenic.flows.synthesize import Request, synthesize
from galenic.security import Session


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[flows.House, list[str], dict[str, Session]]]:
    """Two runs that rita asked for, and sessions of those who sign."""
    from galenic import records
    from galenic.flows.columns import Wishes

    house = flows.open_house(tmp_path_factory.mktemp("signers") / "home")
    serving.init_if_new(house)
    house.ledger.declare(POPULATION, epsilon=2.0, delta=1e-8, actor="rita")
    wishes = Wishes(description=records.from_toml(description(), "randhie.toml"))
    request = Request(epsilon=1.0, delta=1e-9, population=POPULATION, wishes=wishes, target="mdvis", by="rita")
    runs = [str(synthesize(house, table(), request).run) for _ in range(2)]
    sessions = {}
    for name, role in (
        ("rita", "researcher"),
        ("paul", "privacy-officer"),
        ("clara", "clinician"),
        ("petra", "privacy-officer"),
    ):
        house.people._write(name, f"{name}@clinic.example", name, "active")
        house.people._grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
        begun = house.gate.session(_token(house, name))
        assert begun is not None
        sessions[name] = begun[0]
    yield house, runs, sessions
    house.close()


def _token(house: flows.House, name: str) -> str:
    from galenic.security import token_name

    secret = house.people.begin(name, "passkey", "x")
    found = house.gate.session(token_name(secret))
    assert found is not None
    return token_name(house.people.step_up(found[0], "passkey"))


@pytest.fixture
def run(signers: tuple[flows.House, list[str], dict[str, Session]]) -> Iterator[Path]:
    """The first run, as it was, put back afterwards."""
    house, runs, _sessions = signers
    folder, aside = house.runs / runs[0], house.home / "aside"
    shutil.copytree(folder, aside)
    yield folder
    shutil.rmtree(folder)
    aside.rename(folder)


def test_a_signature_on_another_hash_is_none(signers: tuple[flows.House, list[str], dict[str, Session]], run: Path) -> None:
    house, runs, sessions = signers
    first, second = (run_of(house, r) for r in runs)
    with pytest.raises(ReleaseRefused, match="not what the evidence was shown of"):
        sign_off(house, sessions["paul"], runs[0], "privacy-officer", second.digest)
    sign_off(house, sessions["paul"], runs[0], "privacy-officer", first.digest)
    replayed = house.runs / runs[1] / "signoffs" / "privacy-officer.json"
    shutil.copy(run / "signoffs" / "privacy-officer.json", replayed)
    try:
        sign_off(house, sessions["clara"], runs[1], "clinician", second.digest)
        with pytest.raises(GalenicError, match="sign"):
            flows.release(house, runs[1], house.home / "out")
        assert not (house.home / "out").exists()
    finally:
        replayed.unlink()
        (house.runs / runs[1] / "signoffs" / "clinician.json").unlink(missing_ok=True)


@pytest.mark.parametrize("what", ["data.csv", "evidence.json", "decision.json", "policy.toml", "card.html"])
def test_what_was_swapped_after_the_evidence_is_not_signed(
    signers: tuple[flows.House, list[str], dict[str, Session]], run: Path, what: str
) -> None:
    house, runs, sessions = signers
    digest = run_of(house, runs[0]).digest
    place = next(p for p in (run / "artefact").rglob("*") if p.name == what or (what == "data.csv" and p.stem == "data"))
    place.write_bytes(place.read_bytes() + b" ")
    with pytest.raises(GalenicError):
        sign_off(house, sessions["paul"], runs[0], "privacy-officer", digest)
    assert not list((run / "signoffs").glob("*.json"))


def test_what_was_swapped_between_signature_and_release_does_not_leave(
    signers: tuple[flows.House, list[str], dict[str, Session]], run: Path
) -> None:
    house, runs, sessions = signers
    digest = run_of(house, runs[0]).digest
    for name, role in (("paul", "privacy-officer"), ("clara", "clinician")):
        sign_off(house, sessions[name], runs[0], role, digest)
    place = next(p for p in (run / "artefact").rglob("*") if p.stem == "data")
    honest = place.read_bytes()
    place.write_bytes(honest.replace(b"0", b"1", 1))
    with pytest.raises(GalenicError):
        flows.release(house, runs[0], house.home / "out")
    place.write_bytes(honest)
    attestation = json.loads((run / "attestation.json").read_text())
    (run / "attestation.json").write_text(json.dumps({**attestation, "payload": attestation["payload"][:-8] + "AAAAAAA="}))
    with pytest.raises(GalenicError):
        flows.release(house, runs[0], house.home / "out")
    assert not (house.home / "out").exists()


def test_the_asker_the_same_person_and_who_has_not_confirmed_do_not_sign(
    signers: tuple[flows.House, list[str], dict[str, Session]], run: Path
) -> None:
    house, runs, sessions = signers
    digest = run_of(house, runs[0]).digest
    house.people._grant("rita", "rita@clinic.example", "privacy-officer", by="sofia", approved="otto")
    with pytest.raises(AccessDenied, match="asked for a run"):
        sign_off(house, sessions["rita"], runs[0], "privacy-officer", digest)
    with pytest.raises(AccessDenied, match="do not hold"):
        sign_off(house, sessions["clara"], runs[0], "privacy-officer", digest)
    house.people._grant("paul", "paul@clinic.example", "clinician", by="sofia", approved="otto")
    sign_off(house, sessions["paul"], runs[0], "privacy-officer", digest)
    with pytest.raises(AccessDenied, match="second person"):
        sign_off(house, sessions["paul"], runs[0], "clinician", digest)
    twin = replace(sessions["clara"], who="clara2")
    house.people._write("clara2", "paul@clinic.example", "Paul again", "active")
    house.people._grant("clara2", "paul@clinic.example", "clinician", by="sofia", approved="otto")
    with pytest.raises(AccessDenied):
        sign_off(house, replace(twin, id=_token(house, "clara2")), runs[0], "clinician", digest)
    assert sorted(p.stem for p in (run / "signoffs").glob("*.json")) == ["privacy-officer"]
    stale = house.people.begin("clara", "passkey", "x")
    from galenic.security import token_name

    found = house.gate.session(token_name(stale))
    assert found is not None
    with pytest.raises(AccessDenied, match="fresh confirmation"):
        sign_off(house, found[0], runs[0], "clinician", digest)
