"""What store asks of whoever wants to read patients' data: a decision that stands, and keys it does not have itself."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galenic.errors import AccessDeniedError


@dataclass(frozen=True)
class Rows:
    """Which rows a decision covers; compiled to SQL, never checked after reading.

    care_of: rows of patients with whom this person has a standing care relation. consent_to: rows of patients who gave
    consent to (purpose, class of data). subject: rows of one patient. None: no such restriction.
    """

    care_of: str | None = None
    consent_to: tuple[str, str] | None = None
    subject: int | None = None


class Handle(ABC):
    """One open decision. Made by `security.gate` alone; a room above takes one, a door or a flow opens it."""

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
        """AccessDenied unless the decision is open, covers the resource and is for one of the actions."""

    @abstractmethod
    def beat(self, rows: int = 0, fields: int = 0, size: int = 0) -> None:
        """Counts what was handed out, and raises AccessDenied as soon as the decision no longer stands."""

    @abstractmethod
    def keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients; a patient who was erased has none."""

    @abstractmethod
    def new_keys(self, subjects: list[int]) -> dict[int, bytes]:
        """Record keys of patients, made where there are none."""

    @abstractmethod
    def token(self, kind: str, text: str) -> bytes:
        """Keyed hash of an identifier, a word or a prefix; 16 bytes."""

    @abstractmethod
    def tokens(self, kind: str, texts: list[str]) -> list[bytes]:
        """The same for many texts at once."""

    @abstractmethod
    def build_key(self, build: str) -> bytes:
        """The key of one build of shards or of an index."""

    @abstractmethod
    def genuine(self, fact: Mapping[str, Any]) -> bool:
        """Whether a fact that let a row through was written by the security room."""


def required(handle: Handle | None, resource: str, *actions: str) -> Handle:
    """The handle, if it is one and covers the resource. Every function of store that gives patients' data begins here."""
    if not isinstance(handle, Handle):
        raise AccessDeniedError(
            "patients' data is read through an open gate only. Open it: with gate.open(...) as g, and pass g."
        )
    handle.require(resource, *actions)
    return handle
