"""Commands that record permissions refuse what no decision could use."""

from pathlib import Path

import pytest

from galenic.cli import main
from galenic.installation import Installation


@pytest.fixture
def ids(tmp_path: Path) -> str:
    place = tmp_path / "ids.txt"
    place.write_text("P000001\n")
    return str(place)


def ended(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a command, and what it wrote to standard error."""
    capsys.readouterr()
    try:
        main(words)
    except SystemExit as end:
        return int(end.code or 0), " ".join(capsys.readouterr().err.split())
    return 0, " ".join(capsys.readouterr().err.split())


CONSENT = ["patient", "consent", "clinic", "IDS", "--key", "inge"]
RELATE = ["patient", "care-relation", "clinic", "P000001", "--key", "inge"]
APPROVE = ["people", "approve-export", "clinic", "--who", "rosa", "--key", "paul", "--second", "paul2"]
CLIENT = ["clients", "add", "lab"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param([*CONSENT, "--purpose", "nope"], "not known", id="consent to an unknown purpose"),
        pytest.param([*CONSENT, "--purpose", "research", "--until", "tomorrow"], "YYYY-MM-DD", id="consent until a word"),
        pytest.param([*CONSENT, "--purpose", "research", "--until", "2026-02-31"], "YYYY-MM-DD", id="consent until no day"),
        pytest.param([*RELATE, "--who", "nokey"], "no key or account", id="care by nobody"),
        pytest.param([*RELATE, "--who", "ada", "--days", "-5"], "greater than or equal to 1", id="care for days that are over"),
        pytest.param([*APPROVE, "--purpose", "nope"], "not known", id="approval for an unknown purpose"),
        pytest.param([*APPROVE, "--purpose", "research", "--until", "x"], "YYYY-MM-DD", id="approval until a word"),
        pytest.param(["people", "revoke-role", "ada", "nurse"], "It holds: clinician", id="role that is not held"),
        pytest.param(["people", "revoke-role", "nobody", "nurse"], "It holds: none", id="key that is unknown"),
        pytest.param(["records", "import", "t.csv", "--dataset", "../x", "--patient", "id", "--key", "inge"], "data set name", id="a path"),
        pytest.param(["records", "import", "t.csv", "--dataset", "", "--patient", "id", "--key", "inge"], "data set name", id="no name"),
        pytest.param(["records", "import", "t.csv", "--dataset", "x\n", "--patient", "id", "--key", "inge"], "data set name", id="new line"),
        pytest.param(
            ["import", "t.csv", "--as", "x", "--patient", "id", "--key", "inge", "--label", "nope"], "data class", id="no such label"
        ),
        pytest.param([*CLIENT, "--scope", "garbage"], "not valid", id="system with a scope that is none"),
        pytest.param([*CLIENT, "--scope", "user/*.rs"], "not valid", id="system with a person's scope"),
        pytest.param([*CLIENT, "--purpose", "nope"], "are unknown", id="system for an unknown purpose"),
        pytest.param(["clients", "add", "lab\n"], "letters, digits", id="system's name with a new line"),
        pytest.param(["clients", "add", "ada"], "exists", id="system with the name of a key"),
        pytest.param(["clients", "token", "ada"], "no system", id="token of a key"),
        pytest.param(["keys", "create", "lab\n", "--role", "nurse"], "not a valid key name", id="key's name with a new line"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_ends_with_2(
    words: list[str],
    expected: str,
    custody: Installation,
    ids: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("id,sex\n1,f\n")
    code, said = ended([ids if w == "IDS" else w for w in words], capsys)
    assert (code, expected in said) == (2, True), (code, said)
    assert {d["name"] for d in custody_sets(custody)} == {"clinic"}


def custody_sets(custody: Installation) -> list[dict[str, object]]:
    from galenic import store

    return store.list_datasets(custody.db, "home")


@pytest.mark.parametrize(
    "more",
    [["--scope", "garbage"], ["--scope", "user/*.rs"], ["--purpose", "nope"], ["--scope", "system/*.cruds"], ["--hours", "49"]],
)
def test_a_token_beyond_what_a_system_has_ends_with_2(
    more: list[str], custody: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["clients", "add", "lab", "--scope", "system/Patient.rs", "--purposes", "treatment", "--max-hours", "48"]
    assert ended(words, capsys)[0] == 0
    assert ended(["clients", "token", "lab"], capsys)[0] == 0
    assert ended(["clients", "token", "lab", *more], capsys)[0] == 2


def test_the_last_day_of_a_consent_is_a_whole_day(custody: Installation, ids: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["patient", "consent", "clinic", ids, "--purpose", "research", "--until", "2999-12-31", "--key", "inge"]
    assert ended(words, capsys)[0] == 0
    assert {f.until for f in custody.facts.of("consent", purpose="research")} == {"2999-12-31T23:59:59+00:00"}


def test_the_command_line_leaves_systems_to_the_people_with_accounts(
    custody: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    custody.people.write("sofia", "sofia@clinic.example", "Sofia", "active")
    code, said = ended(["clients", "add", "lab"], capsys)
    assert (code, "in the console under Systems" in said) == (2, True), (code, said)
