"""Texts name only commands and options that exist: messages, help, templates, documents, deployment files."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from galenic import cli

ROOT = Path(__file__).parents[2]
COMMAND = typer.main.get_command(cli.app)
HISTORY = re.compile(r"docs/reference/cli\.md|docs/(log|faults-repaired)\.md|docs/decisions/|CHANGELOG\.md|cli/old_names\.py")
FILES = sorted(
    place
    for pattern in (
        "src/**/*.py",
        "src/**/*.html",
        "src/**/*.toml",
        "docs/**/*.md",
        "README.md",
        "CONTRIBUTING.md",
        "deploy/*",
        "Makefile",
    )
    for place in ROOT.glob(pattern)
    if place.is_file() and not HISTORY.search(place.relative_to(ROOT).as_posix())
)
# a command line in a text: up to the end of its quotation, sentence or line
LINE = re.compile(r"(?<![\w/.\-])(?<!from )(?<!import )(?<!b[\"'])galenic ((?:[a-z][a-z-]*|--?[a-z])[^`\n\"<>;|)\]]*)")
NO_COMMAND = {
    "env",
    "galenic",
    "recovery",
    "decision",
    "root",
    "you",
}  # another program run as the user galenic; domains of hashes


def named_commands(text: str) -> list[list[str]]:
    """The words of each command line in a text."""
    text = re.sub(r"[\"'] *\n *f?[\"']", "", text)  # a Python text that is written in parts
    return [found.split() for found in LINE.findall(text)]


def fault(words: list[str]) -> str:
    """Why a command line does not exist, or ""."""
    command: Any = COMMAND
    path: list[str] = []
    for word in words:
        subs = getattr(command, "commands", None)
        if subs is None or word.startswith("-"):
            break
        name = word.rstrip(".,:'")
        if name.isupper():  # a word that stands for any command
            return ""
        if name not in subs:
            return "" if not path and word in NO_COMMAND else f"there is no command {' '.join([*path, name])!r}"
        command = subs[name]
        path.append(name)
        if name != word:
            break
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"-h", "--help"}
    for word in words[len(path) :]:
        option = re.match(r"--[a-z][a-z-]*", word)
        if option and option[0] not in options and not hasattr(command, "commands"):
            return f"{' '.join(path)} has no option {option[0]}"
    return ""


@pytest.mark.parametrize("place", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_text_names_only_commands_that_exist(place: Path) -> None:
    faults = {
        " ".join(words[:4]): fault(words) for words in named_commands(place.read_text(encoding="utf-8", errors="replace"))
    }
    assert not {line: why for line, why in faults.items() if why}


def test_the_check_finds_a_command_and_an_option_that_do_not_exist() -> None:
    assert fault(["synthesize", "TABLE"])
    assert fault(["table", "synthesize", "TABLE", "--policy", "x"])
    assert not fault(["table", "synthesize", "TABLE", "--release-policy", "x"])
    assert (
        len([words for place in FILES for words in named_commands(place.read_text(encoding="utf-8", errors="replace"))]) > 300
    )
