"""Commands whose options are the fields of a dataclass."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from galenic.cli.options import Json, expand_options
from galenic.cli.server import DATASET
from galenic.server import ServerOptions


@dataclass(frozen=True, kw_only=True)
class Options:
    name: Annotated[str, typer.Option("--as", help="Required.")]
    count: Annotated[int, typer.Option(help="Optional.")] = 3


app = typer.Typer()


@app.command()
@expand_options
def load(file: Annotated[Path, typer.Argument()], options: Options, as_json: Json = False) -> int:
    """Load a file."""
    typer.echo(f"{file} {options.name} {options.count} {as_json}")
    return 0


def test_a_dataclass_of_options_is_filled_from_the_command_line() -> None:
    result = CliRunner().invoke(app, ["a.csv", "--as", "clinic", "--json"])
    assert (result.exit_code, result.output) == (0, "a.csv clinic 3 True\n")
    assert "a.csv x 7 False" in CliRunner().invoke(app, ["--count", "7", "a.csv", "--as", "x"]).output


def test_a_field_without_a_default_is_a_required_option() -> None:
    result = CliRunner().invoke(app, ["a.csv"])
    assert result.exit_code == 2
    assert "--as" in result.output


def test_the_help_lists_the_fields_in_their_order_and_the_commands_own_words() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert "Load a file." in text
    assert text.index("--as") < text.index("--count") < text.index("--json")


def test_the_command_line_loads_no_web_framework_until_the_server_is_needed() -> None:
    code = "import sys, galenic.cli; sys.exit(any(m in sys.modules for m in ('starlette', 'fastapi', 'uvicorn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_default_data_set_of_the_command_is_that_of_the_server() -> None:
    assert ServerOptions().dataset == DATASET
