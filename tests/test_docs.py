"""Commands and Python in the project's own pages work as they stand."""

import re
import shlex
from pathlib import Path

import click
import pyarrow.csv as pacsv
import pytest
import typer

from galenic.cli import app
from galenic.installation import open_installation
from made import made_patients

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = typer.main.get_command(app)


def commands(page: Path) -> list[str]:
    """Lines of code blocks (indented or fenced) that call galenic."""
    return re.findall(r"^ {4,}(?:\$ )?(galenic [^\n#]*)", page.read_text(encoding="utf-8"), re.M)


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the first words name, and the words that are left for it."""
    command, rest = COMMAND, list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
    assert command is not COMMAND, words
    return command, rest


def every(command: click.Command) -> list[click.Command]:
    """All commands below a group."""
    return [
        c for sub in getattr(command, "commands", {}).values() for c in ([sub] if not hasattr(sub, "commands") else every(sub))
    ]


def test_pages_show_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_on_a_page_exists_with_its_options(page: Path) -> None:
    assert isinstance(COMMAND, click.Group) or hasattr(COMMAND, "commands")
    for line in commands(page):
        command, words = found(shlex.split(line)[1:])
        command.make_parser(click.Context(command)).parse_args([w.replace("RUN", "run") for w in words])


def test_every_example_of_the_command_line_parses() -> None:
    for command in every(COMMAND):
        if command.epilog:
            same, words = found(shlex.split(command.epilog.removeprefix("Example: "))[1:])
            assert same is command
            command.make_parser(click.Context(command)).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["claims.md", "faults-repaired.md"])
def test_tests_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for place, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)", text):
        source = (ROOT / place).read_text(encoding="utf-8")
        assert re.search(rf"^\s*def {name}\(", source, re.M), f"{place}::{name}"


@pytest.mark.parametrize("page", ["claims.md", "faults-repaired.md"])
def test_each_row_of_a_table_of_claims_names_a_test(page: str) -> None:
    columns = ""
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        columns = (columns or line) if line.startswith("|") else ""  # the first line of a table
        if columns.endswith("| tests |") and line != columns and not line.startswith("|--"):
            assert re.search(r"`tests/[\w/]+\.py::\w+`", line), line


def test_the_python_of_the_how_to_runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "how-to" / "synthesize-your-table.md").read_text(encoding="utf-8")
    block = page.split("## From Python")[1]
    code = "\n".join(line[4:] for line in block.splitlines() if line.startswith("    "))
    assert "galenic.Synthesizer" in code
    frame = made_patients(6_000).drop_columns(["discharged"])
    pacsv.write_csv(frame, tmp_path / "patients.csv")
    monkeypatch.chdir(tmp_path)

    open_installation().ledger.declare("clinic-2024", epsilon=3.0, delta=1e-8, actor="test")
    names: dict = {}
    exec(compile(code, "how-to", "exec"), names)
    assert names["model"].result_.decision is not None


def test_the_readme_quotes_the_benchmark_as_it_was_measured() -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("table", ROOT / "benchmarks" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    for name in table.NAMES:
        assert table.embedded((ROOT / "README.md").read_text(encoding="utf-8"), name) == table.render(name)


@pytest.mark.parametrize("name", ["galenic.service", "Containerfile", "Caddyfile"])
def test_what_is_deployed_calls_commands_that_exist(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    lines = re.findall(r"galenic serve [^\n\"]*", text) or [" ".join(re.findall(r'"([^"]+)"', text.split("CMD ")[1]))]
    for line in lines:
        command, words = found(shlex.split(line)[1:])
        command.make_parser(click.Context(command)).parse_args(words)
