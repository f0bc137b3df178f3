"""To other systems and back in a real browser, past the pages' Content-Security-Policy: the identity provider, an application."""

import base64
import hashlib
import http.server
import re
import secrets
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from browser_made import a_browser
from galenic.security import token_name
from galenic.server.identity_provider import ProviderSettings, add_provider
from provider_made import SECRET, a_provider
from server_made import free_port
from site_made import Site


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with a_browser() as browser:
        yield browser


@pytest.fixture
def application() -> Iterator[tuple[str, list[str]]]:
    """(address to come back to, what came) of an application."""
    came: list[str] = []

    class Back(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"back at the application")

        def log_message(self, *_given: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Back)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/back", came
    server.shutdown()
    server.server_close()


def signed_in(site: Site, chromium: Any, name: str) -> Any:
    """A page of somebody who has just confirmed that it is them."""
    page = chromium.new_context().new_page()
    first = site.installation.people.begin(name, "test", page.evaluate("navigator.userAgent"))
    found = site.installation.gate.session(token_name(first))
    assert found
    page.context.add_cookies(
        [{"name": "galenic", "value": site.installation.people.step_up(found[0], "test"), "url": site.base}]
    )
    return page


def test_the_provider_is_linked_and_signed_in_with(site: Site, chromium: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    site.grown("sofia")
    with a_provider(free_port(), f"{site.base}/sign-in/with/clinic/back") as provider:
        provider.human.amr = ["mfa"]
        add_provider(
            site.installation,
            "clinic",
            ProviderSettings(provider.issuer, "galenic", SECRET, display_name="the clinic", internal=True, trust_mfa=True),
        )
        page = signed_in(site, chromium, "sofia")
        page.goto(f"{site.base}/account")
        page.get_by_role("button", name="Link to the clinic").click()
        page.get_by_text("Linked to the clinic.").wait_for()
        other = chromium.new_context().new_page()
        other.goto(f"{site.base}/sign-in?next=/account")
        other.get_by_role("link", name="Sign in with the clinic").click()
        other.wait_for_url(f"{site.base}/account")
        assert "with a second factor there" in other.inner_text("body")
        other.get_by_role("button", name=re.compile("^Account of")).click()
        other.get_by_role("button", name="Sign out").click()
        other.wait_for_url("**/sign-in**")


def test_an_application_is_let_read(site: Site, chromium: Any, application: tuple[str, list[str]]) -> None:
    back, came = application
    site.grown("sofia")
    site.installation.apps.add("growth", (back,), "user/*.rs", shown="Growth chart", by="sofia")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(secrets.token_bytes(32)).digest()).decode().rstrip("=")
    asked = {
        "response_type": "code", "client_id": "growth", "redirect_uri": back, "scope": "user/*.rs", "state": "s",
        "aud": f"{site.base}/fhir", "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    page = signed_in(site, chromium, "sofia")
    page.goto(f"{site.base}/authorize?{urlencode(asked)}")
    page.get_by_role("button", name="Allow", exact=True).click()
    page.get_by_text("back at the application").wait_for()
    said = parse_qs(urlsplit(next(p for p in came if p.startswith("/back"))).query)
    assert said["state"] == ["s"]
    assert len(said["code"][0]) >= 40
    page.goto(f"{site.base}/account")
    assert "Growth chart" not in page.inner_text("body"), "a code alone reads nothing yet"
