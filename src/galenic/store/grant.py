"""Grants as the store uses them: an open access decision that provides keys, which the store does not have."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from galenic.errors import AccessDeniedError


@dataclass(frozen=True)
class Rows:
    """Rows that a decision covers, compiled to SQL.

    care_of: rows of patients with whom this account has a care relation. consent_to: rows of patients who gave consent to
    (purpose, data class). subject: rows of one patient. None: no such restriction.
    """

    care_of: str | None = None
    consent_to: tuple[str, str] | None = None
    subject: int | None = None


class AbstractGrant(ABC):
    """Open access decision. Only `security.Gate` creates one (`security.Grant`); other packages pass it on."""

    tenant: str
    who: str
    purpose: str
    action: str
    resource: str
    rows: Rows
    masked: frozenset[str]
    floor: int

    @abstractmethod
    def require(self, resource: str, *actions: str) -> None:
        """Raise AccessDeniedError unless the decision is open, covers the resource and allows one of the actions."""

    @abstractmethod
    def require_active(self, rows: int = 0, fields: int = 0, size: int = 0) -> None:
        """Counts reads. Raise AccessDeniedError as soon as the decision is no longer valid."""

    @abstractmethod
    def keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients; an erased patient has none."""

    @abstractmethod
    def new_keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients, created if missing."""

    @abstractmethod
    def token(self, kind: str, text: str) -> bytes:
        """Keyed hash of an identifier, a word or a prefix; 16 bytes."""

    @abstractmethod
    def tokens(self, kind: str, texts: list[str]) -> list[bytes]:
        """Keyed hashes of many texts at once."""

    @abstractmethod
    def hasher(self, kind: str) -> Callable[[str], bytes]:
        """Function that computes tokens of one kind. Access is checked here and not again at each call, because a check that
        ends the grant writes to the audit log, which a write transaction blocks."""

    @abstractmethod
    def build_key(self, build: str) -> bytes:
        """The key of one build of shards or of an index."""

    @abstractmethod
    def now(self) -> str:
        """The time that access decisions use, as ISO 8601: it never goes back."""

    @abstractmethod
    def genuine(self, fact: Mapping[str, Any]) -> bool:
        """True if a fact that gives access to a row has the right MAC."""


def require_grant(grant: AbstractGrant | None, resource: str, *actions: str) -> AbstractGrant:
    """The grant, if it covers the resource. Every function of the store that returns patient data begins with this check."""
    if not isinstance(grant, AbstractGrant):
        raise AccessDeniedError(
            "patient data can be read only under an access decision. Open one: with gate.open(...) as g, and pass g."
        )
    grant.require(resource, *actions)
    return grant
