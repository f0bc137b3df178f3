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


@commands.command(epilog="Example: galenic restore /mnt/backup/2026-11-21 --key sven --second sven2")
def restore(
    folder: Path,
    key: Annotated[str | None, typer.Option(help="Name of your key; without it only into an empty installation.")] = None,
    second: Annotated[str | None, typer.Option(help="A second key of yours.")] = None,
) -> None:
    """Restore records from a backup; patients erased since then stay erased."""
    installation = open_installation()
    if key is None and (store.list_datasets(installation.db, "home") or next(iter(installation.facts.of("grant")), None)):
        raise OptionError("this installation is in use. Restore with --key and --second of a security officer.")
    counts = custody.restore_backup(installation, folder, installation.sign_in(key, second) if key else None)
    show.out.print(
        f"{counts['originals']} sealed rows are back; {counts['erased_again']} patients erased since then stay erased"
    )


@commands.command("recover-root", epilog="Example: galenic recover-root escrow-private.pem")
def recover_root(private: Annotated[Path, typer.Argument(help="The escrow's private key, from the safe.")]) -> None:
    """Put the escrowed root key back, after its place was lost."""
    custody.recover_root(open_installation(), read_text(private).encode())
    show.out.print("the root is back")


@commands.command(epilog="Example: galenic rotate --key sven --second sven2")
def rotate(key: Key, second: Second) -> None:
    """A new root and new node keys for the whole tree."""
    installation = open_installation()
    show.out.print(f"{custody.rotate_keys(installation, installation.sign_in(key, second))} keys wrapped anew under a new root")
