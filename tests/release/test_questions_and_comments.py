"""Comments of signers, questions to the requester, and notices of a recall: stored so that nobody can change them unseen."""

import json
from pathlib import Path

import pytest

from galenic import release
from galenic.errors import (
    AccessDeniedError,
    GalenicError,
    OptionError,
    ReleaseRefusedError,
    StateError,
    StoreError,
    UnknownNameError,
)
from galenic.installation import Installation, open_installation
from galenic.release import ARTIFACTS, Run, statement_of
from galenic.security import changed_facts
from people_made import grown
from toy_made import ToyArtifact, toy_run

QUESTION, ANSWER = "Who pays for the toy?", "The ward pays for it."
COMMENT = "Read the subgroup table twice."


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setitem(ARTIFACTS, "toy", ToyArtifact())
    return open_installation(tmp_path / "home")


@pytest.fixture
def people(toys: Installation) -> dict[str, object]:
    roles = {
        "rita": "researcher",
        "paul": "privacy-officer",
        "clara": "clinician",
        "petra": "privacy-officer",
        "aude": "auditor",
    }
    return {name: grown(toys, name, role) for name, role in roles.items()}


def signed(toys: Installation, people: dict[str, object], comment: str = COMMENT) -> Run:
    run, _decision = toy_run(toys, 0.9, "rita")
    release.sign_off(toys, people["paul"], run.id, "privacy-officer", run.digest, comment)
    release.sign_off(toys, people["clara"], run.id, "clinician", run.digest)
    return run


def test_a_comment_stays_inside_and_is_bound_to_the_signature(
    toys: Installation, people: dict[str, object], tmp_path: Path
) -> None:
    run = signed(toys, people)
    clinician, officer = run.signatures
    assert (run.comment_of(officer), run.comment_of(clinician)) == (COMMENT, "")
    folder, _lines = release.write_release(toys, run.id, tmp_path / "out")
    assert all(COMMENT.encode() not in p.read_bytes() for p in folder.rglob("*"))
    said = statement_of(officer.envelope)["predicate"]
    assert (said["signer"], said["comment_sha256"]) == ("paul", officer.comment_digest)
    row = next(e for e in toys.audit.entries() if e.action == "signed" and e.actor == "paul")
    assert row.detail["comment_sha256"] == officer.comment_digest


def test_a_changed_comment_is_found(toys: Installation, people: dict[str, object]) -> None:
    run = signed(toys, people)
    place = run.folder / "comments" / "privacy-officer.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "comment": "All fine."}))
    with pytest.raises(StoreError, match="was changed afterwards"):
        run.comment_of(run.signatures[1])
    place.unlink()
    with pytest.raises(StoreError):
        run.comment_of(run.signatures[1])


def test_an_overlong_comment_is_refused_and_signs_nothing(toys: Installation, people: dict[str, object]) -> None:
    run, _decision = toy_run(toys, 0.9, "rita")
    with pytest.raises(OptionError, match="comment has 1001 characters"):
        release.sign_off(toys, people["paul"], run.id, "privacy-officer", run.digest, "x" * 1_001)
    assert run.signatures == ()


def test_a_question_is_asked_by_a_signer_and_answered_by_the_requester_once(
    toys: Installation, people: dict[str, object]
) -> None:
    run, _decision = toy_run(toys, 0.9, "rita")
    asked = release.ask_question(toys, people["paul"], run.id, QUESTION)
    assert release.unanswered_questions(toys, "rita") == (asked,)
    assert release.unanswered_questions(toys, "paul") == ()
    for name in ("paul", "clara", "aude"):
        with pytest.raises(UnknownNameError):
            release.answer_question(toys, people[name], asked.key, ANSWER)
    release.answer_question(toys, people["rita"], asked.key, ANSWER)
    with pytest.raises(OptionError, match="answered already"):
        release.answer_question(toys, people["rita"], asked.key, "Another answer.")
    (answered,) = release.questions_of(toys, run.id)
    assert (answered.text, answered.answer, answered.asker) == (QUESTION, ANSWER, "paul")
    assert release.unanswered_questions(toys, "rita") == ()
    assert [f.who for f in toys.facts.of("notice")] == ["paul"]
    rows = [(e.actor, e.outcome) for e in toys.audit.entries() if e.action == "fact.question"]
    assert rows == [("paul", "open"), ("rita", "answered")]
    assert changed_facts(toys.facts) == []


