"""Service accounts: the server's own session, and the systems that may call the server."""

import json
import secrets

from galenic.custody.access import HOME, RoleScope, initialize
from galenic.errors import OptionError
from galenic.installation import Installation
from galenic.security import NAME, ROLES, Fact, Session, checked_jwks, token_name

SERVER = "galenic-server"
YEAR = 365 * 86_400  # s
DAY = 86_400  # s
EVERYTHING = "system/*.cruds"


def server_session(installation: Installation) -> Session:
    """A session of the server itself; the policy decides what it may do, as for everybody else."""
    initialize_if_new(installation)
    if installation.facts.one("grant", f"{SERVER}/service") is None:
        _put_account(installation, SERVER, "service", _body(person="the server itself"))
    return installation.gate.begin(SERVER, how="its own process", seconds=YEAR)


def initialize_if_new(installation: Installation) -> None:
    """Initializes the encrypted record store if that has not been done."""
    if installation.tree.keeper.get() is None:
        initialize(installation)


def add_client(
    installation: Installation,
    name: str,
    *,
    role: str = "service",
    jwks: str = "",
    scope: str = EVERYTHING,
    role_scope: RoleScope = HOME,
) -> None:
    """Registers a system that may call the server, with a role.

    A service acts for a vendor with an agreement in force, which is recorded with it. jwks: the public keys that it proves
    itself with to get access tokens (JSON Web Key Set); scope: the widest SMART scopes that the tokens may have.
    """
    if not NAME.match(name) or role not in ROLES:
        raise OptionError(
            f"a client needs a name of letters, digits, '.', '_' or '-', and one of the roles {', '.join(ROLES)}."
        )
    keys = json.dumps(checked_jwks(jwks)) if jwks else ""
    _put_account(installation, name, role, _body(person=f"client {name}", jwks=keys, scope=scope, role_scope=role_scope))


def _body(*, person: str, jwks: str = "", scope: str = EVERYTHING, role_scope: RoleScope = HOME) -> tuple[tuple[str, str], ...]:
    return (
        ("client", "yes"),
        ("jwks", jwks),
        ("person", person),
        ("region", role_scope.region),
        ("scope", scope),
        ("tenant", role_scope.tenant),
    )


def _put_account(installation: Installation, name: str, role: str, body: tuple[tuple[str, str], ...]) -> None:
    installation.facts.put_many([Fact("grant", f"{name}/{role}", "given", name, label=role, body=body)])
    if role == "service":
        installation.facts.put(Fact("vendor", name, "cleared", name))
    installation.gate.versions.refresh()


def issue_token(
    installation: Installation,
    who: str,
    *,
    seconds: int = DAY,
    scope: str = EVERYTHING,
    purposes: tuple[str, ...] = ("treatment", "operations"),
    how: str = "issued by hand",
) -> str:
    """A new access token, which stands for a session until the session ends; only its digest is stored."""
    secret = secrets.token_urlsafe(32)
    about = (("purposes", " ".join(purposes)), ("scope", scope))
    installation.gate.begin(who, how=how, seconds=seconds, name=token_name(secret), about=about)
    return secret
