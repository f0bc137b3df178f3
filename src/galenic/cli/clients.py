"""The commands of systems and applications that call the server."""

from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Json
from galenic.custody import fhir, initialize_if_new
from galenic.installation import open_installation
from galenic.security import COMMAND_LINE, EVERYTHING, SystemAccess

commands = typer.Typer(help="Systems that may call the server: add one, give it an access token.", no_args_is_help=True)


@commands.command("add", epilog="Example: galenic clients add lab --scope 'system/Observation.cruds system/Patient.rs'")
def add(
    name: str,
    jwks: Annotated[
        Path | None, typer.Option(help="Its public keys (JSON Web Key Set): it signs for its own tokens then.")
    ] = None,
    scope: Annotated[str, typer.Option(help="The most that its tokens cover: SMART scopes, with spaces between.")] = EVERYTHING,
    purpose: Annotated[
        str, typer.Option(help="Purposes that its tokens may name, with spaces between.")
    ] = "treatment operations",
    longest: Annotated[float, typer.Option(min=0.02, max=24 * 366, help="Hours that a token stands at most.")] = 24 * 90,
    as_json: Json = False,
) -> None:
    """Let a system call, in the role service. Once there are accounts of people, two of them add systems in the console."""
    fhir.require_known_types(scope)
    installation = open_installation()
    initialize_if_new(installation)
    keys = read_text(jwks) if jwks else ""
    access = SystemAccess(scope, tuple(purpose.split()), int(longest * 3600), keys)
    installation.systems.add(name, access, installation.actor)
    if as_json:
        show.print_json({"client": name, "role": "service", "scope": scope, "purposes": purpose.split()})
    else:
        show.out.print(f"client {name} may call. Give it a token: galenic clients token {name}", markup=False)


@commands.command(
    "app", epilog="Example: galenic clients app growth-chart --redirect https://growth.example.org/back --scope 'user/*.rs'"
)
def application(
    name: str,
    redirect: Annotated[list[str], typer.Option(help="Where the browser comes back to, letter by letter; may be given again.")],
    scope: Annotated[str, typer.Option(help="The most that somebody can let it do.")] = "user/*.rs",
    shown: Annotated[str, typer.Option(help="What people call it.")] = "",
    jwks: Annotated[Path | None, typer.Option(help="Its public keys, where it can keep a secret (JSON Web Key Set).")] = None,
    as_json: Json = False,
) -> None:
    """Register an application that people may let read as them (SMART App Launch, standalone, PKCE)."""
    fhir.require_known_types(scope)
    installation = open_installation()
    initialize_if_new(installation)
    keys = read_text(jwks) if jwks else ""
    installation.apps.add(name, tuple(redirect), scope, shown=shown, jwks=keys, by=installation.actor)
    if as_json:
        show.print_json({"application": name, "redirects": redirect, "scope": scope})
    else:
        show.out.print(f"application {name} may ask people for {scope}. What it sees is what they may see.", markup=False)


@commands.command("token", epilog="Example: galenic clients token lab --hours 8 --scope 'system/Observation.cruds'")
def token(
    name: str,
    hours: Annotated[float, typer.Option(min=0.02, max=24 * 366, help="How long it stands.")] = 8,
    scope: Annotated[str, typer.Option(help="SMART scopes, with spaces between (default: all that were approved).")] = "",
    purpose: Annotated[str, typer.Option(help="Purposes, with spaces between (default: all that were approved).")] = "",
    as_json: Json = False,
) -> None:
    """Make an access token of a system. It is shown once, and only its digest is kept."""
    installation, seconds = open_installation(), int(hours * 3600)
    scope = scope or installation.systems.get(name).access.scope
    secret = installation.systems.issue_token(
        name, by=f"{COMMAND_LINE}{installation.actor}", how="issued on the command line", seconds=seconds, scope=scope,
        purposes=tuple(purpose.split()),
    )  # fmt: skip
    if as_json:
        show.print_json({"client": name, "access_token": secret, "token_type": "Bearer", "expires_in": seconds, "scope": scope})
    else:
        show.out.print(secret, markup=False)
