"""The command that describes the columns of a table."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, records
from galenic.cli import show
from galenic.cli.files import write_text
from galenic.cli.options import Json, Patient
from galenic.installation import open_installation

commands = typer.Typer()


@commands.command(epilog="Example: galenic table describe patients.csv --out columns.toml")
def describe(
    table: Annotated[Path, typer.Argument(help="CSV, Parquet or Arrow file.")],
    out: Annotated[Path | None, typer.Option(help="Write the result here.")] = None,
    patient: Patient = None,
    private: Annotated[
        bool, typer.Option("--private", help="Leave out limits and categories that were read from the data.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Describe the columns of a table as a TOML file that you check and correct."""
    columns, text = custody.describe_source(open_installation(), records.read(table), patient=patient, private=private)
    if as_json:
        show.print_json(
            [{"name": c.name, "kind": c.kind, "unit": c.unit, "role": c.role, "missing": c.missing} for c in columns]
        )
    elif out is None:
        typer.echo(text)
    if out is not None:
        write_text(out, text)
        show.messages.print(f"{len(columns)} columns described in {out}. Check it, correct it, then use it: --columns {out}")
