"""The commands of the access policy."""

from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Key
from galenic.installation import open_installation
from galenic.security import from_cedar, read_policy, to_cedar

commands = typer.Typer(help="Who may do what: show, propose, approve, exchange with Cedar.", no_args_is_help=True)


@commands.command("show", epilog="Example: galenic policy show")
def policy_show(cedar: Annotated[bool, typer.Option("--cedar", help="As Cedar text.")] = False) -> None:
    """The policy in force."""
    active = open_installation().policies.active()
    typer.echo(to_cedar(active) if cedar else active.text)


@commands.command("propose", epilog="Example: galenic policy propose policy.toml --key sven")
def policy_propose(file: Annotated[Path, typer.Argument(help="TOML, or Cedar text (.cedar).")], key: Key) -> None:
    """Put a policy forward, after deciding the last 30 days again by it."""
    installation = open_installation()
    new = from_cedar(read_text(file), name=file.stem) if file.suffix == ".cedar" else read_policy(file)
    name, replay = installation.policies.propose(new, installation.keys.get(key))
    show.out.print(f"proposed {name}; of {replay.decisions} decisions of the last 30 days:")
    show.out.print(f"  newly allowed: {replay.newly_allowed}  (audit rows {list(replay.allowed_examples)})")
    show.out.print(f"  newly denied:  {replay.newly_denied}  (audit rows {list(replay.denied_examples)})")
    show.out.print(f"A second person puts it in force: galenic policy approve {name} --key NAME")


@commands.command("approve", epilog="Example: galenic policy approve house-2-0123abcd --key paul")
def policy_approve(name: str, key: Key) -> None:
    """Put a proposed policy in force, as the second person."""
    installation = open_installation()
    approved = installation.policies.approve(name, installation.keys.get(key))
    show.out.print(f"in force: {approved.name} version {approved.version}, {len(approved.rules)} rules")
