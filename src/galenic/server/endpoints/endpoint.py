"""Interface of a protocol that the server supports."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import Route

from galenic.custody.fhir import FhirRepository
from galenic.server.capability import CapabilityPart
from galenic.server.fair_pool import FairPool

THREADS = 12  # threads for short requests; more would only compete for the interpreter
SEARCHES = max(3, (os.cpu_count() or 1) + 1)  # threads for searches, one of them reserved for light searches
SLICE_SECONDS = 1.0  # time limit of a search on the thread for light searches
BUNDLES = 8  # threads for Bundles and conditional interactions


@dataclass(frozen=True)
class ServedRepository:
    """Served repository, and the threads that the endpoints share. url: public URL of the server. Reads and writes of one
    resource never wait for a search or a Bundle."""

    repository: FhirRepository
    url: str
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "fhir"))
    searches: FairPool = field(default_factory=lambda: FairPool("search", SEARCHES, SLICE_SECONDS))
    bundles: FairPool = field(default_factory=lambda: FairPool("bundle", BUNDLES))


class Endpoint(Protocol):
    """One protocol. Each has its own module in this package and an entry in ENDPOINTS."""

    def __init__(self, served: ServedRepository) -> None: ...

    def routes(self) -> list[Route]:
        """Routes in the order of matching."""

    @staticmethod
    def capability() -> CapabilityPart:
        """Part of the CapabilityStatement that the protocol adds."""
