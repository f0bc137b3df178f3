"""Kinds of artifacts are registered in one dict, and one from outside goes through the whole release workflow."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from galenic import release, store
from galenic.errors import AccessDeniedError, InputError, ReleaseRefusedError
from galenic.installation import Installation
from galenic.release import ARTIFACTS, ArtifactKind, Run
from toy_made import POLICY, ToyArtifact, toy_run


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyArtifact]:
    kind = ToyArtifact()
    monkeypatch.setitem(ARTIFACTS, "toy", kind)  # one line, from outside the package
    yield kind


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_kind_of_artifact_is_complete(name: str) -> None:
    kind = ARTIFACTS[name]
    assert kind.action
    assert kind.lineage_kind in store.lineage.KINDS
    for method, declared in inspect.getmembers(ArtifactKind, inspect.isfunction):
        if not method.startswith("_"):
            assert list(inspect.signature(getattr(kind, method)).parameters)
            assert len(inspect.signature(getattr(kind, method)).parameters) == len(inspect.signature(declared).parameters) - 1


def test_kinds_of_artifacts_are_distinguished_by_their_audit_actions_and_lineage() -> None:
    assert len({k.action for k in ARTIFACTS.values()}) == len(ARTIFACTS)
    assert len({k.lineage_kind for k in ARTIFACTS.values()}) == len(ARTIFACTS)


def test_a_kind_from_outside_is_written_signed_released_and_verified(
    installation: Installation, toy: ToyArtifact, tmp_path: Path
) -> None:
    run, decision = toy_run(installation, 0.9)
    assert decision.accepted
    assert run.state == "signing"
    for name, role in (("ada", "privacy-officer"), ("bea", "clinician")):
        installation.keys.create(name, role)
        release.sign_with_key(installation, run.id, name)
    assert run.state == "signed"
    target, _lines = release.write_release(installation, run.id, tmp_path / "out")
    assert run.state == "released"
    assert release.check_release(target, installation=installation)
    assert (target / "toy.txt").read_text() == f"{run.id} 0.9"
    assert run.sheet["material"] == "wood"
    statement = release.statement_of(json.loads((target / "attestation.json").read_text()))
    assert statement["predicate"]["engine"]["name"] == "toy-maker"
    release.recall_release(installation, run.id, "it broke", tmp_path / "notice.json")
    assert run.state == "recalled"
    assert release.run_status(installation, run.id).reason == "it broke"


def test_the_request_of_a_run_is_audited_with_its_criteria(installation: Installation, toy: ToyArtifact) -> None:
    run, _decision = toy_run(installation, 0.9)
    row = next(e for e in installation.audit.entries() if e.action == "toy.requested")
    assert (row.actor, row.resource) == ("tim", run.id)
    assert run.request == release.RunRequest("tim", row.seq)


def test_a_refused_run_stays_inside_and_is_listed(installation: Installation, toy: ToyArtifact, tmp_path: Path) -> None:
    run, decision = toy_run(installation, 0.4)
    assert not decision.accepted
    assert [(s.state, s.policy, s.by) for s in release.run_statuses(installation)] == [("refused", "toy", "tim")]
    assert run.public_decision is None
    with pytest.raises(ReleaseRefusedError, match="refused by its policy"):
        release.write_release(installation, run.id, tmp_path / "out")
    installation.keys.create("ada", "privacy-officer")
    with pytest.raises(ReleaseRefusedError, match="refused by its policy"):
        release.sign_with_key(installation, run.id, "ada")


def test_an_error_ends_a_run_on_the_audit_log_and_leaves_no_folder(installation: Installation, toy: ToyArtifact) -> None:
    policy = release.parse_policy(POLICY, "toy")
    with (
        pytest.raises(InputError),
        Run.start(installation, "toy", policy) as run,
        run.workspace() as workspace,
    ):
        (workspace / "half.txt").write_text("half a toy")
        raise InputError("no more wood")
    assert run.state == "made"
    assert not list(installation.runs.iterdir())
    ended = next(e for e in installation.audit.entries() if e.action == "toy.ended")
    assert (ended.resource, ended.outcome) == (run.id, "InputError")


def test_one_key_does_not_sign_in_two_roles(installation: Installation, toy: ToyArtifact) -> None:
    run, _decision = toy_run(installation, 0.9)
    key = installation.keys.create("ada", "privacy-officer")
    release.sign_with_key(installation, run.id, "ada")
    with pytest.raises(AccessDeniedError, match="A second person must sign"):
        release.require_second_person(run, release.Signer(public_key=key.public))
    other = installation.keys.create("bea", "clinician")
    release.require_second_person(run, release.Signer(public_key=other.public))


def test_a_requester_does_not_sign_by_any_account(installation: Installation, toy: ToyArtifact) -> None:
    run, _decision = toy_run(installation, 0.9)
    with pytest.raises(AccessDeniedError, match="the requester of a run cannot sign"):
        release.require_second_person(run, release.Signer(account="tim"))
    release.require_second_person(run, release.Signer(account="ada"))


def test_the_erasure_of_a_patient_deletes_the_run_of_a_deidentified_copy(custody: Installation) -> None:
    for name in ("1", "2"):
        (custody.runs / name / "artefact").mkdir(parents=True)
    with custody.gate.open(custody.sign_in("paul", "paul2"), "erase", "subject/1", "erasure-request") as grant:
        store.add_artefact(custody.db, {"id": "copy/1", "kind": "copy", "made_from": "table/clinic"}, [1])
        (outcome,) = (o for o in release.forget(custody, grant, 1) if o.id == "copy/1")
    assert outcome.fate.startswith("deleted; ")
    assert [p.name for p in custody.runs.iterdir()] == ["2"]


def test_an_erasure_asks_the_kind_of_each_artifact(custody: Installation, toy: ToyArtifact) -> None:
    session = custody.sign_in("paul", "paul2")
    with custody.gate.open(session, "erase", "subject/1", "erasure-request") as grant:
        for row in (
            {"id": "toy/1", "kind": "toy", "made_from": "table/clinic"},
            {"id": "model/1", "kind": "model", "made_from": "table/clinic", "private": True},
            {"id": "model/2", "kind": "model", "made_from": "table/clinic"},
            {"id": "export/9", "kind": "export", "made_from": "table/clinic", "place": "outside"},
            {"id": "release/1", "kind": "release", "made_from": "model/1", "place": "outside"},
        ):
            store.add_artefact(custody.db, row, [1])
        outcomes = {o.id: o for o in release.forget(custody, grant, 1)}
    assert outcomes["toy/1"].fate == "toy given back"
    assert outcomes["model/1"].fate.startswith("kept: made within a privacy budget")
    assert outcomes["model/2"].fate == "marked for retraining without the patient; the model is deleted"
    assert [a["id"] for a in store.artefacts_in(custody.db, "retrain")] == ["model/2"]
    assert "export/9" not in outcomes  # custody lists what left it
    assert outcomes["release/1"].fate == "was not released; nothing is outside"
    assert "table/clinic" not in outcomes
