"""Sign-off, rejection, release and recall at the same moment: each raced 50 times, on both databases."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from galenic import release
from galenic.errors import AccessDeniedError, ReleaseRefusedError
from galenic.installation import Installation
from galenic.release import ARTIFACTS, Run, run_status
from galenic.security import Session
from people_made import confirmed
from races import TIMES, race, winners
from toy_made import ToyArtifact, toy_run

PEOPLE = {"paul": "privacy-officer", "clara": "clinician", "petra": "privacy-officer"}


@pytest.fixture
def toys(raced: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation that makes toys, with people who may sign; paul holds both roles."""
    monkeypatch.setitem(ARTIFACTS, "toy", ToyArtifact())
    for name, role in [*PEOPLE.items(), ("paul", "clinician"), ("rita", "clinician"), ("rita", "researcher")]:
        raced.people.write(name, f"{name}@clinic.example", name, "active")
        raced.people.grant(name, f"{name}@clinic.example", role, by="sofia", approved="otto")
    yield raced


def made(installation: Installation) -> Run:
    run, _decision = toy_run(installation, 0.9, "rita")
    return run


def signature(installation: Installation, session: Session, run: Run, role: str) -> "partial[None]":
    return partial(release.sign_off, installation, session, run.id, role, run.digest)


def test_one_person_with_two_roles_and_two_browsers_signs_once(toys: Installation) -> None:
    one, two = confirmed(toys, "paul"), confirmed(toys, "paul")
    for _ in range(TIMES):
        run = made(toys)
        found = race(signature(toys, one, run, "privacy-officer"), signature(toys, two, run, "clinician"))
        assert winners(found) == 1, found
        assert len(run.signatures) == 1
        assert {type(e) for e in found} == {type(None), AccessDeniedError}


def test_a_role_is_signed_once_and_two_people_in_two_roles_both_sign(toys: Installation) -> None:
    paul, petra, clara = (confirmed(toys, name) for name in ("paul", "petra", "clara"))
    for _ in range(TIMES):
        run = made(toys)
        rivals = [signature(toys, s, run, "privacy-officer") for s in (paul, petra)]
        found = race(*rivals, signature(toys, clara, run, "clinician"))
        assert winners(found) == 2, found
        assert found[2] is None
        assert run.state == "signed"


def test_a_run_is_not_rejected_and_signed_to_the_end(toys: Installation, tmp_path: Path) -> None:
    paul, clara = confirmed(toys, "paul"), confirmed(toys, "clara")
    for turn in range(TIMES):
        run = made(toys)
        signature(toys, paul, run, "privacy-officer")()
        reject = partial(release.reject_run, toys, paul, run.id, "not what we agreed on")
        found = race(signature(toys, clara, run, "clinician"), reject)
        assert found[1] is None
        assert run.state == "rejected"
        with pytest.raises(ReleaseRefusedError, match="was rejected"):
            release.write_release(toys, run.id, tmp_path / f"out{turn}")


def test_a_run_is_released_or_rejected_but_not_both(toys: Installation, tmp_path: Path) -> None:
    paul, clara = confirmed(toys, "paul"), confirmed(toys, "clara")
    for turn in range(TIMES):
        run = made(toys)
        for session, role in ((paul, "privacy-officer"), (clara, "clinician")):
            signature(toys, session, run, role)()
        reject = partial(release.reject_run, toys, paul, run.id, "not what we agreed on")
        found = race(partial(release.write_release, toys, run.id, tmp_path / f"out{turn}"), reject)
        assert winners(found) == 1, found
        assert (tmp_path / f"out{turn}").exists() == (run.state == "released")


