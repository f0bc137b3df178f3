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
    name: Annotated[str, typer.Argument(help="Name of the new key.")],
    role: Annotated[str, typer.Option(help=f"Role: {', '.join(ROLES)}.")],
    person: Annotated[str, typer.Option(help="Person who owns the key. Default: you. A person may have two keys.")] = "",
    as_json: Json = False,
) -> None:
    """Create a key for a person, with a role. The person signs and confirms with it."""
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
        f"[red]{readable:,} of {patients:,} patients can be read[/]. The keys here do not open the others. Recover the root key "
        "(galenic keys recover-root FILE), or restore again with the keys of a newer backup (--keys-from)"
    )
    return 1


@commands.command("recover-root", epilog="Example: galenic keys recover-root escrow-private.pem")
def recover_root(private: Annotated[Path, typer.Argument(metavar="FILE", help="Private recovery key, from the safe.")]) -> int:
    """Recover the root key with the private recovery key. Ends with 1 if a stored patient cannot be read with it."""
    counts = custody.recover_root(open_installation(), read_text(private).encode())
    show.out.print("The root key is recovered.")
    return print_readable(counts)


@commands.command(epilog="Example: galenic keys rotate --key sven --second sven2")
def rotate(key: Key, second: Second) -> None:
    """Replace the root key, and encrypt all keys below it again."""
    installation = open_installation()
    show.out.print(
        f"{custody.rotate_keys(installation, installation.sign_in(key, second))} keys encrypted again under a new root key"
    )