def test_a_question_does_not_block_a_signature(toys: Installation, people: dict[str, object]) -> None:
    run, _decision = toy_run(toys, 0.9, "rita")
    release.ask_question(toys, people["paul"], run.id, QUESTION)
    release.sign_off(toys, people["clara"], run.id, "clinician", run.digest)
    assert len(run.signatures) == 1


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        pytest.param("rita", QUESTION, AccessDeniedError, id="the requester"),
        pytest.param("aude", QUESTION, AccessDeniedError, id="a role that does not sign"),
        pytest.param("paul", "Why?", OptionError, id="too short"),
        pytest.param("paul", "x" * 1_001, OptionError, id="too long"),
        pytest.param("paul", "abcdefghijk\u202e", OptionError, id="text direction"),
    ],
)
def test_questions_that_are_refused(
    toys: Installation, people: dict[str, object], name: str, text: str, error: type[GalenicError]
) -> None:
    run, _decision = toy_run(toys, 0.9, "rita")
    with pytest.raises(error):
        release.ask_question(toys, people[name], run.id, text)
    assert release.questions_of(toys, run.id) == ()


def test_a_run_that_does_not_wait_or_has_no_requester_with_an_account_takes_no_question(
    toys: Installation, people: dict[str, object]
) -> None:
    refused, _decision = toy_run(toys, 0.1, "rita")
    stranger, _decision = toy_run(toys, 0.9, "tim")
    for run in (refused, stranger):
        with pytest.raises(ReleaseRefusedError, match="takes no questions"):
            release.ask_question(toys, people["paul"], run.id, QUESTION)


def test_a_run_takes_at_most_twenty_open_questions(toys: Installation, people: dict[str, object]) -> None:
    run, _decision = toy_run(toys, 0.9, "rita")
    for number in range(20):
        release.ask_question(toys, people["paul"], run.id, f"Question number {number}?")
    with pytest.raises(ReleaseRefusedError, match="20 questions"):
        release.ask_question(toys, people["paul"], run.id, QUESTION)


def test_everybody_who_downloaded_a_release_is_told_of_its_recall(
    toys: Installation, people: dict[str, object], tmp_path: Path
) -> None:
    run = signed(toys, people)
    folder, _lines = release.write_release(toys, run.id, tmp_path / "out", actor="rita")
    for name in ("rita", "aude", "rita"):
        toys.audit.append("release.downloaded", run.id, actor=name)
    with pytest.raises(UnknownNameError, match="no recalled release"):
        release.read_recall_notice(toys, run.id)
    notice = release.recall_release(toys, run.id, "Wrong cohort.", tmp_path / "notice.json", actor="paul")
    told = {f.who: str(f.get("text")) for f in toys.facts.of("notice")}
    assert set(told) == {"rita", "aude"}
    assert all("was recalled: Wrong cohort." in text for text in told.values())
    assert release.read_recall_notice(toys, run.id) == notice.read_text()
    (toys.home / "recalls" / f"{run.id}.json").unlink()
    again = tmp_path / "again.json"
    again.write_text(release.read_recall_notice(toys, run.id))
    for place in (notice, again):
        with pytest.raises(GalenicError, match="recalled: Wrong cohort"):
            release.check_release(folder, recalls=(place,))
    with pytest.raises(StateError, match="recalled already"):
        release.recall_release(toys, run.id, "Wrong cohort.", tmp_path / "more.json")
