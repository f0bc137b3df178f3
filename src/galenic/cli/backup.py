"""The commands of backups and root keys."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, store
from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Key, Second
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer()


@commands.command(epilog="Example: galenic backup /mnt/backup/2026-11-21 --key sven --second sven2")
def backup(folder: Path, key: Key, second: Second) -> None:
    """Write a backup; what is erased later dies in it too."""
    installation = open_installation()
    written = custody.write_backup(installation, installation.sign_in(key, second), folder)
    show.out.print(f"{written['rows']['originals']} sealed rows in {folder}")
    show.messages.print(
        "Keep a backup where erasures reach it: one that they do not reach opens, after a loss of this installation, only with the "
        "keys of a newer backup (galenic restore FOLDER --keys NEWER)"
    )


@commands.command(epilog="Example: galenic restore /mnt/backup/2026-11-21 --key sven --second sven2")
def restore(
    folder: Path,
    key: Annotated[str | None, typer.Option(help="Name of your key; without it only into an empty installation.")] = None,
    second: Annotated[str | None, typer.Option(help="A second key of yours.")] = None,
    keys: Annotated[Path | None, typer.Option(help="A newer backup, whose keys open this one after later erasures.")] = None,
) -> int:
    """Restore records from a backup; patients erased since then stay erased. Ends with 1 if a patient cannot be read."""
    installation = open_installation()
    if key is None and (store.list_datasets(installation.db, "home") or next(iter(installation.facts.of("grant")), None)):
        raise OptionError("this installation is in use. Restore with --key and --second of a security officer.")
    session = installation.sign_in(key, second) if key else None
    counts = custody.restore_backup(installation, folder, session, keys=keys)
    show.out.print(
        f"{counts['originals']} sealed rows are back; {counts['erased_again']} patients erased since then stay erased"
    )
    return _print_readable(counts)


def _print_readable(counts: dict[str, int]) -> int:
    """Prints how many patients can be read; returns the exit code."""
    patients, readable = counts["patients"], counts["readable"]
    if patients == readable:
        show.out.print(f"{patients:,} patients can be read")
        return 0
    show.out.print(
        f"[red]{readable:,} of {patients:,} patients can be read[/]. The keys that are here do not open the others: recover the root "
        "(galenic recover-root), or restore again with the keys of a newer backup (--keys)"
    )
    return 1


@commands.command("recover-root", epilog="Example: galenic recover-root escrow-private.pem")
def recover_root(private: Annotated[Path, typer.Argument(help="The escrow's private key, from the safe.")]) -> int:
    """Put the escrowed root key back, after its place was lost. Ends with 1 if a patient who is here cannot be read with it."""
    counts = custody.recover_root(open_installation(), read_text(private).encode())
    show.out.print("the root is back")
    return _print_readable(counts)


@commands.command(epilog="Example: galenic rotate --key sven --second sven2")
def rotate(key: Key, second: Second) -> None:
    """A new root and new node keys for the whole tree."""
    installation = open_installation()
    show.out.print(f"{custody.rotate_keys(installation, installation.sign_in(key, second))} keys wrapped anew under a new root")
