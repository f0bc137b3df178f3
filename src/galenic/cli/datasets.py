"""The commands that initialize an installation and list its data sets."""

import typer

from galenic import custody, store
from galenic.cli import show
from galenic.cli.options import Json
from galenic.installation import open_installation

commands = typer.Typer()
COLUMNS = ("name", "kind", "tenant", "region", "label", "patient", "ids", "rows", "imported_at")


@commands.command(epilog="Example: galenic init")
def init(as_json: Json = False) -> None:
    """Found custody: root key, escrow, audit chain with its witness."""
    places = custody.initialize(open_installation())
    if as_json:
        show.print_json(places)
        return
    for name, place in places.items():
        show.out.print(f"{name}: {place}")
    show.messages.print(
        "Root, escrow and witness are in the home folder unless GALENIC_ROOT, GALENIC_ESCROW and GALENIC_WITNESS say otherwise."
    )


@commands.command(epilog="Example: galenic datasets")
def datasets(as_json: Json = False) -> None:
    """List what is in custody; no patient's data."""
    db = open_installation().db
    counts = store.count_rows(db, "home")
    known = [{**d, "rows": counts.get(str(d["name"]), 0)} for d in store.list_datasets(db, "home")]
    rows = [{column: d[column] for column in COLUMNS} for d in known]
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        show.out.print(f"{row['name']}  {row['kind']}  {row['label']}  {row['rows']} rows  imported {row['imported_at']}")
