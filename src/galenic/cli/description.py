"""The command that describes the columns of a table."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, records
from galenic.cli import show
from galenic.cli.files import require_columns, require_writable, write_text
from galenic.cli.options import Json, Patient
from galenic.installation import open_installation

commands = typer.Typer()


@commands.command(epilog="Example: galenic table describe patients.csv --out columns.toml")
def describe(
    table: Annotated[Path, typer.Argument(help="CSV, Excel, JSON, Parquet or Arrow file.")],
    out: Annotated[Path | None, typer.Option(help="Write the result here.")] = None,
    patient: Patient = None,
    private: Annotated[
        bool, typer.Option("--private", help="Leave out limits and categories that were read from the data.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Describe the columns of a table as a TOML file that you check and correct."""
    if out is not None:
        require_writable(out)
    source = records.read(table)
    require_columns(source.name, source.names, {"--patient": [patient]})
    found = custody.describe_source(open_installation(), source, patient=patient, private=private)
    if as_json:
        described = [
            {"name": c.name, "kind": c.kind, "unit": c.unit, "role": c.role, "missing": c.missing} for c in found.columns
        ]
        show.print_json(described)
    elif out is None:
        typer.echo(found.text)
    _print_findings(found)
    if out is not None:
        write_text(out, found.text)
        show.messages.print(
            f"{len(found.columns)} columns described in {out}. Read it, correct it, then pass it with --columns {out}.",
            markup=False,
        )


def _print_findings(found: custody.SourceDescription) -> None:
    """Prints which columns are left out, which one tells patients apart, and how unusual values are read."""
    if found.guessed:
        show.messages.print(
            f"Column {found.guessed!r} tells patients apart, by its name. If another one does, say so: --patient COLUMN",
            markup=False,
        )
    if found.left_out:
        listed = ", ".join(found.left_out)
        show.messages.print(
            f"Left out as identifiers or free text: {listed}. Correct the description to keep one.", markup=False
        )
    for notice in found.notices:
        show.messages.print(f"  • {notice}", markup=False, soft_wrap=True)
