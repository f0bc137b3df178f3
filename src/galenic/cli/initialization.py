"""The command that initializes an installation."""

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.options import Json
from galenic.installation import open_installation

top_level = typer.Typer()


@top_level.command(epilog="Example: galenic init")
def init(as_json: Json = False) -> None:
    """Initialize the encrypted record store: root key, recovery copy, audit log."""
    places = custody.initialize(open_installation())
    if as_json:
        show.print_json(places)
        return
    for name, place in places.items():
        show.out.print(f"{name}: {place}")
    show.messages.print(
        "Move the private recovery key to a safe place. To store root key, recovery copy and witness elsewhere, set GALENIC_ROOT, "
        "GALENIC_ESCROW and GALENIC_WITNESS before galenic init."
    )
