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
    folder: Path,
    trust: Annotated[Path | None, typer.Option(help="JSON of fingerprints and roles, received by another way.")] = None,
    recalls: Annotated[list[Path] | None, typer.Option(help="Recall notice; repeat for more.")] = None,
    as_json: Json = False,
) -> None:
    """Check a release offline: files, evidence, policy, signatures."""
    lines = check_release(folder, trust=trust, recalls=tuple(recalls or ()), installation=installation_if_any())
    if as_json:
        show.print_json({"folder": str(folder), "verified": True, "checked": lines})
    else:
        show.out.print(f"[green]VERIFIED[/] {folder}")
        for line in lines:
            show.out.print(f"  {line}")
