"""A console of its own for each test, and browsers without JavaScript for its people."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from galenic.installation import Installation, open_installation
from galenic.server import Listener, make_app, running_servers, setup
from galenic.server.console import Console
from server_made import free_port, next_code

PASSWORD = "orbit-walnut-thirteen-lanterns"
AGENT = "Mozilla/5.0 test"


@dataclass
class Browser:
    """A browser without JavaScript: cookies, forms, and the secret of an authenticator."""

    web: httpx.Client
    secret: str = ""
    used: list[str] = field(default_factory=list)

    def csrf(self, place: str = "/account") -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.web.get(place).text)
        assert found
        return found[1]

    def code(self) -> str:
        return next_code(self.secret, self.used)

    def password(self, name: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
        return self.web.post("/sign-in", data={"name": name, "password": password}, headers=headers)

    def second(self, code: str) -> httpx.Response:
        return self.web.post("/sign-in/second", data={"code": code})


@dataclass
class Site:
    base: str
    installation: Installation
    console: Console
    stack: ExitStack

    def browser(self, **headers: str) -> Browser:
        given = {"User-Agent": AGENT, **headers}
        return Browser(self.stack.enter_context(httpx.Client(base_url=self.base, timeout=60, trust_env=False, headers=given)))

    def grown(self, name: str) -> Browser:
        """Somebody with an account and an authenticator, signed in."""
        people = self.installation.people
        if people.get(name) is None:
            if not people.any():
                people.set_up(name, f"{name}@clinic.example", name, PASSWORD)
            else:
                people.write(name, f"{name}@clinic.example", name, "active", {"enrolls": "yes"})
                people.credentials.set_password(name, PASSWORD)
        found = self.browser()
        found.password(name)
        page = found.web.get("/sign-in/second").text
        secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
        assert secret
        found.secret = secret[1]
        assert "recovery codes" in found.second(found.code()).text
        return found


@contextmanager
def a_site(home: Path) -> Iterator[Site]:
    """A console and its FHIR door, without TLS, on this machine."""
    with ExitStack() as stack:
        installation = open_installation(home)
        repository = setup.open_served(installation)
        stack.callback(installation.close)
        stack.callback(repository.close)
        port = free_port()
        base = f"http://localhost:{port}"
        console = Console(installation, repository, base)
        stack.enter_context(running_servers([(make_app(repository, base, console), Listener("127.0.0.1", port))]))
        yield Site(base, installation, console, stack)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own."""
    with a_site(tmp_path / "home") as made:
        yield made
