"""The commands of backups."""

from pathlib import Path
from typing import Annotated

import typer

from galenic import custody, store
from galenic.cli import show
from galenic.cli.keys import print_readable
from galenic.cli.options import Key, OptionalKey, OptionalSecond, Second
from galenic.errors import OptionError
from galenic.installation import open_installation

commands = typer.Typer(help="Write and restore backups.", no_args_is_help=True)


@commands.command(epilog="Example: galenic backup create /mnt/backup/2026-11-21 --key sven --second sven2")
def create(
    folder: Annotated[Path, typer.Argument(help="New folder to write the backup to.")], key: Key, second: Second
) -> None:
    """Write a backup. Later erasures also reach it, while it stays in this folder."""
    installation = open_installation()
    written = custody.write_backup(installation, installation.sign_in(key, second), folder)
    show.out.print(f"{written['rows']['originals']} encrypted rows in {folder}")
    show.messages.print(
        "Do not move the backup: erasures must reach it. A backup that was moved opens only with the keys of a newer one: "
        "galenic backup restore FOLDER --keys-from NEWER"
    )


@commands.command(epilog="Example: galenic backup restore /mnt/backup/2026-11-21 --key sven --second sven2")
def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of the backup.")],
    key: OptionalKey = None,
    second: OptionalSecond = None,
    keys: Annotated[
        Path | None, typer.Option("--keys-from", help="Newer backup, whose keys open this one after later erasures.")
    ] = None,
) -> int:
    """Restore records from a backup. Patients who were erased since then stay erased. Ends with 1 if a patient cannot be read.

    Without --key it restores only into an empty installation.
    """
    installation = open_installation()
    if key is None and (store.list_datasets(installation.db, "home") or next(iter(installation.facts.of("grant")), None)):
        raise OptionError("this installation is in use. Restore with --key and --second of a security officer.")
    session = installation.sign_in(key, second) if key else None
    counts = custody.restore_backup(installation, folder, session, keys=keys)
    show.out.print(
        f"{counts['originals']} encrypted rows are restored; {counts['erased_again']} patients erased since then stay erased"
    )
    return print_readable(counts)
