"""The commands of keys: of people, and the root keys of the record store."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody
from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Json, Key, Second
from galenic.custody import make_key
from galenic.installation import open_installation
from galenic.security import ROLES

commands = typer.Typer(help="Create keys of people, rotate and recover root keys.", no_args_is_help=True)


@commands.command(epilog="Example: galenic keys create ada --role privacy-officer")
def create(
    name: str,
    role: Annotated[str, typer.Option(help=f"One of: {', '.join(ROLES)}.")],
    person: Annotated[
        str, typer.Option(help="Who stands behind the key (default: you); two keys of one person are one person.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a person's key with its role (its identity stays unverified until people exist in the installation)."""
    made = make_key(open_installation(), name, role, person=person)
    if as_json:
        show.print_json({"name": name, "role": role, "fingerprint": made.fingerprint})
    else:
        show.out.print(f"key {name} ({role}, identity unverified), fingerprint {made.fingerprint}")


def print_readable(counts: dict[str, int]) -> int:
    """Prints how many patients can be read; returns the exit code."""
    patients, readable = counts["patients"], counts["readable"]
    if patients == readable:
        show.out.print(f"{patients:,} patients can be read")
        return 0
    show.out.print(
        f"[red]{readable:,} of {patients:,} patients can be read[/]. The keys that are here do not open the others: recover the root "
        "(galenic keys recover-root), or restore again with the keys of a newer backup (--keys)"
    )
    return 1


@commands.command("recover-root", epilog="Example: galenic keys recover-root escrow-private.pem")
def recover_root(private: Annotated[Path, typer.Argument(help="The escrow's private key, from the safe.")]) -> int:
    """Put the escrowed root key back, after its place was lost. Ends with 1 if a patient who is here cannot be read with it."""
    counts = custody.recover_root(open_installation(), read_text(private).encode())
    show.out.print("the root is back")
    return print_readable(counts)


@commands.command(epilog="Example: galenic keys rotate --key sven --second sven2")
def rotate(key: Key, second: Second) -> None:
    """A new root and new node keys for the whole tree."""
    installation = open_installation()
    show.out.print(f"{custody.rotate_keys(installation, installation.sign_in(key, second))} keys wrapped anew under a new root")
