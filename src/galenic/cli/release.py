"""The commands of releases: keys of signers, signatures, the release folder, verification, recall."""

import json
from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import write_text
from galenic.cli.options import Json
from galenic.custody import make_key
from galenic.installation import installation_if_any, open_installation
from galenic.release import (
    check_release,
    list_releases,
    recall_release,
    sign_with_key,
    trust_of_release,
    write_release,
)
from galenic.security import ROLES

commands = typer.Typer()


@commands.command(epilog="Example: galenic key ada --role privacy-officer")
def key(
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


@commands.command(epilog="Example: galenic sign 20260101-120000-abcdef --key ada")
def sign(run: str, key: Annotated[str, typer.Option(help="Name of your key.")], as_json: Json = False) -> None:
    """Sign a run, in the role of your key, after reading its report."""
    installation = open_installation()
    role = sign_with_key(installation, run, key)
    if as_json:
        show.print_json({"run": run, "role": role, "identity": "unverified"})
    else:
        show.out.print(f"signed {run} as {role} (unverified identity)")


@commands.command(epilog="Example: galenic release 20260101-120000-abcdef ./release")
def release(
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


@commands.command(epilog="Example: galenic verify ./release --trust trusted-keys.json")
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


@commands.command(epilog='Example: galenic recall 20260101-120000-abcdef --reason "wrong cohort" --notice recall.json')
def recall(
    run: str,
    reason: Annotated[str, typer.Option(help="Why; recipients read it.")],
    notice: Annotated[Path, typer.Option(help="Where to write the signed notice for recipients.")] = Path("recall.json"),
) -> None:
    """Take a release back."""
    show.out.print(f"recalled; hand {recall_release(open_installation(), run, reason, notice)} to every recipient")


@commands.command(epilog="Example: galenic register")
def register(as_json: Json = False) -> None:
    """List what has been released and recalled."""
    rows = list_releases(open_installation())
    if as_json:
        show.print_json(rows)
        return
    for row in rows:
        show.out.print(f"{row['released_at']}  {row['run']}  {row['policy']}  {row['state']}  {row['reason'] or ''}")
    if not rows:
        show.out.print("Nothing has been released. Make something: galenic synthesize TABLE")
