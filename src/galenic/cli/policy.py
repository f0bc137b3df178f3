"""The commands of the access policy."""

from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Key
from galenic.installation import open_installation
from galenic.security import from_cedar, read_policy, to_cedar

commands = typer.Typer(help="Show, propose and approve the access policy.", no_args_is_help=True)


@commands.command("show", epilog="Example: galenic policy show")
def policy_show(cedar: Annotated[bool, typer.Option("--cedar", help="Print it as Cedar text.")] = False) -> None:
    """Print the access policy in force."""
    active = open_installation().policies.active()
    typer.echo(to_cedar(active) if cedar else active.text)


@commands.command("propose", epilog="Example: galenic policy propose policy.toml --key sven")
def policy_propose(file: Annotated[Path, typer.Argument(help="Policy file: TOML, or Cedar text (.cedar).")], key: Key) -> None:
    """Propose an access policy, and show what it would have changed in the last 30 days."""
    installation = open_installation()
    new = from_cedar(read_text(file), name=file.stem) if file.suffix == ".cedar" else read_policy(file)
    name, replay = installation.policies.propose(new, installation.keys.get(key))
    show.out.print(f"Proposed: {name}. Effect on {replay.decisions} decisions of the last 30 days:")
    show.out.print(f"  newly allowed: {replay.newly_allowed}  (audit rows {list(replay.allowed_examples)})")
    show.out.print(f"  newly denied:  {replay.newly_denied}  (audit rows {list(replay.denied_examples)})")
    show.out.print(f"Next: a second person approves it: galenic policy approve {name} --key NAME")


@commands.command("approve", epilog="Example: galenic policy approve house-2-0123abcd --key paul")
def policy_approve(name: Annotated[str, typer.Argument(help="Name of the proposed policy.")], key: Key) -> None:
    """Approve a proposed access policy as the second person. It is then in force."""
    installation = open_installation()
    approved = installation.policies.approve(name, installation.keys.get(key))
    show.out.print(f"In force: {approved.name} version {approved.version}, {len(approved.rules)} rules")
