"""A server of its own for each test module: an empty data set, a system that may do everything, two clinicians and their patients."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyotp
import pytest

from galenic.custody import fhir, server_session
from galenic.custody.access import record_care_relation
from galenic.installation import Installation, open_installation
from galenic.server import Listener, make_app, running_servers, setup
from systems_made import add_client, issue_token

JSON = "application/fhir+json"


@dataclass
class Fhir:
    """A client of the FHIR door with one access token."""

    web: httpx.Client
    token: str
    installation: Installation
    repository: fhir.FhirRepository
    extra: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request; names of headers with _ for -."""
        given = {"Authorization": f"Bearer {self.token}", **self.extra, **{k.replace("_", "-"): v for k, v in headers.items()}}
        content = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        if content is not None:
            kind = "application/json-patch+json" if method == "PATCH" else JSON
            given = {"Content-Type": kind, **given}
        return self.web.request(method, f"/fhir{path}", content=content, headers=given)

    def make(self, resource: dict[str, Any]) -> str:
        """Creates a resource; returns its id."""
        answer = self("POST", f"/{resource['resourceType']}", resource)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def found(self, query: str, **headers: str) -> list[str]:
        """Ids of what a search matches, in its order."""
        answer = self("GET", f"/{query}", **headers)
        assert answer.status_code == 200, answer.text
        return [e["resource"]["id"] for e in answer.json().get("entry", []) if e["search"]["mode"] == "match"]

    def along(self, query: str) -> set[str]:
        """Names of what a search includes."""
        answer = self("GET", f"/{query}")
        assert answer.status_code == 200, answer.text
        entries = answer.json().get("entry", [])
        return {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries if e["search"]["mode"] == "include"}


@contextmanager
def a_server(home: Path) -> Iterator[Callable[..., Fhir]]:
    """A server of its own; makes its clients."""
    with ExitStack() as stack:
        installation = open_installation(home)
        stack.callback(installation.close)
        repository = setup.open_served(installation)
        stack.callback(repository.close)
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        stack.enter_context(running_servers([(make_app(repository, base), Listener("127.0.0.1", port))]))
        web = stack.enter_context(httpx.Client(base_url=base, timeout=60, trust_env=False))

        def client(
            who: str, *, role: str = "service", scope: str = "system/*.cruds", purposes: str = "treatment operations"
        ) -> Fhir:
            if installation.facts.one("grant", f"{who}/{role}") is None:
                add_client(installation, who, role=role)
            token = issue_token(installation, who, scope=scope, purposes=tuple(purposes.split()))
            return Fhir(web, token, installation, repository)

        yield client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Fhir]]:
    """Makes clients of one server: served("ehr"), or served("clara", role="clinician")."""
    with a_server(tmp_path_factory.mktemp("served") / "home") as client:
        yield client


@pytest.fixture(scope="module")
def ehr(served: Callable[..., Fhir]) -> Fhir:
    """The hospital's own system: reads and writes every record."""
    return served("ehr")


def next_code(secret: str, used: list[str]) -> str:
    """A time code that was not shown yet: one that was counts no more, so the authenticator's clock runs ahead."""
    for step in (0, 30, -30):
        code = str(pyotp.TOTP(secret).at(int(time.time()) + step))
        if code not in used:
            used.append(code)
            return code
    raise AssertionError("no code is left in this half minute")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def treats(client: Fhir, patient: str, who: str) -> None:
    """Writes down that somebody treats a patient."""
    record_care_relation(client.installation, server_session(client.installation), "records", patient, who)


def observation(patient: str, code: str = "8480-6", value: float = 120, **more: Any) -> dict[str, Any]:
    """An Observation of a patient."""
    return {
        "resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": "Systolic blood pressure"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": value, "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}, **more,
    }  # fmt: skip


def home_of(client: Fhir) -> Path:
    """Where the house is."""
    return client.installation.home
