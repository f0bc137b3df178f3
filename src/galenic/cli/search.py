"""The commands of the search index of a data set."""

import json
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Dataset, Json, Key, Purpose
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer()
SHOWN = 20  # rows of each difference


class IndexGroup(TyperGroup):
    """`galenic records index DATASET` is short for `galenic records index build DATASET`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments name, or `build`."""
        return super().resolve_command(ctx, args if not args or args[0] in self.commands else ["build", *args])


index = typer.Typer(cls=IndexGroup, no_args_is_help=True, help="Build or check the search index of a data set.")
commands.add_typer(index, name="index")


@index.command("build", epilog="Example: galenic records index build clinic --purpose quality --key paul --codes sex,diabetes")
def build(
    dataset: Dataset,
    purpose: Purpose,
    key: Key,
    codes: Annotated[str, typer.Option(help="Text columns to search, separated by commas. The index holds their values.")] = "",
) -> None:
    """Build the search index of a data set."""
    installation = open_installation()
    columns = tuple(c for c in codes.split(",") if c)
    built = custody.build_index(installation, installation.sign_in(key), dataset, purpose, codes=columns)
    show.out.print(f"{built['build']}: {built['rows']} rows; searchable columns: {', '.join(built['clear'])}")


@index.command("check", epilog="Example: galenic records index check records")
def check(
    dataset: Dataset,
    repair: Annotated[bool, typer.Option("--repair", help="Repair the index.")] = False,
    as_json: Json = False,
) -> int:
    """Compare the search index with the stored data. Ends with 1 if they differ."""
    checked = custody.check_index(open_installation(), dataset, repair=repair)
    found = checked.comparison
    differences = {"missing": found.missing, "extra": found.extra, "outdated": found.outdated, "unreadable": found.unreadable}
    if as_json:
        counts = {"dataset": dataset, "consistent": checked.is_consistent, "repaired": checked.repaired, "stored": found.stored}
        counts |= {"indexed": found.indexed, "waiting": found.waiting, "damaged": checked.damaged}
        show.print_json({**counts, **{name: rows for name, rows in differences.items()}, "advice": checked.advice})
    elif checked.damaged and not checked.repaired:
        show.out.print(f"index of {dataset}: DAMAGED; {checked.damaged} cannot be read to its end")
        show.messages.print(checked.advice)
    else:
        verdict = "repaired" if checked.repaired else "as stored" if checked.is_consistent else "NOT as stored"
        show.out.print(f"index of {dataset}: {verdict}; {found.stored:,} versions stored, {found.indexed:,} in the index")
        for name, rows in differences.items():
            if rows:
                shown = ", ".join(map(str, rows[:SHOWN])) + (", …" if len(rows) > SHOWN else "")
                show.out.print(f"  {len(rows):,} {name}: rows {shown}")
        if found.waiting:
            show.out.print(f"  {found.waiting:,} stored since: the server indexes them before its next search")
        if checked.advice:
            show.messages.print(checked.advice)
    return 0 if checked.is_consistent else 1


@commands.command(
    epilog="Example: galenic records search clinic --where 'age_years >= 65' --where 'sex = female' --purpose treatment --key ada"
)
def search(
    dataset: Dataset,
    purpose: Purpose,
    key: Key,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="\"COLUMN OPERATOR VALUE\", such as 'age_years >= 65'. Repeat for more."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows to print.")] = 20,
) -> None:
    """Search the rows that you may see for this purpose. Prints one JSON object per row."""
    conditions = []
    for text in where or []:
        parts = text.split(None, 2)
        if len(parts) != 3:
            raise OptionError("--where is not a condition. Expected COLUMN OPERATOR VALUE, such as --where 'age_years >= 65'")
        conditions.append((parts[0], parts[1], parts[2]))
    installation = open_installation()
    for row in custody.search_rows(installation, installation.sign_in(key), dataset, purpose, conditions, limit=limit):
        typer.echo(json.dumps(row, default=str))
