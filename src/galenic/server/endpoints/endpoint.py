"""The interface of a protocol that the server speaks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from starlette.routing import Route

from galenic.custody.fhir import FhirRepository
from galenic.installation import Installation
from galenic.server.capability import CapabilityPart

THREADS = 12  # that work on requests at once; more would only wait for one another
T = TypeVar("T")


@dataclass(frozen=True)
class ServedRepository:
    """The repository that the endpoints serve, and the threads that they share. url: of the server, as clients write it."""

    repository: FhirRepository
    url: str
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "fhir"))

    @property
    def installation(self) -> Installation:
        """The installation of the repository."""
        return self.repository.installation

    @property
    def fhir_url(self) -> str:
        """The base URL of the FHIR endpoint."""
        return f"{self.url}/fhir"

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Does blocking work in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)


class Endpoint(Protocol):
    """One protocol. Each has a module of its own in this package and a line in ENDPOINTS."""

    def __init__(self, served: ServedRepository) -> None: ...

    def routes(self) -> list[Route]:
        """Every address, in the order of matching."""

    @staticmethod
    def capability() -> CapabilityPart:
        """What the protocol adds to the CapabilityStatement."""
