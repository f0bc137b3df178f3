"""Approved access of a system: scopes, purposes and longest lifetime of its tokens. Two people approve it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from galenic.security.facts import Fact
from galenic.security.scopes import uncovered_scopes

DAY = 86_400  # s
ROLE = "service"  # role of every system; a person never has it
EVERYTHING = "system/*.cruds"


@dataclass(frozen=True)
class SystemAccess:
    """Access of a system: the widest SMART scopes and the purposes of its tokens, the first being the default; the longest
    lifetime of a token in seconds; jwks: public keys of the system (JSON Web Key Set)."""

    scope: str = EVERYTHING
    purposes: tuple[str, ...] = ("treatment", "operations")
    longest: int = 90 * DAY
    jwks: str = ""
    tenant: str = "home"
    region: str = ""

    def body(self, name: str) -> dict[str, Any]:
        """Details of the fact."""
        return {
            "client": "yes", "jwks": self.jwks, "longest": self.longest, "person": f"client {name}", "purposes": " ".join(self.purposes),
            "region": self.region, "scope": self.scope, "tenant": self.tenant,
        }  # fmt: skip

    @classmethod
    def of(cls, fact: Fact) -> "SystemAccess":
        """Access in a fact. For a system that was added before purposes were approved, the access at that time."""
        get = fact.get
        purposes = tuple(str(get("purposes", "treatment operations")).split())
        longest = int(get("longest", 90 * DAY))
        return cls(str(get("scope")), purposes, longest, str(get("jwks", "")), str(get("tenant")), str(get("region")))

    def covers(self, session: Fact) -> bool:
        """True if scopes, purposes and, for a token, the lifetime of a session of the system are within this access."""
        purposes, seconds = set(str(session.get("purposes", "")).split()), int(session.get("seconds", 0))
        beyond = uncovered_scopes(str(session.get("scope", "")), self.scope)
        return not beyond and purposes <= set(self.purposes) and seconds <= self.longest

    def common_scopes(self, scopes: frozenset[str]) -> frozenset[str]:
        """Scopes of a token that are within this access."""
        own, given = frozenset(self.scope.split()), " ".join(scopes)
        return (scopes - set(uncovered_scopes(given, self.scope))) | (own - set(uncovered_scopes(self.scope, given)))


def access_of(grants: Iterable[Fact], now: str) -> SystemAccess | None:
    """Current access of a system, from the roles of its account; None for the account of a person or a key, and for a system of
    an earlier version, which has another role until two people decide."""
    given = [f for f in grants if f.get("client") == "yes" and f.label == ROLE and f.stands("given", now)]
    return SystemAccess.of(given[0]) if given else None
