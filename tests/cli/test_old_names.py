"""Command names of the version before work, are not in the help, and name the new command."""

import pytest
import typer

from galenic import cli
from galenic.cli import old_names
from galenic.installation import Installation

COMMAND = typer.main.get_command(cli.app)
GROUPS = {name: frozenset(getattr(command, "commands", {})) for name, command in COMMAND.commands.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("synthesize t.csv --epsilon 1", "table synthesize t.csv --epsilon 1"),
        ("release RUN folder", "release write RUN folder"),
        ("release sign RUN", "release sign RUN"),
        ("release --help", "release --help"),
        ("budget", "budget show"),
        ("budget clinic --json", "budget show clinic --json"),
        ("budget clinic --epsilon 3", "budget declare clinic --epsilon 3"),
        ("budget declare clinic --epsilon 3", "budget declare clinic --epsilon 3"),
        ("audit", "audit show"),
        ("audit --json", "audit show --json"),
        ("audit proof 3", "audit proof 3"),
        ("jobs", "jobs list"),
        ("jobs --cancel j1 --json", "jobs cancel j1 --json"),
        ("jobs --json --resume=j1", "jobs resume --json j1"),
        ("jobs --work", "jobs run"),
        ("backup folder --key sven", "backup create folder --key sven"),
        ("backup restore folder", "backup restore folder"),
        ("client add lab", "clients add lab"),
        ("code lookup icd10cm E11", "terminology lookup icd10cm E11"),
        ("version", "--version"),
        ("import t.csv --as clinic --key inge", "records import t.csv --dataset clinic --key inge"),
        ("table synthesize t.csv --policy=partner", "table synthesize t.csv --release-policy=partner"),
        ("deidentify notes --policy expert", "deidentify notes --deidentification-policy expert"),
        ("release write RUN folder --trust k.json", "release write RUN folder --trust-out k.json"),
        ("verify folder --trust k.json", "verify folder --trust k.json"),
    ],
)
def test_a_name_of_the_version_before_is_translated(before: str, now: str) -> None:
    words = before.split()
    current, hints = old_names.current_words(words, GROUPS)
    assert sorted(current) == sorted(now.split())
    assert current[:2] == now.split()[:2]
    assert bool(hints) == (before != now)


@pytest.mark.parametrize("new", sorted({n for n in old_names.MOVED.values() if not n.startswith("-")}))
def test_the_new_name_of_each_old_one_exists(new: str) -> None:
    command = COMMAND
    for word in new.split():
        command = command.commands[word]  # type: ignore[attr-defined]


def test_an_old_name_works_and_says_the_new_one(
    installation: Installation, home: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["datasets", "--json"]) == 0
    printed = capsys.readouterr()
    assert (printed.out.strip(), printed.err.strip()) == ("[]", "renamed: use galenic records list")


def test_the_help_has_few_top_level_commands_and_no_old_name(capsys: pytest.CaptureFixture[str]) -> None:
    groups = {name for name, command in COMMAND.commands.items() if hasattr(command, "commands")}  # type: ignore[attr-defined]
    assert len(groups) <= 16
    assert len(set(GROUPS) - groups) <= 8
    assert not set(GROUPS) & set(old_names.MOVED)


@pytest.mark.parametrize("words", [["-h"], ["table", "-h"], ["table", "synthesize", "-h"], ["records", "index", "build", "-h"]])
def test_h_shows_the_help_of_every_level(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 0
    assert "Usage" in capsys.readouterr().out


def test_the_version_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("galenic 0.")


@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        (["synthesise", "t.csv"], "galenic table synthesize"),
        (["tabel"], "galenic table"),
        (["ersae", "P1"], "galenic patient erase"),
        (["table", "synthesise"], "synthesize"),
        (["release", "show", "20261130-101010-abcdef"], "No such command 'show'"),
        (["budget", "list"], "No such command 'list'"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_nearest(
    words: list[str], suggested: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(words) == 2
    assert suggested in " ".join(capsys.readouterr().err.split())
