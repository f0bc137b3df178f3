"""The committed reference of the command line is the one that the commands give."""

from pathlib import Path

from galenic.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_committed_reference_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: python -m galenic.cli.reference > docs/reference/cli.md"


def test_each_command_has_a_sentence_and_an_example() -> None:
    for section in reference().split("## Old names")[0].split("\n### ")[1:]:
        assert "```console\ngalenic " in section, section
        assert len(section.splitlines()[2].split()) >= 3, section
