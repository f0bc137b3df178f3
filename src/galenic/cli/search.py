"""The commands of the search index of a data set."""

import json
from typing import Annotated

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Key
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer()


@commands.command(epilog="Example: galenic index clinic --purpose quality --key paul --codes sex,diabetes")
def index(
    dataset: str,
    purpose: Annotated[str, typer.Option(help="What for.")],
    key: Key,
    codes: Annotated[
        str, typer.Option(help="Text columns that hold codes, separated by commas; they stand in clear inside.")
    ] = "",
) -> None:
    """Build the search index of a data set."""
    installation = open_installation()
    columns = tuple(c for c in codes.split(",") if c)
    built = custody.build_index(installation, installation.sign_in(key), dataset, purpose, codes=columns)
    show.out.print(f"{built['build']}: {built['rows']} rows; in clear inside the encrypted file: {', '.join(built['clear'])}")


@commands.command(
    epilog="Example: galenic search clinic --where 'age_years >= 65' --where 'sex = female' --purpose treatment --key ada"
)
def search(
    dataset: str,
    purpose: Annotated[str, typer.Option(help="What for.")],
    key: Key,
    where: Annotated[list[str] | None, typer.Option(help="COLUMN OPERATOR VALUE; repeat for more.")] = None,
    limit: Annotated[int, typer.Option(help="Most rows to show.")] = 20,
) -> None:
    """Find rows, of those that you may see for the purpose. JSON lines."""
    conditions = []
    for text in where or []:
        parts = text.split(None, 2)
        if len(parts) != 3:
            raise OptionError("a condition is COLUMN OPERATOR VALUE, for example: age_years >= 65")
        conditions.append((parts[0], parts[1], parts[2]))
    installation = open_installation()
    for row in custody.search_rows(installation, installation.sign_in(key), dataset, purpose, conditions, limit=limit):
        typer.echo(json.dumps(row, default=str))
