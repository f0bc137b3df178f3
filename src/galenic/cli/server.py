"""The commands of the server: serve, and the identity providers that its users sign in with."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import store
from galenic.cli import show
from galenic.cli.files import read_text
from galenic.cli.options import Json, expand_options
from galenic.custody import initialize_if_new
from galenic.errors import MissingExtraError
from galenic.installation import open_installation
from galenic.jobs import run_worker

commands = typer.Typer(help="Identity providers, the worker, metrics.", no_args_is_help=True)
top_level = typer.Typer()
DATASET = "records"  # the server's own default, named here so that the web framework is not loaded for the help


@contextmanager
def server_extra() -> Iterator[None]:
    """MissingExtraError with the install line if an import of galenic.server fails."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"the server needs the package {error.name}", "server") from None


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Options of `galenic serve`."""

    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8443
    base: Annotated[
        str, typer.Option(help="Address as clients write it, where it is another (https://galenic.example.org).")
    ] = ""
    dataset: Annotated[str, typer.Option(help="Data set to serve as FHIR; made where there is none.")] = DATASET
    certificate: Annotated[Path | None, typer.Option(help="PEM. Default: one that the server signs itself.")] = None
    key: Annotated[Path | None, typer.Option(help="PEM, of the certificate.")] = None
    clients: Annotated[Path | None, typer.Option(help="PEM of the authority for services' own certificates (mTLS).")] = None
    clients_port: Annotated[int, typer.Option(min=1, max=65535, help="Where services with certificates call.")] = 8444
    watch_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where /live, /ready and /metrics are, on this machine; 0: nowhere.")
    ] = 0
    simulated: Annotated[int, typer.Option(min=0, help="Simulated patients to begin with, where there is no record yet.")] = 200
    plain: Annotated[bool, typer.Option("--plain", help="HTTP without TLS, for this machine alone.")] = False
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="Address or network of a proxy whose X-Forwarded-For is believed; repeatable.")
    ] = None


@top_level.command(epilog="Example: galenic serve")
@expand_options
def serve(options: ServeOptions) -> None:
    """Serve the installation: FHIR R4 at /fhir. Ends on Ctrl-C, once what is under way is done."""
    with server_extra():
        from galenic import server  # noqa: PLC0415  # the web framework loads when it is needed
    given = {**options.__dict__, "base": options.base.rstrip("/"), "trusted_proxies": tuple(options.trusted_proxy or ())}
    del given["trusted_proxy"]
    configuration = server.ServerOptions(**given)
    installation = open_installation()
    codes: list[str] = []
    with ExitStack() as stack:
        stack.callback(installation.close)
        with show.progress() as progress:
            pairs = stack.enter_context(server.prepare_server(installation, configuration, progress, codes.append))
        _print_addresses(configuration.address, codes, pairs[0][1].certificate)
        server.serve(pairs)


def _print_addresses(address: str, codes: list[str], certificate: Path | None) -> None:
    from galenic.server import fingerprint  # noqa: PLC0415  # as above

    show.out.print(f"serving {address}  (FHIR R4: {address}/fhir/metadata)", markup=False)
    if certificate is not None:
        show.out.print(f"certificate SHA-256 {fingerprint(certificate)}", markup=False)
    for code in codes:
        show.out.print(f"nobody has an account yet: {address}/set-up with the set-up code {code}", markup=False)
    show.out.print("a system calls with a token of its own: galenic clients add NAME; galenic clients token NAME", markup=False)


@dataclass(frozen=True, kw_only=True)
class ProviderOptions:
    """Options of `galenic server identity-provider`."""

    issuer: Annotated[str, typer.Option(help="Address of the identity provider (OpenID Connect).")]
    client_id: Annotated[str, typer.Option("--client", help="What this installation is called there.")]
    secret_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="File with the secret that it gave you.")]
    shown: Annotated[str, typer.Option(help="What people call it.")] = ""
    origin: Annotated[list[str] | None, typer.Option(help="Further addresses that it has for tokens and keys.")] = None
    authority: Annotated[Path | None, typer.Option(help="PEM of its certificate's authority, where it is your own.")] = None
    internal: Annotated[bool, typer.Option("--internal", help="It lies in your own network.")] = False
    trust_mfa: Annotated[bool, typer.Option("--trust-mfa", help="Take its word that it asked for a second factor.")] = False


@commands.command(
    "identity-provider",
    epilog="Example: galenic server identity-provider clinic --issuer https://login.example.org --client galenic --secret-file s.txt",
)
@expand_options
def identity_provider(name: str, options: ProviderOptions, as_json: Json = False) -> None:
    """Let people sign in with your identity provider. Register BASE/sign-in/with/NAME/back there as the address to come back to."""
    with server_extra():
        from galenic.server import ProviderSettings, add_provider  # noqa: PLC0415  # the web framework loads when it is needed
    installation = open_installation()
    initialize_if_new(installation)
    settings = ProviderSettings(
        issuer=options.issuer,
        client=options.client_id,
        secret=read_text(options.secret_file).strip(),
        display_name=options.shown,
        origins=tuple(options.origin or ()),
        internal=options.internal,
        authority=read_text(options.authority) if options.authority else "",
        trust_mfa=options.trust_mfa,
    )
    add_provider(installation, name, settings)
    if as_json:
        show.print_json({"provider": name, "issuer": options.issuer, "back": f"/sign-in/with/{name}/back"})
    else:
        show.out.print(
            f"people may sign in with {options.shown or name}, once an account is linked to it (Account, or an invitation)",
            markup=False,
        )


@commands.command(epilog="Example: galenic server worker < /dev/null")
def worker() -> None:
    """Do what people ask for in the console, without network, until standard input ends. `serve` starts one of its own."""
    installation = open_installation()
    try:
        run_worker(installation, sys.stdin)
    finally:
        installation.close()


@commands.command(epilog="Example: galenic server metrics")
def metrics() -> None:
    """Metrics of this process in Prometheus' text format."""
    typer.echo(store.telemetry.metrics(), nl=False)
