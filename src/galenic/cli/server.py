"""The commands of the server: serve, and the identity providers that its users sign in with."""

import socket
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
from galenic.cli.options import Base, Certificate, DisplayName, Json, Port, expand_options
from galenic.custody import initialize_if_new
from galenic.errors import MissingExtraError, StateError
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

    host: Annotated[str, typer.Option(help="Network address to listen on.")] = "127.0.0.1"
    port: Port = 8443
    base: Base = ""
    dataset: Annotated[str, typer.Option(help="Name of the data set.")] = DATASET
    certificate: Certificate = None
    certificate_key: Annotated[Path | None, typer.Option(help="Private key of the TLS certificate (PEM).")] = None
    client_authority: Annotated[Path | None, typer.Option(help="Certificate authority (PEM) of clients that use mTLS.")] = None
    client_port: Annotated[int, typer.Option(min=1, max=65535, help="Port for clients that use mTLS.")] = 8444
    watch_port: Annotated[int, typer.Option(min=0, max=65535, help="Local port of /live, /ready and /metrics. 0: none.")] = 0
    simulated: Annotated[
        int, typer.Option(min=0, help="Number of simulated patients to add if there is no record yet. 0: none.")
    ] = 200
    plain: Annotated[bool, typer.Option("--plain", help="HTTP without TLS, for local use or behind a proxy.")] = False
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="Address or network of a proxy. Its X-Forwarded-For is trusted. Repeat for more.")
    ] = None


@top_level.command(epilog="Example: galenic serve")
@expand_options
def serve(options: ServeOptions) -> None:
    """Start the server: the console, and FHIR R4 at /fhir. Ctrl-C stops it after running requests."""
    with server_extra():
        from galenic import server  # noqa: PLC0415  # the web framework loads when it is needed
    same = ("host", "port", "dataset", "certificate", "plain", "simulated", "watch_port")
    configuration = server.ServerOptions(
        **{name: getattr(options, name) for name in same},
        base=options.base.rstrip("/"),
        key=options.certificate_key,
        clients=options.client_authority,
        clients_port=options.client_port,
        trusted_proxies=tuple(options.trusted_proxy or ()),
    )
    _require_free(options.host, (options.port, *((options.client_port,) if options.client_authority else ())))
    installation = open_installation()
    codes: list[str] = []
    with ExitStack() as stack:
        stack.callback(installation.close)
        with show.progress() as progress:
            pairs = stack.enter_context(server.prepare_server(installation, configuration, progress, codes.append))
        _print_addresses(configuration.address, codes, pairs[0][1].certificate)
        server.serve(pairs)


def _require_free(host: str, ports: tuple[int, ...]) -> None:
    """StateError if another program listens at one of the ports."""
    for port in ports:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((host, port))
            except OSError as error:
                raise StateError(
                    f"port {port} of {host} cannot be used ({error.strerror}). Stop the program that uses it, or choose another "
                    f"port: galenic serve --port {port + 1}"
                ) from None


def _print_addresses(address: str, codes: list[str], certificate: Path | None) -> None:
    from galenic.server import fingerprint  # noqa: PLC0415  # as above

    show.out.print(f"Serving {address} (FHIR R4: {address}/fhir/metadata). Press Ctrl-C to stop.", markup=False)
    if certificate is not None:
        show.out.print(f"Certificate SHA-256: {fingerprint(certificate)}", markup=False)
    for code in codes:
        show.out.print(f"No account exists yet. Open {address}/set-up and enter the set-up code {code}", markup=False)
    show.out.print("Give a system access: galenic clients add NAME, then galenic clients token NAME", markup=False)


@dataclass(frozen=True, kw_only=True)
class ProviderOptions:
    """Options of `galenic server identity-provider`."""

    issuer: Annotated[str, typer.Option(help="Issuer URL of the identity provider (OpenID Connect).")]
    client_id: Annotated[str, typer.Option(help="Client id of this installation at the identity provider.")]
    secret_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="File with the client secret.")]
    display_name: DisplayName = ""
    origin: Annotated[
        list[str] | None, typer.Option(help="Further origin of its token and key endpoints. Repeat for more.")
    ] = None
    authority: Annotated[Path | None, typer.Option(help="Certificate authority (PEM) of the provider, if it is your own.")] = (
        None
    )
    internal: Annotated[bool, typer.Option("--internal", help="The provider is in your own network.")] = False
    trust_mfa: Annotated[bool, typer.Option("--trust-mfa", help="Trust its statement that it asked for a second factor.")] = (
        False
    )


@commands.command(
    "identity-provider",
    epilog="Example: galenic server identity-provider clinic --issuer https://login.example.org --client-id galenic --secret-file s.txt",
)
@expand_options
def identity_provider(
    name: Annotated[str, typer.Argument(help="Name of the identity provider.")], options: ProviderOptions, as_json: Json = False
) -> None:
    """Let people sign in with an identity provider. Register BASE/sign-in/with/NAME/back there as redirect URI."""
    with server_extra():
        from galenic.server import ProviderSettings, add_provider  # noqa: PLC0415  # the web framework loads when it is needed
    installation = open_installation()
    initialize_if_new(installation)
    settings = ProviderSettings(
        issuer=options.issuer,
        client=options.client_id,
        secret=read_text(options.secret_file).strip(),
        display_name=options.display_name,
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
            f"People may sign in with {options.display_name or name}, after they link their account to it (Account, or an invitation).",
            markup=False,
        )


@commands.command(epilog="Example: galenic server worker < /dev/null")
def worker() -> None:
    """Run background jobs until standard input ends. The server starts a worker of its own."""
    installation = open_installation()
    try:
        run_worker(installation, sys.stdin)
    finally:
        installation.close()


@commands.command(epilog="Example: galenic server metrics")
def metrics() -> None:
    """Print the metrics of this process in Prometheus text format."""
    typer.echo(store.telemetry.metrics(), nl=False)
