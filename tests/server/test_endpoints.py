"""Every protocol of the server is registered, described and served."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from galenic.server import endpoints, openapi
from galenic.server.capability import capability_statement
from galenic.server.endpoints import ENDPOINTS, ServedRepository
from server_made import Fhir


def test_each_module_of_endpoints_is_one_registered_protocol() -> None:
    modules = {m.name for m in pkgutil.iter_modules(endpoints.__path__)} - {"endpoint", "registry"}
    assert modules == set(ENDPOINTS)
    for name, endpoint in ENDPOINTS.items():
        module = importlib.import_module(f"galenic.server.endpoints.{name}")
        found = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__name__.endswith("Endpoint")]
        assert found == [endpoint]


def test_every_protocol_serves_addresses_and_describes_them(served: Callable[..., Fhir]) -> None:
    repository = served("ehr").repository
    described = set(openapi.PATHS)
    for name, endpoint in ENDPOINTS.items():
        assert endpoint(ServedRepository(repository, "https://example.org")).routes()
        assert name in described
    assert described == set(ENDPOINTS)


def test_the_capability_statement_joins_what_the_protocols_declare() -> None:
    parts = tuple(endpoint.capability() for endpoint in ENDPOINTS.values())
    statement = capability_statement("https://example.org/fhir", parts).decode()
    for part in parts:
        assert part.security or part.operations
        assert all(definition in statement for _name, definition in part.operations)
