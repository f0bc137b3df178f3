"""The command that initializes an installation."""

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Json
from galenic.installation import open_installation

top_level = typer.Typer()


@top_level.command(epilog="Example: galenic init")
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
