"""The commands of releases."""

import json
from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import write_text
from galenic.cli.options import Json, Key, OptionalReleasePolicy, Run
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
def sign(run: Run, key: Key, as_json: Json = False) -> None:
    """Sign a run with your key, after you have read its report."""
    installation = open_installation()
    role = sign_with_key(installation, run, key)
    if as_json:
        show.print_json({"run": run, "role": role, "identity": "unverified"})
    else:
        show.out.print(f"signed {run} as {role} (unverified identity)")


@commands.command("write", epilog="Example: galenic release write 20260101-120000-abcdef ./release")
def write(
    run: Run,
    folder: Annotated[Path, typer.Argument(help="Folder to write. It must not exist.")],
    release_policy: OptionalReleasePolicy = None,
    trust_out: Annotated[
        Path | None, typer.Option(help="Write the signers' public keys to this JSON file, for the recipient.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the release folder, if the release policy and the signatures allow it."""
    installation = open_installation()
    target, lines = write_release(installation, run, folder, policy_name=release_policy)
    if trust_out is not None:
        write_text(trust_out, json.dumps(trust_of_release(installation, target), indent=1))
    if as_json:
        show.print_json({"run": run, "folder": str(target), "checked": lines})
    else:
        show.out.print(f"released to {target}")
        for line in lines:
            show.out.print(f"  {line}")


@commands.command(epilog='Example: galenic release recall 20260101-120000-abcdef --reason "wrong cohort" --notice recall.json')
def recall(
    run: Run,
    reason: Annotated[str, typer.Option(help="Reason of the recall. Recipients read it.")],
    notice: Annotated[Path, typer.Option(help="Write the signed recall notice to this file.")] = Path("recall.json"),
) -> None:
    """Recall a release. Writes a signed notice for its recipients."""
    show.out.print(f"Recalled. Send {recall_release(open_installation(), run, reason, notice)} to each recipient.")


@commands.command("list", epilog="Example: galenic release list")
def list_(as_json: Json = False) -> None:
    """List releases, and which of them were recalled."""
    rows = list_releases(open_installation())
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        state = "recalled" if row["state"] == "recalled" else "released"
        show.out.print(f"{row['released_at']}  {row['run']}  {row['policy']}  {state}  {row['title']}", markup=False)
        about = (("recipient", row["recipient"]), ("released by", row["released_by"]), ("reason of the recall", row["reason"]))
        for label, text in about:
            if text:
                show.out.print(f"  {label}: {text}", markup=False)
    if not rows:
        show.out.print("Nothing has been released. Start with: galenic table synthesize TABLE")
