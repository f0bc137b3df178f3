"""Sign-in by the site's identity provider: a real one, honest and then not."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from galenic.custody import server_session
from galenic.errors import AccessDeniedError, ConfigurationError, OptionError, RecordError
from galenic.records.exchange import client as exchange
from galenic.server.console import external_login
from galenic.server.identity_provider import ProviderSettings, add_provider
from provider_made import SECRET, Provider, a_provider
from server_made import free_port
from site_made import Browser, Site


@pytest.fixture
def provider(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the provider speaks without TLS, on this machine
    with a_provider(free_port(), f"{site.base}/sign-in/with/clinic/back") as made:
        add_provider(
            site.installation,
            "clinic",
            ProviderSettings(made.issuer, "galenic", SECRET, display_name="the clinic", internal=True, trust_mfa=True),
        )
        yield made


def through(browser: Browser, start: httpx.Response) -> httpx.Response:
    """Follows to the provider and back, as a browser does."""
    assert start.status_code == 303, start.text
    at_provider = httpx.get(start.headers["location"], trust_env=False)
    assert at_provider.status_code == 302, at_provider.text
    return browser.web.get(at_provider.headers["location"])


def link(browser: Browser) -> httpx.Response:
    csrf = browser.csrf()
    browser.web.post("/confirm", data={"csrf": csrf, "code": browser.code()})
    return through(browser, browser.web.post("/account/link", data={"csrf": browser.csrf(), "name": "clinic"}))


def test_who_is_linked_signs_in_and_shows_a_second_factor_where_the_provider_did_not_ask(
    site: Site, provider: Provider
) -> None:
    sofia = site.grown("sofia")
    assert "/account" in link(sofia).headers["location"]
    fresh = site.browser()
    assert "Sign in with the clinic" in fresh.web.get("/sign-in").text
    answer = through(fresh, fresh.web.get("/sign-in/with/clinic", params={"next": "/account"}))
    assert answer.headers["location"].startswith("/sign-in/second")
    assert fresh.web.get("/account").status_code == 303, "half a session is none"
    assert fresh.second(sofia.code()).headers["location"] == "/"
    assert "Linked to clinic" in fresh.web.get("/account").text
    provider.human.amr = ["pwd", "mfa"]
    strong = site.browser()
    answer = through(strong, strong.web.get("/sign-in/with/clinic", params={"next": "/account"}))
    assert answer.headers["location"] == "/account"
    assert "with a second factor there" in strong.web.get("/account").text


def test_an_invited_person_needs_no_password_here(site: Site, provider: Provider) -> None:
    sofia = site.grown("sofia")
    sofia.web.post("/confirm", data={"csrf": sofia.csrf(), "code": sofia.code()})
    form = {"csrf": sofia.csrf(), "name": "rita", "shown": "Rita", "human": "rita@clinic.example", "role": "researcher"}
    place = re.search(r"http://\S+(/invitation/[\w-]+)", sofia.web.post("/people/invite", data=form).text)
    assert place
    provider.human.amr = ["mfa"]
    rita = site.browser()
    answer = through(rita, rita.web.get(f"{place[1]}/with/clinic"))
    assert answer.headers["location"] == "/"
    assert "Rita" in rita.web.get("/").text
    assert site.installation.people.credentials.kinds("rita") == {"openid"}
    again = site.browser()
    assert through(again, again.web.get(f"{place[1]}/with/clinic")).status_code == 403, "an invitation counts once"
    site.installation.people.leave(_stepped(site, sofia), "rita")
    assert rita.web.get("/").headers["location"] == "/sign-in"
    gone = site.browser()
    assert through(gone, gone.web.get("/sign-in/with/clinic")).status_code == 403


def _stepped(site: Site, browser: Browser) -> Any:
    from galenic.security import token_name

    found = site.installation.gate.session(token_name(browser.web.cookies["galenic"]))
    assert found
    return found[0]


def test_a_stranger_of_the_provider_is_nobody_here(site: Site, provider: Provider) -> None:
    sofia = site.grown("sofia")
    link(sofia)
    provider.human.subject = "somebody-else"
    other = site.browser()
    answer = through(other, other.web.get("/sign-in/with/clinic"))
    assert answer.status_code == 403
    assert "nobody here is linked" in answer.text
    provider.human.subject = "248289761001"
    rita = site.grown("rita")
    assert link(rita).status_code == 403, "the provider's person is sofia's already"


def _none(claims: dict[str, Any]) -> str:
    import base64
    import json

    pack = [base64.urlsafe_b64encode(json.dumps(x).encode()).decode().rstrip("=") for x in ({"alg": "none"}, claims)]
    return ".".join([*pack, ""])


def _hmac(provider: Provider, claims: dict[str, Any]) -> str:
    import base64
    import hashlib
    import hmac
    import json

    pack = [
        base64.urlsafe_b64encode(json.dumps(x).encode()).decode().rstrip("=") for x in ({"alg": "HS256", "kid": "one"}, claims)
    ]
    mac = hmac.new(provider.key.as_pem(private=False), ".".join(pack).encode(), hashlib.sha256).digest()
    return ".".join([*pack, base64.urlsafe_b64encode(mac).decode().rstrip("=")])


Plant = Callable[[Provider, dict[str, Any]], Any]
PLANTED: dict[str, Plant] = {
    "another issuer": lambda p, c: p.signed({**c, "iss": "https://evil.example"}),
    "another audience": lambda p, c: p.signed({**c, "aud": "another-client"}),
    "several audiences, not for us": lambda p, c: p.signed({**c, "aud": ["galenic", "other"], "azp": "other"}),
    "another nonce": lambda p, c: p.signed({**c, "nonce": "of-another-sign-in"}),
    "no nonce": lambda p, c: p.signed({k: v for k, v in c.items() if k != "nonce"}),
    "over": lambda p, c: p.signed({**c, "exp": int(time.time()) - 120}),
    "no end": lambda p, c: p.signed({k: v for k, v in c.items() if k != "exp"}),
    "from the future": lambda p, c: p.signed({**c, "iat": int(time.time()) + 3600, "nbf": int(time.time()) + 3600}),
    "nobody": lambda p, c: p.signed({**c, "sub": ""}),
    "a list of people": lambda p, c: p.signed({**c, "sub": ["248289761001"]}),
    "another key of the same name": lambda p, c: p.signed(c, key=p.other),
    "a key that the token brings": lambda p, c: p.signed(c, key=p.other, header={"jwk": p.other.as_dict(private=False)}),
    "another access token": lambda p, c: p.signed({**c, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    "no algorithm": lambda _p, c: _none(c),
    "public key as a secret": _hmac,
    "no token at all": lambda _p, _c: "",
    "words": lambda _p, _c: "not.a.token",
}


def test_what_a_false_token_says_is_not_believed(site: Site, provider: Provider) -> None:
    sofia = site.grown("sofia")
    link(sofia)
    provider.human.amr = ["mfa"]
    for name, plant in PLANTED.items():
        provider.said = lambda claims, plant=plant: plant(provider, claims)
        browser = site.browser()
        answer = through(browser, browser.web.get("/sign-in/with/clinic"))
        assert answer.status_code == 403, name
        assert "galenic" not in browser.web.cookies, name
    provider.said = provider.signed
    honest = site.browser()
    assert through(honest, honest.web.get("/sign-in/with/clinic")).status_code == 303, "the same, honest"


def test_a_sign_in_is_the_browsers_that_began_it_and_counts_once(site: Site, provider: Provider) -> None:
    sofia = site.grown("sofia")
    link(sofia)
    provider.human.amr = ["mfa"]
    mine = site.browser()
    start = mine.web.get("/sign-in/with/clinic")
    asked = parse_qs(urlsplit(start.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    back = httpx.get(start.headers["location"], trust_env=False).headers["location"]
    victim = site.browser()
    assert victim.web.get(back).status_code == 403, "an attacker's sign-in does not become another browser's (login CSRF)"
    own = site.browser()
    own.web.get("/sign-in/with/clinic")
    assert own.web.get(back).status_code == 403, "nor where that browser has begun one of its own"
    cookie = dict(mine.web.cookies)
    assert mine.web.get(f"{back}&iss=https://evil.example").status_code == 403, "another provider's answer"
    mine = site.browser()
    back = httpx.get(mine.web.get("/sign-in/with/clinic").headers["location"], trust_env=False).headers["location"]
    kept = mine.web.cookies["galenic-provider"]
    assert mine.web.get(back).status_code == 303
    thief = site.browser()
    assert thief.web.get(back, headers={"Cookie": f"galenic-provider={kept}"}).status_code == 403, "used"
    assert cookie


def test_a_provider_that_says_it_is_somebody_else_or_leads_elsewhere_is_refused(site: Site, provider: Provider) -> None:
    site.grown("sofia")
    provider.metadata = {"issuer": "https://evil.example"}
    assert site.browser().web.get("/sign-in/with/clinic").status_code == 403
    provider.metadata = {"token_endpoint": "http://169.254.169.254/latest/meta-data"}
    browser = site.browser()
    answer = through(browser, browser.web.get("/sign-in/with/clinic"))
    assert answer.status_code == 403, "what it says of itself leads to no address that it was not declared with (SSRF)"
    provider.metadata = {"authorization_endpoint": "javascript:alert(1)"}
    assert site.browser().web.get("/sign-in/with/clinic").status_code == 400
    provider.metadata = {}
    rows = [e for e in site.installation.audit.entries() if e.resource == "outside/clinic"]
    assert {e.action for e in rows} >= {"gate.opened"}, "each call out is a decision on the chain"


def test_a_stranger_does_not_make_the_server_call_without_end(
    site: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_login, "MOST_STARTS", 30)
    site.grown("sofia")
    stranger = site.browser()
    statuses = [stranger.web.get("/sign-in/with/clinic").status_code for _ in range(33)]
    assert statuses[:30] == [303] * 30
    assert statuses[30:] == [403] * 3
    calls = [e for e in site.installation.audit.entries() if e.action == "gate.opened" and e.resource == "outside/clinic"]
    assert len(calls) == 30


def test_calls_go_where_they_were_declared_to_and_nowhere_else(site: Site, provider: Provider) -> None:
    installation, session = site.installation, server_session(site.installation)
    with pytest.raises(AccessDeniedError, match="no-destination"):
        installation.gate.open(session, "call", "outside/nowhere", "sign-in")
    with pytest.raises(AccessDeniedError, match="no-permit"):
        installation.gate.open(session, "call", "outside/clinic", "treatment")
    with installation.gate.open(session, "call", "outside/clinic", "sign-in") as handle:
        with pytest.raises(AccessDeniedError, match="not belong to destination"):
            exchange.call(handle, f"http://127.0.0.1:{free_port()}/")
        with pytest.raises(AccessDeniedError, match="not belong to destination"):
            exchange.call(handle, provider.issuer.replace("127.0.0.1", "127.0.0.1.nip.example"))
        assert exchange.call(handle, f"{provider.issuer}/keys").status == 200
    for bad in ("ftp://x.example", "https://user@x.example", "file:///etc/passwd", "https://", "https://x:99999"):
        with pytest.raises(OptionError):
            exchange.origin_of(bad)
    with pytest.raises(ConfigurationError, match="without TLS"):
        exchange.declare(installation.facts, "plain", ("http://idp.example",), by="test", internal=True)
    exchange.declare(installation.facts, "outer", ("https://localhost:1",), by="test")
    with (
        installation.gate.open(session, "call", "outside/outer", "sign-in") as handle,
        pytest.raises(AccessDeniedError, match="internal network"),
    ):
        exchange.call(handle, "https://localhost:1/")
    exchange.declare(installation.facts, "down", ("https://localhost:1",), by="test", internal=True)
    with (
        installation.gate.open(session, "call", "outside/down", "sign-in") as handle,
        pytest.raises(RecordError, match="cannot be reached"),
    ):
        exchange.call(handle, "https://localhost:1/")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "0.0.0.0", "224.0.0.1", "100.64.0.1", "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
)  # fmt: skip
def test_addresses_of_the_houses_own_network_are_known_in_every_form(address: str) -> None:
    assert not exchange._public(address)
    assert exchange._public("9.9.9.9")
    assert exchange._public("2620:fe::fe")


def test_only_the_exchange_calls_out() -> None:
    """No other file of the package has a client of any kind."""
    from pathlib import Path

    import galenic

    clients = re.compile(
        r"^\s*(import|from) (httpx|httpcore|requests|urllib3|urllib\.request|aiohttp|http\.client|ftplib|smtplib)\b", re.M
    )
    root = Path(galenic.__file__).parent
    found = [str(p.relative_to(root)) for p in root.rglob("*.py") if clients.search(p.read_text(encoding="utf-8"))]
    assert sorted(found) == ["records/exchange/client.py", "security/root.py"], (
        "root: a key in the house's own vault, by its settings"
    )
