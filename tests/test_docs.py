"""Commands and Python in the project's own pages work as they stand."""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

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
        assert (page.parent / target).exists() or generated(page.parent / target), target


def generated(target: Path) -> bool:
    """Whether `make docs` makes this page; tests/test_site.py builds it."""
    made = re.findall(r'"([\w/]+\.md)":', (ROOT / "scripts" / "documentation_site.py").read_text(encoding="utf-8"))
    return target.resolve() in {ROOT / "docs" / name for name in made}


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


def table_writer() -> Any:
    """The script that writes measured tables into pages."""
    spec = importlib.util.spec_from_file_location("table", ROOT / "benchmarks" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    return table


def test_pages_quote_the_benchmarks_as_they_were_measured() -> None:
    table = table_writer()
    measured, readme = table.PAGE.read_text(encoding="utf-8"), table.README.read_text(encoding="utf-8")
    for name in table.NAMES:
        assert table.embedded(measured, name) == table.render(name)
    assert table.embedded(readme, "key figures") == table.key_figures()
    assert table.embedded(table.EPSILON_PAGE.read_text(encoding="utf-8"), "choose epsilon") == table.epsilon_table()


def test_the_readme_shows_losses_among_its_key_figures() -> None:
    assert table_writer().key_figures().count("**missed**") >= 2


def test_the_readme_is_short_and_its_installation_near_the_top() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 125
    assert lines.index("## Install") <= 35


def test_no_text_advises_a_package_that_galenic_does_not_own() -> None:
    """On a public index others could register the name `galenic`."""
    texts = [*PAGES, *(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.html"), ROOT / "Makefile"]
    for text in texts:
        assert not re.search(r"pip install [^\n]*['\" ]galenic(?:\[|['\"\s.]|$)", text.read_text(encoding="utf-8")), text
