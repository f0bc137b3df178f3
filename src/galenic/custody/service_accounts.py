"""Service accounts: the server's own session."""

import contextlib
from collections.abc import Iterator

from galenic.custody.access import initialize
from galenic.installation import Installation
from galenic.security import EVERYTHING, Fact, Session

SERVER = "galenic-server"
DAY = 86_400  # s
YEAR = 365 * DAY


def server_session(installation: Installation, seconds: int = YEAR) -> Session:
    """Session of the server itself. The access policy limits it like any other. For a single step, use `short_server_session`."""
    initialize_if_new(installation)
    if installation.facts.one("grant", f"{SERVER}/service") is None:
        _put_server(installation)
    return installation.gate.begin(SERVER, how="its own process", seconds=seconds)


@contextlib.contextmanager
def short_server_session(installation: Installation) -> Iterator[Session]:
    """Session of the server for one step. It ends with the step, or after a day."""
    session = server_session(installation, DAY)
    try:
        yield session
    finally:
        installation.gate.end(session)


def initialize_if_new(installation: Installation) -> None:
    """Initializes the encrypted record store if that has not been done."""
    if installation.tree.keeper.get() is None:
        initialize(installation)


def _put_server(installation: Installation) -> None:
    body = {"client": "yes", "jwks": "", "person": "the server itself", "region": "", "scope": EVERYTHING, "tenant": "home"}
    role = Fact("grant", f"{SERVER}/service", "given", SERVER, label="service", body=tuple(sorted(body.items())))
    installation.facts.put_many([role])
    installation.facts.put(Fact("vendor", SERVER, "cleared", SERVER))
    installation.gate.versions.refresh()
