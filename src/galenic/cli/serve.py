"""The commands of the server: serve, and the systems that may call it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from galenic.cli import show
from galenic.cli.app import Json, app
from galenic.custody import EVERYTHING, add_client, initialize_if_new
from galenic.errors import DescriptionError, MissingExtraError
from galenic.installation import open_installation
from galenic.jobs import worker as jobs_of_people
from galenic.security import ROLES
from galenic.server import add_provider, setup

client = typer.Typer(help="Systems that may call the server: add one, give it an access token.", no_args_is_help=True)
app.add_typer(client, name="client")


@app.command(epilog="Example: galenic serve")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8443,
    base: Annotated[
        str, typer.Option(help="Address as clients write it, where it is another (https://galenic.example.org).")
    ] = "",
    dataset: Annotated[str, typer.Option(help="Data set to serve as FHIR; made where there is none.")] = setup.DATASET,
    certificate: Annotated[Path | None, typer.Option(help="PEM. Default: one that the server signs itself.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM, of the certificate.")] = None,
    clients: Annotated[Path | None, typer.Option(help="PEM of the authority for services' own certificates (mTLS).")] = None,
    clients_port: Annotated[int, typer.Option(min=1, max=65535, help="Where services with certificates call.")] = 8444,
    watch_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where /live, /ready and /metrics are, on this machine; 0: nowhere.")
    ] = 0,
    simulated: Annotated[
        int, typer.Option(min=0, help="Simulated patients to begin with, where there is no record yet.")
    ] = 200,
    plain: Annotated[bool, typer.Option("--plain", help="HTTP without TLS, for this machine alone.")] = False,
) -> None:
    """Serve the installation: FHIR R4 at /fhir. Ends on Ctrl-C, once what is under way is done."""
    try:
        from galenic.server import ServerOptions, fingerprint, prepare_server  # noqa: PLC0415  # the web framework loads when it is needed
        from galenic.server import serve as listen  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(f"the server needs {error.name}: pip install 'galenic[server]'") from None
    options = ServerOptions(
        host, port, base.rstrip("/"), dataset, certificate, key, plain, simulated, clients, clients_port, watch_port,
    )  # fmt: skip
    installation = open_installation()
    with show.progress() as tell:
        codes: list[str] = []
        preparing = prepare_server(installation, options, tell, codes.append)
        pairs = preparing.__enter__()
    try:
        show.out.print(f"serving {options.address}  (FHIR R4: {options.address}/fhir/metadata)", markup=False)
        if pairs[0][1].certificate is not None:
            show.out.print(f"certificate SHA-256 {fingerprint(pairs[0][1].certificate)}", markup=False)
        for code in codes:
            show.out.print(f"nobody has an account yet: {options.address}/set-up with the set-up code {code}", markup=False)
        show.out.print(
            "a system calls with a token of its own: galenic client add NAME; galenic client token NAME", markup=False
        )
        listen(pairs)
    finally:
        preparing.__exit__(None, None, None)
        installation.close()


@app.command("work", epilog="Example: galenic work < /dev/null")
def work() -> None:
    """Do what people ask for in the console, without network, until standard input ends. `serve` starts one of its own."""
    installation = open_installation()
    try:
        jobs_of_people.run_worker(installation, sys.stdin)
    finally:
        installation.close()


def _text(place: Path) -> str:
    """What a file that was named holds. DescriptionError where it can not be read as text."""
    try:
        return place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(f"{place} can not be read ({type(error).__name__}). Give the path of a text file.") from None


@client.command("add", epilog="Example: galenic client add lab --role service")
def add(
    name: str,
    role: Annotated[str, typer.Option(help=f"One of: {', '.join(ROLES)}.")] = "service",
    jwks: Annotated[
        Path | None, typer.Option(help="Its public keys (JSON Web Key Set): it signs for its own tokens then.")
    ] = None,
    scope: Annotated[str, typer.Option(help="The most that such tokens cover.")] = EVERYTHING,
    as_json: Json = False,
) -> None:
    """Let a system call, in a role. What it may do is in the policy: galenic policy show."""
    keys = _text(jwks) if jwks else ""
    add_client(open_installation(), name, role=role, jwks=keys, scope=scope)
    if as_json:
        show.print_json({"client": name, "role": role})
    else:
        show.out.print(f"client {name} may call as {role}. Give it a token: galenic client token {name}", markup=False)


@client.command(
    "app", epilog="Example: galenic client app growth-chart --redirect https://growth.example.org/back --scope 'user/*.rs'"
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
    installation = open_installation()
    initialize_if_new(installation)
    keys = _text(jwks) if jwks else ""
    installation.apps.add(name, tuple(redirect), scope, shown=shown, jwks=keys, by=installation.actor)
    if as_json:
        show.print_json({"application": name, "redirects": redirect, "scope": scope})
    else:
        show.out.print(f"application {name} may ask people for {scope}. What it sees is what they may see.", markup=False)


@app.command(
    "provider",
    epilog="Example: galenic provider clinic --issuer https://login.example.org --client galenic --secret-file s.txt",
)
def provider(
    name: str,
    issuer: Annotated[str, typer.Option(help="Address of the identity provider (OpenID Connect).")],
    client_id: Annotated[str, typer.Option("--client", help="What this installation is called there.")],
    secret_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="File with the secret that it gave you.")],
    shown: Annotated[str, typer.Option(help="What people call it.")] = "",
    origin: Annotated[list[str] | None, typer.Option(help="Further addresses that it has for tokens and keys.")] = None,
    authority: Annotated[Path | None, typer.Option(help="PEM of its certificate's authority, where it is your own.")] = None,
    internal: Annotated[bool, typer.Option("--internal", help="It lies in your own network.")] = False,
    trust_mfa: Annotated[bool, typer.Option("--trust-mfa", help="Take its word that it asked for a second factor.")] = False,
    as_json: Json = False,
) -> None:
    """Let people sign in with your identity provider. Register BASE/sign-in/with/NAME/back there as the address to come back to."""
    installation = open_installation()
    initialize_if_new(installation)
    secret = _text(secret_file).strip()
    pem = _text(authority) if authority else ""
    add_provider(
        installation, name, issuer, client_id, secret, shown=shown, origins=tuple(origin or ()), internal=internal, authority=pem,
        mfa=trust_mfa,
    )  # fmt: skip
    if as_json:
        show.print_json({"provider": name, "issuer": issuer, "back": f"/sign-in/with/{name}/back"})
    else:
        show.out.print(
            f"people may sign in with {shown or name}, once an account is linked to it (Account, or an invitation)",
            markup=False,
        )


@client.command("token", epilog="Example: galenic client token lab --hours 8 --scope 'system/Observation.cruds'")
def token(
    name: str,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 366, help="How long it stands.")] = 8,
    scope: Annotated[str, typer.Option(help="SMART scopes, with spaces between.")] = EVERYTHING,
    purpose: Annotated[str, typer.Option(help="Purposes that it may name, with spaces between.")] = "treatment operations",
    as_json: Json = False,
) -> None:
    """Make an access token. It is shown once, and only its digest is kept."""
    secret = setup.issue_token(
        open_installation(), name, seconds=int(hours * 3600), scope=scope, purposes=tuple(purpose.split())
    )
    if as_json:
        show.print_json(
            {"client": name, "access_token": secret, "token_type": "Bearer", "expires_in": int(hours * 3600), "scope": scope}
        )
    else:
        show.out.print(secret, markup=False)
