"""The interface of a protocol that the server speaks."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import Route

from galenic.custody.fhir import FhirRepository
from galenic.server.capability import CapabilityPart

THREADS = 12  # that work on requests at once; more would only wait for one another


@dataclass(frozen=True)
class ServedRepository:
    """The repository that the endpoints serve, and the threads that they share. url: of the server, as clients write it."""

    repository: FhirRepository
    url: str
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "fhir"))


class Endpoint(Protocol):
    """One protocol. Each has a module of its own in this package and a line in ENDPOINTS."""

    def __init__(self, served: ServedRepository) -> None: ...

    def routes(self) -> list[Route]:
        """Every address, in the order of matching."""

    @staticmethod
    def capability() -> CapabilityPart:
        """Part of the CapabilityStatement that the protocol adds."""
