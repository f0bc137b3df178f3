"""Service accounts: the server's own session, and the systems that may call it."""

import json

from galenic.custody.datasets import initialize
from galenic.errors import DescriptionError
from galenic.installation import Installation
from galenic.security import NAME, ROLES, Fact, Session, checked_jwks

SERVER = "galenic-server"
YEAR = 365 * 86_400  # s
EVERYTHING = "system/*.cruds"


def server_session(installation: Installation) -> Session:
    """The server's own session; what it may do is in the policy like anybody's: bring records in, keep the index."""
    init_if_new(installation)
    if installation.facts.one("grant", f"{SERVER}/service") is None:
        add_client(installation, SERVER, person="the server itself")
    return installation.gate.begin(SERVER, how="its own process", seconds=YEAR)


def init_if_new(installation: Installation) -> None:
    """Founds custody where there is none."""
    if installation.tree.keeper.get() is None:
        initialize(installation)


def add_client(
    installation: Installation, name: str, *, role: str = "service", tenant: str = "home", region: str = "", person: str = "", jwks: str = "",
    scope: str = EVERYTHING,
) -> None:  # fmt: skip
    """Lets a system call, in a role. A service acts for a vendor whose agreement is in force: that is written down with it.

    jwks: the public keys by which it proves itself for access tokens (JSON Web Key Set); scope: the most that they cover.
    """
    if not NAME.match(name) or role not in ROLES:
        raise DescriptionError(
            f"a client needs a name of letters, digits, '.', '_' or '-', and one of the roles {', '.join(ROLES)}."
        )
    keys = json.dumps(checked_jwks(jwks)) if jwks else ""
    whose = person or f"client {name}"
    body = (("client", "yes"), ("jwks", keys), ("person", whose), ("region", region), ("scope", scope), ("tenant", tenant))
    facts = [Fact("grant", f"{name}/{role}", "given", name, label=role, body=body)]
    installation.facts.put_many(facts)
    if role == "service":
        installation.facts.put(Fact("vendor", name, "cleared", name))
    installation.gate.versions.look_again()