def test_a_release_is_registered_and_recalled_once(toys: Installation, tmp_path: Path) -> None:
    paul, clara = confirmed(toys, "paul"), confirmed(toys, "clara")
    for turn in range(TIMES):
        run = made(toys)
        for session, role in ((paul, "privacy-officer"), (clara, "clinician")):
            signature(toys, session, run, role)()
        folders = [tmp_path / f"out{turn}{way}" for way in "ab"]
        assert winners(race(*(partial(release.write_release, toys, run.id, f) for f in folders))) == 2
        recalls = [partial(release.recall_release, toys, run.id, f"reason {w}", tmp_path / f"{turn}{w}.json") for w in "ab"]
        assert winners(race(*recalls)) == 1
        assert [r["state"] for r in release.list_releases(toys) if r["run"] == run.id] == ["recalled"]


def test_whoever_loses_the_role_at_the_same_moment_signs_before_or_not_at_all(toys: Installation) -> None:
    for turn in range(TIMES):
        name = f"ines{turn}"
        toys.people.write(name, f"{name}@clinic.example", name, "active")
        toys.people.grant(name, f"{name}@clinic.example", "clinician", by="sofia", approved="otto")
        session, run = confirmed(toys, name), made(toys)
        withdraw = partial(
            toys.people.grant, name, f"{name}@clinic.example", "clinician", by="sofia", approved="otto", state="withdrawn"
        )
        found = race(signature(toys, session, run, "clinician"), withdraw)
        assert (found[0] is None) == bool(run.signatures)
        with pytest.raises((AccessDeniedError, ReleaseRefusedError)):
            release.sign_off(toys, session, run.id, "clinician", run.digest)


def released(toys: Installation, tmp_path: Path) -> Path:
    run = made(toys)
    for name, role in (("paul", "privacy-officer"), ("clara", "clinician")):
        signature(toys, confirmed(toys, name), run, role)()
    return release.write_release(toys, run.id, tmp_path / "out")[0]


def test_a_recipient_sees_that_the_signers_are_two_people_and_not_the_requester(toys: Installation, tmp_path: Path) -> None:
    lines = release.verify(released(toys, tmp_path))
    assert any("2 different people" in line and "none of them requested the run" in line for line in lines)


@pytest.mark.parametrize(
    ("whose", "role", "why"),
    [
        pytest.param("paul", "clinician", "one person signed twice", id="one person by two keys"),
        pytest.param("rita", "clinician", "the requester of the run", id="the requester"),
        pytest.param("", "clinician", "does not say which person", id="a signature that hides its person"),
    ],
)
def test_a_recipient_refuses_one_person_who_signs_twice_or_asked(
    toys: Installation, tmp_path: Path, whose: str, role: str, why: str
) -> None:
    folder = released(toys, tmp_path)
    run = Run.open(toys, release.list_releases(toys)[0]["run"])
    signatures = json.loads((folder / "signoffs.json").read_text())
    key = release.signing_key(toys, whose or "clara", role)
    from dataclasses import replace

    about = release.attestation.SigningPerson(run.pseudonym_of(whose) if whose else "")
    forged = release.attestation.signoff(run.require_attestation(), replace(key, identity="verified"), about)
    kept = [s for s in signatures if release.statement_of(s)["predicate"]["role"] != role]
    (folder / "signoffs.json").write_text(json.dumps([*kept, forged]))
    with pytest.raises(release.NotVerifiedError, match=why):
        release.verify(folder)


def test_of_keys_and_older_releases_the_verifier_says_that_people_were_not_compared(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARTIFACTS, "toy", ToyArtifact())
    run, _decision = toy_run(installation, 0.9)
    for name, role in (("ada", "privacy-officer"), ("bea", "clinician")):
        installation.keys.create(name, role)
        release.sign_with_key(installation, run.id, name)
    _folder, lines = release.write_release(installation, run.id, tmp_path / "out")
    assert any(line.startswith("NOT CHECKED: whether the signers are different people") for line in lines)


def test_the_pseudonym_of_a_person_tells_nothing_and_differs_between_releases(toys: Installation) -> None:
    first, second = made(toys), made(toys)
    assert first.pseudonym_of("paul") == first.pseudonym_of("paul") != second.pseudonym_of("paul")
    assert "paul" not in first.pseudonym_of("paul")
    assert run_status(toys, first.id).by == "rita"
