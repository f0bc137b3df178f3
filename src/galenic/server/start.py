"""From an installation to a server: what it serves, under which address, with which certificate."""

import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from galenic.errors import DescriptionError
from galenic.flows import House, serving
from galenic.flows.fhir import Facade
from galenic.flows.house import Progress, quiet
from galenic.flows.work import a_worker
from galenic.server.app import make_app
from galenic.server.certificate import own_certificate
from galenic.server.console import Console
from galenic.server.serve import Listening, Pairs
from galenic.server.watch import watch_app

LOCAL = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Options:
    """How to serve. base: the address that clients write (default: from host and port); certificate, key: PEM (default: one that
    the server signs itself); plain: HTTP without TLS, on this machine alone; simulated: how many patients to begin with where
    there are none; clients: PEM of the authority for certificates of services, who call at the second
    listener; watch_port: where health and numbers are, on this machine, 0 for nowhere."""

    host: str = "127.0.0.1"
    port: int = 8443
    base: str = ""
    dataset: str = serving.DATASET
    certificate: Path | None = None
    key: Path | None = None
    plain: bool = False
    simulated: int = 200
    clients: Path | None = None
    clients_port: int = 8444
    watch_port: int = 0

    @property
    def address(self) -> str:
        """The address that clients write."""
        return self.base or f"{'http' if self.plain else 'https'}://{self.host}:{self.port}"


@contextmanager
def prepared(
    house: House, options: Options, progress: Progress = quiet, tell: Callable[[str], None] = lambda _code: None
) -> Iterator[Pairs]:
    """The applications and where they listen; tells the set-up code while nobody has an account. DescriptionError where the
    options would serve patients' data without TLS to others."""
    if options.plain and options.host not in LOCAL:
        raise DescriptionError(
            f"without TLS only this machine is served ({', '.join(LOCAL)}). Leave --plain out, or put a proxy before it."
        )
    if (options.certificate is None) != (options.key is None):
        raise DescriptionError("a certificate comes with its key: give --certificate and --key, or neither.")
    for mutual in (False, True) if options.clients else (False,):
        _usable(_listening(house, options, mutual=mutual))
    session = serving.server_session(house)
    if options.simulated and not serving.has_records(house, options.dataset):
        progress("simulating patients", 0.0)
        with tempfile.TemporaryDirectory() as folder:
            serving.with_simulated(house, session, Path(folder), options.dataset, count=options.simulated)
        if not serving.has_records(house, serving.COHORT):
            progress("simulating a cohort", 0.5)
            serving.with_simulated_cohort(house, session)
    facade: Facade = serving.open_served(house, options.dataset, progress)
    try:
        console = Console(house, facade, options.address)
        app = make_app(facade, options.address, console)
        if not house.people.any():
            tell(console.set_up_code)
        pairs: Pairs = [(app, _listening(house, options))]
        if options.watch_port:
            pairs.append((watch_app(facade), Listening("127.0.0.1", options.watch_port)))
        if options.clients is not None:
            pairs.append((app, _listening(house, options, mutual=True)))
        with a_worker(house):
            yield pairs
    finally:
        facade.close()


def _usable(listening: Listening) -> None:
    """DescriptionError where a certificate, its key or the clients' authority can not be read, or do not belong together."""
    try:
        _ = listening.tls
    except (OSError, ssl.SSLError) as error:
        what = getattr(error, "reason", None) or type(error).__name__
        raise DescriptionError(
            f"the certificate, its key or the authority of clients can not be used ({what}). Give PEM files that belong together."
        ) from None


def _listening(house: House, options: Options, *, mutual: bool = False) -> Listening:
    if options.plain:
        return Listening(options.host, options.port)
    own = (options.certificate, options.key) if options.certificate else own_certificate(house.home / "tls", options.host)
    port = options.clients_port if mutual else options.port
    return Listening(options.host, port, *own, clients=options.clients if mutual else None)
