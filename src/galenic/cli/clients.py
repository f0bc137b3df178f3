"""The commands of systems and applications that call the server."""

from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import DisplayName, Json, Scope
from galenic.custody import fhir, initialize_if_new
from galenic.installation import open_installation
from galenic.security import COMMAND_LINE, EVERYTHING, SystemAccess

commands = typer.Typer(help="Register systems and applications, and create access tokens.", no_args_is_help=True)
ClientName = Annotated[str, typer.Argument(help="Name of the client.")]
Jwks = Annotated[Path | None, typer.Option("--jwks", help="Public keys of the client (JSON Web Key Set).")]
Purposes = Annotated[str, typer.Option("--purposes", help="Purposes of use, separated by spaces.")]


@commands.command("add", epilog="Example: galenic clients add lab --scope 'system/Observation.cruds system/Patient.rs'")
def add(
    name: ClientName,
    jwks: Jwks = None,
    scope: Scope = EVERYTHING,
    purposes: Purposes = "treatment operations",
    max_hours: Annotated[
        float, typer.Option(min=0.02, max=24 * 366, help="Maximum number of hours that a token is valid.")
    ] = 24 * 90,
    as_json: Json = False,
) -> None:
    """Register a system that may call the server. Once people have accounts, they do this in the console."""
    fhir.require_known_types(scope)
    installation = open_installation()
    initialize_if_new(installation)
    keys = read_text(jwks) if jwks else ""
    access = SystemAccess(scope, tuple(purposes.split()), int(max_hours * 3600), keys)
    installation.systems.add(name, access, installation.actor)
    if as_json:
        show.print_json({"client": name, "role": "service", "scope": scope, "purposes": purposes.split()})
    else:
        show.out.print(f"Client {name} is registered. Create a token: galenic clients token {name}", markup=False)


@commands.command(
    "app", epilog="Example: galenic clients app growth-chart --redirect https://growth.example.org/back --scope 'user/*.rs'"
)
def application(
    name: ClientName,
    redirect: Annotated[list[str], typer.Option(help="Redirect URI of the application. Repeat for more.")],
    scope: Scope = "user/*.rs",
    display_name: DisplayName = "",
    jwks: Jwks = None,
    as_json: Json = False,
) -> None:
    """Register an application that reads on behalf of a person (SMART App Launch)."""
    fhir.require_known_types(scope)
    installation = open_installation()
    initialize_if_new(installation)
    keys = read_text(jwks) if jwks else ""
    installation.apps.add(name, tuple(redirect), scope, shown=display_name, jwks=keys, by=installation.actor)
    if as_json:
        show.print_json({"application": name, "redirects": redirect, "scope": scope})
    else:
        show.out.print(f"Application {name} is registered with {scope}. It sees only what its user may see.", markup=False)


@commands.command("token", epilog="Example: galenic clients token lab --hours 8 --scope 'system/Observation.cruds'")
def token(
    name: ClientName,
    hours: Annotated[float, typer.Option(min=0.02, max=24 * 366, help="Number of hours that the token is valid.")] = 8,
    scope: Scope = "",
    purposes: Purposes = "",
    as_json: Json = False,
) -> None:
    """Create an access token for a system. It is printed once; only its hash is stored."""
    installation, seconds = open_installation(), int(hours * 3600)
    scope = scope or installation.systems.get(name).access.scope
    secret = installation.systems.issue_token(
        name, by=f"{COMMAND_LINE}{installation.actor}", how="issued on the command line", seconds=seconds, scope=scope,
        purposes=tuple(purposes.split()),
    )  # fmt: skip
    if as_json:
        show.print_json({"client": name, "access_token": secret, "token_type": "Bearer", "expires_in": seconds, "scope": scope})
    else:
        show.out.print(secret, markup=False)
