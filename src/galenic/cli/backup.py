"""The commands of backups."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, store
from galenic.cli import show
from galenic.cli.keys import print_readable
from galenic.cli.options import Key, Second
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer(help="Write and restore backups.", no_args_is_help=True)


@commands.command(epilog="Example: galenic backup create /mnt/backup/2026-11-21 --key sven --second sven2")
def create(folder: Path, key: Key, second: Second) -> None:
    """Write a backup; what is erased later dies in it too."""
    installation = open_installation()
    written = custody.write_backup(installation, installation.sign_in(key, second), folder)
    show.out.print(f"{written['rows']['originals']} sealed rows in {folder}")
    show.messages.print(
        "Keep a backup where erasures reach it: one that they do not reach opens, after a loss of this installation, only with the "
        "keys of a newer backup (galenic backup restore FOLDER --keys NEWER)"
    )


@commands.command(epilog="Example: galenic backup restore /mnt/backup/2026-11-21 --key sven --second sven2")
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
    return print_readable(counts)
