"""Entry point of the command line."""

import os
import subprocess
import sys

import pytest

from galenic.cli import show

BUG = """
from galenic.cli import app, main

@app.command()
def boom() -> None:
    raise ValueError("glucose 5.4")

main(["boom"])
"""


def test_a_bug_ends_with_3_and_its_message_is_not_shown() -> None:
    done = subprocess.run([sys.executable, "-c", BUG], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "ValueError at" in done.stderr
    assert "glucose" not in done.stdout + done.stderr


def test_colons_in_a_fingerprint_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show.out.print("A0:CD:AB:3A", markup=False)
    show.messages.print("A0:CD:AB:3A", markup=False)
    printed = capsys.readouterr()
    assert printed.out.strip() == printed.err.strip() == "A0:CD:AB:3A"


@pytest.mark.parametrize(
    ("typed", "place", "offered"),
    [
        ("galenic ta", 1, "table"),
        ("galenic table syn", 2, "synthesize"),
        ("galenic table synthesize x --rel", 4, "--release-policy"),
    ],
)
def test_the_shell_completes_groups_commands_and_options(typed: str, place: int, offered: str) -> None:
    code = "import sys; sys.argv = ['galenic']; from galenic.cli import main; main()"
    words = {"_GALENIC_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(place)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True, check=False
    )
    assert offered in done.stdout.split()
