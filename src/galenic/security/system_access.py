"""What two people have approved for a system: scopes and purposes of its tokens, and how long they stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from galenic.security.facts import Fact
from galenic.security.scopes import uncovered_scopes

DAY = 86_400  # s
ROLE = "service"  # of every system; a person never has it
EVERYTHING = "system/*.cruds"


@dataclass(frozen=True)
class SystemAccess:
    """Access of a system: the widest SMART scopes and the purposes of its tokens, the first the default; the longest life of a
    token in seconds; jwks: the public keys with which it asks for tokens itself (JSON Web Key Set)."""

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
        """The access in a fact; of a system that was added before purposes were approved, what it was given then."""
        get = fact.get
        purposes = tuple(str(get("purposes", "treatment operations")).split())
        longest = int(get("longest", 90 * DAY))
        return cls(str(get("scope")), purposes, longest, str(get("jwks", "")), str(get("tenant")), str(get("region")))

    def covers(self, session: Fact) -> bool:
        """Whether scopes, purposes and, of a token, the life of a session of the system are within this access."""
        purposes, seconds = set(str(session.get("purposes", "")).split()), int(session.get("seconds", 0))
        beyond = uncovered_scopes(str(session.get("scope", "")), self.scope)
        return not beyond and purposes <= set(self.purposes) and seconds <= self.longest

    def common_scopes(self, scopes: frozenset[str]) -> frozenset[str]:
        """What of the scopes of a token is within this access."""
        own, given = frozenset(self.scope.split()), " ".join(scopes)
        return (scopes - set(uncovered_scopes(given, self.scope))) | (own - set(uncovered_scopes(self.scope, given)))


def access_of(grants: Iterable[Fact], now: str) -> SystemAccess | None:
    """What a system may have now, from the roles of its account; None for the account of a person or a key, and for a system of an
    earlier version, which has another role until two people decide on it."""
    given = [f for f in grants if f.get("client") == "yes" and f.label == ROLE and f.stands("given", now)]
    return SystemAccess.of(given[0]) if given else None
