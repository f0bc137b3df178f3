"""Systems and people that call the server in tests, each with an access token."""

import secrets

from galenic.installation import Installation
from galenic.security import PURPOSES, SystemAccess, token_name

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
    """A system that may call for every purpose; with another role, a person who uses an application."""
    if role == "service":
        access = SystemAccess(scope, ("treatment", "operations", *ALL_PURPOSES[2:]), jwks=jwks, tenant=tenant)
        installation.systems.register(name, access, proposed_by="tests")
        return
    if installation.people.get(name) is None:
        installation.people.write(name, f"{name}@tests.example", name, "active")
    installation.people.grant(name, f"{name}@tests.example", role, by="tests", approved="tests")


def issue_token(
    installation: Installation, who: str, *, seconds: int = 86_400, scope: str = "", purposes: tuple[str, ...] = ()
) -> str:
    """A token of a system; of a person, as an application has it that the person allowed."""
    person = installation.people.get(who)
    if person is None:
        purposes = purposes or ("treatment", "operations")
        return installation.systems.issue_token(who, by="tests", how="tests", seconds=seconds, scope=scope, purposes=purposes)
    secret = secrets.token_urlsafe(32)
    allowed = purposes or tuple(p for role in person.roles for p in PURPOSES[role])
    about = (("app", "tests"), ("purposes", " ".join(allowed)), ("scope", scope or "user/*.cruds"))
    installation.gate.begin(who, how="application tests", seconds=seconds, name=token_name(secret), about=about)
    return secret
