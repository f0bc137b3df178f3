"""Preparation of a server: applications, addresses, certificates and worker."""

import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from galenic import store
from galenic.custody import short_server_session
from galenic.custody.fhir import FhirRepository
from galenic.errors import ConfigurationError, StoreError
from galenic.installation import Installation
from galenic.jobs import worker_process
from galenic.schema import Progress, no_progress
from galenic.server import setup
from galenic.server.app import make_app
from galenic.server.certificate import own_certificate
from galenic.server.console import Console
from galenic.server.health import health_app
from galenic.server.listeners import Listener, Pairs
from galenic.server.proxies import TrustedProxies

LOCAL = ("127.0.0.1", "::1", "localhost")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # nosec B104  # compared with, not listened on


@dataclass(frozen=True)
class ServerOptions:
    """Options of a server. base: public URL (default: from host and port); certificate, key: PEM (default: self-signed); plain:
    HTTP without TLS, only for this machine; simulated: number of patients to simulate if there are no records; clients: PEM
    of the CA of client certificates, required at a second listener for services; watch_port: of health and metrics, only for
    this machine, 0 for none; trusted_proxies: addresses or networks of proxies that report their clients."""

    host: str = "127.0.0.1"
    port: int = 8443
    base: str = ""
    dataset: str = setup.DATASET
    certificate: Path | None = None
    key: Path | None = None
    plain: bool = False
    simulated: int = 200
    clients: Path | None = None
    clients_port: int = 8444
    watch_port: int = 0
    trusted_proxies: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address as clients write it. This machine is called localhost: browsers allow no passkeys at numeric addresses."""
        host = "localhost" if self.host in LOCAL or self.host in ANY_ADDRESS else self.host
        return self.base or f"{'http' if self.plain else 'https'}://{host}:{self.port}"


@contextmanager
def prepare_server(
    installation: Installation,
    options: ServerOptions,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda _code: None,
) -> Iterator[Pairs]:
    """The applications with their listeners. tell: receives the set-up code until the first account exists. Raise
    ConfigurationError if the options would serve patient data to other machines without TLS, and StateError if another
    process serves this installation."""
    if options.plain and options.host not in LOCAL:
        raise ConfigurationError(
            f"without TLS, only this machine can be served ({', '.join(LOCAL)}). Leave --plain out, or put a proxy in front."
        )
    if (options.certificate is None) != (options.key is None):
        raise ConfigurationError("a certificate needs its private key. Give both: --certificate FILE --certificate-key FILE")
    for mutual in (False, True) if options.clients else (False,):
        _require_usable(_listener(installation, options, mutual=mutual))
    with (
        store.only_server(installation.db, installation.home, options.address),
        _prepared(installation, options, progress, tell) as pairs,
    ):
        yield pairs


@contextmanager
def _prepared(
    installation: Installation, options: ServerOptions, progress: Progress, tell: Callable[[str], None]
) -> Iterator[Pairs]:
    installation.recover()
    if options.simulated and not setup.has_records(installation, options.dataset):
        progress("simulating patients", 0.0)
        with short_server_session(installation) as session, tempfile.TemporaryDirectory() as folder:
            setup.import_simulated_records(installation, session, Path(folder), options.dataset, count=options.simulated)
            if not setup.has_records(installation, setup.COHORT):
                progress("simulating a cohort", 0.5)
                setup.import_simulated_cohort(installation, session)
    repository: FhirRepository = setup.open_served(installation, options.dataset, progress)
    try:
        console = Console(installation, repository, options.address)
        app = make_app(repository, options.address, console, TrustedProxies(options.trusted_proxies))
        if not installation.people.any():
            tell(console.set_up_code)
        pairs: Pairs = [(app, _listener(installation, options))]
        if options.watch_port:
            pairs.append((health_app(repository), Listener("127.0.0.1", options.watch_port)))
        if options.clients is not None:
            pairs.append((app, _listener(installation, options, mutual=True)))
        with worker_process(installation):
            yield pairs
    finally:
        repository.close()
        with suppress(StoreError):  # the database cannot be reached: the session ends when it expires
            installation.gate.end(repository.session)


def _require_usable(listener: Listener) -> None:
    """Raise ConfigurationError if a certificate, its key or the client CA cannot be read, or do not belong together."""
    try:
        _ = listener.tls
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise ConfigurationError(
            f"the certificate, its key or the client CA cannot be used ({reason}). Give PEM files that belong together."
        ) from None


def _listener(installation: Installation, options: ServerOptions, *, mutual: bool = False) -> Listener:
    proxies = TrustedProxies(options.trusted_proxies)
    if options.plain:
        return Listener(options.host, options.port, proxies=proxies)
    own = (
        (options.certificate, options.key) if options.certificate else own_certificate(installation.home / "tls", options.host)
    )
    port = options.clients_port if mutual else options.port
    return Listener(options.host, port, *own, clients=options.clients if mutual else None, proxies=proxies)
