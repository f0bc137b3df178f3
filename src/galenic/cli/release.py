"""The commands of releases."""

import json
from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import write_text
from galenic.cli.options import Json
from galenic.installation import open_installation
from galenic.release import (
    list_releases,
    recall_release,
    sign_with_key,
    trust_of_release,
    write_release,
)

commands = typer.Typer(help="Sign runs, write releases, list and recall them.", no_args_is_help=True)


@commands.command(epilog="Example: galenic release sign 20260101-120000-abcdef --key ada")
def sign(run: str, key: Annotated[str, typer.Option(help="Name of your key.")], as_json: Json = False) -> None:
    """Sign a run, in the role of your key, after reading its report."""
    installation = open_installation()
    role = sign_with_key(installation, run, key)
    if as_json:
        show.print_json({"run": run, "role": role, "identity": "unverified"})
    else:
        show.out.print(f"signed {run} as {role} (unverified identity)")


@commands.command("write", epilog="Example: galenic release write 20260101-120000-abcdef ./release")
def write(
    run: str,
    folder: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    policy: Annotated[str | None, typer.Option(help="Hold the run against this policy.")] = None,
    trust: Annotated[Path | None, typer.Option(help="Write the keys a recipient must know to this JSON file.")] = None,
    as_json: Json = False,
) -> None:
    """Write the release folder, if evidence, policy and signatures allow it."""
    installation = open_installation()
    target, lines = write_release(installation, run, folder, policy_name=policy)
    if trust is not None:
        write_text(trust, json.dumps(trust_of_release(installation, target), indent=1))
    if as_json:
        show.print_json({"run": run, "folder": str(target), "checked": lines})
    else:
        show.out.print(f"released to {target}")
        for line in lines:
            show.out.print(f"  {line}")


@commands.command(epilog='Example: galenic release recall 20260101-120000-abcdef --reason "wrong cohort" --notice recall.json')
def recall(
    run: str,
    reason: Annotated[str, typer.Option(help="Why; recipients read it.")],
    notice: Annotated[Path, typer.Option(help="Where to write the signed notice for recipients.")] = Path("recall.json"),
) -> None:
    """Take a release back."""
    show.out.print(f"recalled; hand {recall_release(open_installation(), run, reason, notice)} to every recipient")


@commands.command("list", epilog="Example: galenic release list")
def list_(as_json: Json = False) -> None:
    """List what has been released and recalled."""
    rows = list_releases(open_installation())
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        show.out.print(f"{row['released_at']}  {row['run']}  {row['policy']}  {row['state']}  {row['reason'] or ''}")
    if not rows:
        show.out.print("Nothing has been released. Make something: galenic table synthesize TABLE")
