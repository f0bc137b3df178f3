"""The interface of a protocol that the server speaks."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import Route

from galenic.custody.fhir import FhirRepository
from galenic.server.capability import CapabilityPart
from galenic.server.fair_pool import FairPool

THREADS = 12  # that work on short requests at once; more would only wait for one another
SEARCHES = max(3, (os.cpu_count() or 1) + 1)  # threads for searches, of which one is for light ones
SLICE_SECONDS = 1.0  # of a search on the thread for light ones
BUNDLES = 8  # threads for Bundles and conditional interactions


@dataclass(frozen=True)
class ServedRepository:
    """The repository that the endpoints serve, and the threads that they share. url: of the server, as clients write it. Reads and
    writes of one resource never wait for a search or a Bundle."""

    repository: FhirRepository
    url: str
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "fhir"))
    searches: FairPool = field(default_factory=lambda: FairPool("search", SEARCHES, SLICE_SECONDS))
    bundles: FairPool = field(default_factory=lambda: FairPool("bundle", BUNDLES))


class Endpoint(Protocol):
    """One protocol. Each has a module of its own in this package and a line in ENDPOINTS."""

    def __init__(self, served: ServedRepository) -> None: ...

    def routes(self) -> list[Route]:
        """Every address, in the order of matching."""

    @staticmethod
    def capability() -> CapabilityPart:
        """Part of the CapabilityStatement that the protocol adds."""
