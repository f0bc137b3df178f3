"""The command that verifies a release."""

from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.options import Json
from galenic.installation import installation_if_any
from galenic.release import check_release

top_level = typer.Typer()


@top_level.command(epilog="Example: galenic verify ./release --trust trusted-keys.json")
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of the release.")],
    trust: Annotated[
        Path | None, typer.Option(help="JSON file of the signers' keys. Get it from the sender by another way.")
    ] = None,
    recalls: Annotated[list[Path] | None, typer.Option(help="Recall notice. Repeat for more.")] = None,
    as_json: Json = False,
) -> None:
    """Verify a release offline: files, evidence, release policy and signatures. Ends with 1 if something does not match."""
    lines = check_release(folder, trust=trust, recalls=tuple(recalls or ()), installation=installation_if_any())
    if as_json:
        show.print_json({"folder": str(folder), "verified": True, "checked": lines})
    else:
        verdict = "[green]VERIFIED[/]" if trust else "[yellow]VERIFIED, with unknown keys[/]"
        show.out.print(verdict, str(folder))
        for line in lines:
            show.out.print(f"  {line}")
