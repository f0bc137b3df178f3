"""Systems that call the server in tests, and their access tokens."""

import secrets

from galenic.installation import Installation
from galenic.security import Fact, SystemAccess, token_name

ALL_PURPOSES = ("treatment", "operations", "research", "emergency", "quality", "synthetic-data", "records", "audit", "sign-in")


def add_client(
    installation: Installation,
    name: str,
    *,
    role: str = "service",
    jwks: str = "",
    scope: str = "system/*.cruds",
    tenant: str = "home",
) -> None:
    """A system that may call for every purpose. role: another one, as earlier versions gave systems."""
    if role == "service":
        access = SystemAccess(scope, ("treatment", "operations", *ALL_PURPOSES[2:]), jwks=jwks, tenant=tenant)
        installation.systems.register(name, access, proposed_by="tests")
        return
    body = {"client": "yes", "jwks": jwks, "person": f"client {name}", "region": "", "scope": scope, "tenant": tenant}
    installation.facts.put(Fact("grant", f"{name}/{role}", "given", name, label=role, body=tuple(sorted(body.items()))))
    installation.gate.versions.refresh()


def issue_token(
    installation: Installation, who: str, *, seconds: int = 86_400, scope: str = "", purposes: tuple[str, ...] = ()
) -> str:
    """A token of a system; of one with another role, of any scope and purpose."""
    roles = installation.people.roles(who)
    purposes = purposes or ("treatment", "operations")
    if "service" in roles:
        return installation.systems.issue_token(who, by="tests", how="tests", seconds=seconds, scope=scope, purposes=purposes)
    secret = secrets.token_urlsafe(32)
    about = (("purposes", " ".join(purposes)), ("scope", scope or "user/*.cruds"))
    installation.gate.begin(who, how="tests", seconds=seconds, name=token_name(secret), about=about)
    return secret
