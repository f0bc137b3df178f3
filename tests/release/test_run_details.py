"""Title, intended use and recipient of a run: words of the requester that are public, checked where they are typed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from galenic.errors import OptionError
from galenic.installation import Installation, open_installation
from galenic.release import (
    ARTIFACTS,
    Run,
    list_releases,
    load_policy,
    parse_policy,
    run_status,
    sign_with_key,
    statement_of,
    verify,
    write_release,
)
from galenic.schema import RunDetails
from toy_made import POLICY, ToyArtifact, ToyContent, toy_run

WORDS = RunDetails("Falls of older patients", "To test a dashboard before it sees patients.", "Hospital IT")


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setitem(ARTIFACTS, "toy", ToyArtifact())
    return open_installation(tmp_path / "home")


def a_run(installation: Installation, details: RunDetails | None = None, score: float = 0.9) -> Run:
    with Run.start(installation, "toy", parse_policy(POLICY, "toy"), details=details) as run:
        run.decide_and_write(ToyContent(score))
    return Run.open(installation, run.id)


def released(installation: Installation, run: Run, folder: Path) -> Path:
    for name, role in (("ada", "privacy-officer"), ("bea", "clinician")):
        if name not in installation.keys.names():
            installation.keys.create(name, role)
        sign_with_key(installation, run.id, name)
    return write_release(installation, run.id, folder)[0]


def test_details_are_in_the_list_the_register_and_the_signed_statement(toys: Installation, tmp_path: Path) -> None:
    run = a_run(toys, WORDS)
    assert run_status(toys, run.id).details == WORDS
    folder = released(toys, run, tmp_path / "out")
    statement = statement_of(json.loads((folder / "attestation.json").read_text()))
    assert statement["predicate"]["details"] == {
        "title": WORDS.title, "intended_use": WORDS.intended_use, "recipient": WORDS.recipient}  # fmt: skip
    assert verify(folder)
    row = list_releases(toys)[0]
    assert (row["title"], row["recipient"], row["intended_use"]) == (WORDS.title, WORDS.recipient, WORDS.intended_use)
    assert row["released_by"] == toys.actor


def test_the_register_keeps_the_details_of_a_deleted_run(toys: Installation, tmp_path: Path) -> None:
    run = a_run(toys, WORDS)
    released(toys, run, tmp_path / "out")
    run.discard()
    assert list_releases(toys)[0]["title"] == WORDS.title


def test_a_refused_run_has_its_details(toys: Installation) -> None:
    run = a_run(toys, WORDS, score=0.1)
    status = run_status(toys, run.id)
    assert (status.state, status.details) == ("refused", WORDS)


def test_a_run_without_details_has_a_title_of_its_kind_and_day(toys: Installation) -> None:
    run, _decision = toy_run(toys, 0.9)
    day = f"{int(run.id[6:8])} "
    assert run.details.title.startswith(f"Result, {day}")
    assert (run.details.intended_use, run.details.recipient) == ("", "")


@pytest.mark.parametrize(
    ("sheet", "title"),
    [
        pytest.param({}, "Synthetic table of clinic, 30 Nov 2026", id="a table of an earlier version"),
        pytest.param({"deidentification": {}}, "De-identified copy of clinic, 30 Nov 2026", id="a copy of an earlier version"),
        pytest.param({"about": {"title": "a\u202eb", "kind": "table"}}, "Synthetic table of clinic, 30 Nov 2026", id="an edited sheet"),
    ],
)  # fmt: skip
def test_sheets_without_a_usable_title_get_one(sheet: dict[str, object], title: str) -> None:
    from galenic.release.details import stored_details

    assert stored_details(sheet, "20261130-101112-abcdef", "clinic").title == title


def test_a_sheet_of_an_earlier_version_still_opens(toys: Installation) -> None:
    run = a_run(toys, WORDS)
    place = run.folder / "internal" / "sheet.json"
    sheet = json.loads(place.read_text())
    del sheet["about"]
    place.write_text(json.dumps(sheet))
    status = run_status(toys, run.id)
    assert (status.state, status.details.recipient) == ("signing", "")
    assert status.details.title


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a\x1b[31mb", id="escape sequence of a terminal"),
        pytest.param("abc\u202edcb", id="text direction"),
        pytest.param("a\u200bb", id="invisible space"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("x" * 501, id="overlong"),
    ],
)
@pytest.mark.parametrize("field", ["title", "intended_use", "recipient"])
def test_text_that_may_not_be_shown_is_refused_without_repeating_it(field: str, text: str) -> None:
    with pytest.raises(OptionError, match=field.replace("_", " ")) as error:
        RunDetails(**{field: text})
    assert text not in str(error.value)


def test_line_breaks_and_rare_spaces_become_one_space() -> None:
    assert RunDetails(" Falls\n\tof\u00a0patients ").title == "Falls of patients"
    assert RunDetails("x" * 100).title == "x" * 100
    assert RunDetails("मरीज़ों का डेटा").title
    assert replace(WORDS, title="").title == ""


def test_details_do_not_change_the_policy_or_the_decision(toys: Installation) -> None:
    assert a_run(toys, WORDS).policy.digest == a_run(toys).policy.digest
    assert load_policy("internal").purpose != WORDS.intended_use
