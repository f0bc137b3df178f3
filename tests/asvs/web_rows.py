"""V3 (browser), V4 (HTTP), V12 (TLS), V13 (configuration) and what pages send."""

import contextlib
import importlib
import re
import ssl
from collections.abc import Iterator
from typing import Any
from unittest import mock

import httpx
import jinja2
import uvicorn
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from asvs_made import (
    Place,
    Plant,
    check,
    documented,
    no_script,
    patched,
    planted_script,
    planted_source,
    planted_template,
    somebody,
    templates,
    without,
)
from galenic.custody import server_session
from galenic.errors import AccessDeniedError, ConfigurationError, RecordError
from galenic.records import source
from galenic.records.exchange import client as exchange
from galenic.security import Fact
from galenic.server import acceptor, app, connections, http_protocol, request_bodies, request_limits, start
from galenic.server.certificate import own_certificate
from galenic.server.console import authorization, datasets, rendering, session, sign_in
from galenic.server.console.session import Console
from galenic.server.endpoints import fhir, smart
from server_made import free_port
from systems_made import add_client, issue_token

listeners = importlib.import_module("galenic.server.listeners")


def bare(place: Place) -> httpx.Client:
    return place.site.browser().web


def header(place: Place, name: str, where: str = "/sign-in") -> str:
    somebody(place) if not place.site.installation.people.any() else None
    return bare(place).get(where).headers.get(name, "")


def less(name: bytes) -> Plant:
    """A plant: answers without one header."""
    return patched(app, "HEADERS", [h for h in app.HEADERS if h[0] != name])


def served(path: str, text: str = "planted", status: int = 200) -> Plant:
    """A plant: an address that answers, whatever the method."""

    def plant(_place: Place) -> Any:
        before = app.Dispatcher.__call__

        async def doors(self: Any, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == path:
                await PlainTextResponse(text, status)(scope, receive, send)
            else:
                await before(self, scope, receive, send)

        return mock.patch.object(app.Dispatcher, "__call__", doors)

    return plant


def retemplated(old: str, new: str) -> Plant:
    """A plant: other words in every template."""

    def plant(place: Place) -> Any:
        renderer = place.site.console.renderer

        class Other(jinja2.FileSystemLoader):
            def get_source(self, environment: jinja2.Environment, template: str) -> Any:
                text, file, fresh = super().get_source(environment, template)
                return text.replace(old, new), file, fresh

        loader = renderer.environment.loader
        pages = jinja2.Environment(loader=Other(loader.searchpath), autoescape=True, trim_blocks=True)
        return mock.patch.object(renderer, "environment", pages)

    return plant


def unescaped(place: Place) -> Any:
    """A plant: templates that do not escape."""
    renderer = place.site.console.renderer
    return mock.patch.object(
        renderer, "environment", jinja2.Environment(loader=renderer.environment.loader, autoescape=False, trim_blocks=True)
    )


# V1: what goes out


@check("V1.1.2", "V1.2.1", plant=unescaped)
def pages_escape_what_they_show(place: Place) -> None:
    assert "<b>evil" not in bare(place).post("/sign-in", data={"name": '"><b>evil', "password": "wrong-wrong-wrong"}).text


@check("V1.2.2", plant=patched(sign_in, "local_path", lambda place: place))
def addresses_are_built_of_safe_parts(place: Place) -> None:
    somebody(place)  # before the first account exists every page leads to the set-up
    text = bare(place).get("/sign-in", params={"next": "javascript:alert(1)"}).text
    assert "javascript:" not in text


@check(
    "V1.2.3",
    plant=lambda _p: mock.patch.object(
        fhir, "operation_outcome", lambda *issues: ('{"issue": "' + str(issues) + '"}').encode()
    ),
)
def errors_are_json_whatever_is_in_them(place: Place) -> None:
    answer = ehr(place).get('/fhir/Patient?a"b=1')
    assert answer.status_code == 400
    try:
        answer.json()
    except ValueError:
        raise AssertionError("no JSON") from None


def ehr(place: Place) -> httpx.Client:
    """A client of the FHIR door that may do everything."""
    if "ehr" not in place.kept:
        installation = place.site.installation
        add_client(installation, "ehr")
        token = issue_token(installation, "ehr")
        head = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        place.kept["ehr"] = place.site.stack.enter_context(
            httpx.Client(base_url=place.site.base, headers=head, trust_env=False)
        )
    found: httpx.Client = place.kept["ehr"]
    return found


@check("V1.3.1", "V3.2.2", plant=planted_template("<p>{{ name | safe }}</p>"))
def no_template_shows_anything_as_html(place: Place) -> None:
    assert not re.search(r"\|\s*safe|autoescape\s+false|Markup", templates(place))


# V3: the browser


@check("V3.2.1", "V3.4.4", plant=less(b"x-content-type-options"))
def types_are_not_guessed(place: Place) -> None:
    for where in ("/sign-in", "/static/console.js", "/fhir/metadata", "/nowhere"):
        assert header(place, "x-content-type-options", where) == "nosniff", where


def cookies(place: Place, base: str) -> str:
    console = Console(place.site.installation, place.site.console.repository, base)
    answer = console.remember_device(console.with_session(Response(), "secret"), "somebody")
    return "\n".join(v for n, v in answer.headers.items() if n == "set-cookie")


@check("V3.3.1", "V3.3.3", plant=patched(Console, "secure", property(lambda _self: False)))
def cookies_are_of_this_host_over_tls(place: Place) -> None:
    for line in cookies(place, "https://galenic.example").splitlines():
        assert line.startswith("__Host-"), line
        assert "Secure" in line


def _set_cookie(**wrong: Any) -> Plant:
    before = Response.set_cookie
    return lambda _place: mock.patch.object(Response, "set_cookie", lambda self, *a, **k: before(self, *a, **{**k, **wrong}))


@check("V3.3.2", plant=_set_cookie(samesite=None))
def cookies_stay_on_this_site(place: Place) -> None:
    for line in cookies(place, "https://galenic.example").splitlines():
        assert "SameSite=lax" in line


@check("V3.3.4", plant=_set_cookie(httponly=False))
def scripts_see_no_cookie(place: Place) -> None:
    for line in cookies(place, "https://galenic.example").splitlines():
        assert "HttpOnly" in line


@check("V3.4.1", plant=less(b"strict-transport-security"))
def browsers_come_back_by_tls_alone(place: Place) -> None:
    said = header(place, "strict-transport-security")
    found = re.search(r"max-age=(\d+)", said)
    assert found
    assert int(found[1]) >= 365 * 86_400
    assert "includeSubDomains" in said


@check("V3.4.2", plant=patched(app, "HEADERS", [*app.HEADERS, (b"access-control-allow-origin", b"*")]))
def no_other_origin_reads_answers(place: Place) -> None:
    for where in ("/sign-in", "/fhir/metadata"):
        answer = bare(place).get(where, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers


@check("V3.4.3", plant=patched(rendering, "CONTENT_POLICY", "default-src 'self'; object-src *"))
def pages_run_what_is_theirs_alone(place: Place) -> None:
    said = header(place, "content-security-policy")
    assert "default-src 'none'" in said
    assert "base-uri 'none'" in said
    assert "unsafe" not in said
    assert "object-src" not in said


@check("V3.4.5", plant=less(b"referrer-policy"))
def addresses_are_not_told_to_others(place: Place) -> None:
    assert header(place, "referrer-policy") == "no-referrer"


@check("V3.4.6", plant=less(b"content-security-policy"))
def nothing_may_be_framed_by_others(place: Place) -> None:
    for where in ("/sign-in", "/static/console.js", "/fhir/metadata"):
        assert "frame-ancestors 'none'" in header(place, "content-security-policy", where), where


@check("V3.5.1", plant=lambda _p: mock.patch.object(session.hmac, "compare_digest", lambda *_a: True))
def forms_of_other_sites_are_refused(place: Place) -> None:
    web = somebody(place).web
    assert web.post("/account/sessions", data={"csrf": "0" * 40}).status_code == 403


@check("V3.5.2", plant=patched(fhir, "TAKES", (*fhir.TAKES, "text/plain")))
def what_a_form_could_send_is_no_request_to_fhir(place: Place) -> None:
    answer = ehr(place).post("/fhir/Patient", content='{"resourceType":"Patient"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


@check("V3.5.3", plant=served("/sign-out"))
def what_changes_something_is_no_get(place: Place) -> None:
    web = somebody(place).web
    for where in ("/sign-out", "/people/leave", "/releases/x/sign", "/keys/rotate"):
        assert web.get(where).status_code in (404, 405), where


check("V3.5.5", plant=planted_script('addEventListener("message", (e) => run(e.data));'))(
    no_script(r"[\"']message[\"']", "onmessage")
)
check("V3.7.1", plant=planted_template("<embed src='x.swf'><applet></applet>"))(
    lambda place: (
        None if not re.search(r"<(object|embed|applet)\b", templates(place)) else (_ for _ in ()).throw(AssertionError())
    )
)


@check(
    "V3.7.2",
    "V10.4.1",
    plant=patched(
        authorization.AuthorizationPages, "_app", lambda self, parameters: self.installation.apps.get(parameters["client_id"])
    ),
)
def nobody_is_sent_to_an_address_that_was_not_registered(place: Place) -> None:
    installation = place.site.installation
    installation.apps.add("chart", ("https://chart.example/back",), "user/*.rs")
    web = somebody(place).web
    for wrong in ("https://evil.example/", "https://chart.example/back/..", "https://chart.example/back?x"):
        asked = {"client_id": "chart", "redirect_uri": wrong, "response_type": "code"}
        assert web.get("/authorize", params=asked).status_code == 403, wrong


# V4: HTTP


@check("V4.1.1", plant=patched(HTMLResponse, "charset", "latin-1"))
def answers_say_what_they_are(place: Place) -> None:
    assert header(place, "content-type") == "text/html; charset=utf-8"
    assert header(place, "content-type", "/fhir/metadata").startswith("application/fhir+json")


@check("V4.1.2", plant=served("/fhir/Patient", status=301))
def systems_are_not_redirected(place: Place) -> None:
    assert bare(place).get("/fhir/Patient").status_code == 401


@check("V4.1.3", "V15.3.4", plant=patched(sign_in, "address_of", lambda r: r.headers.get("x-forwarded-for", "")))
def nobody_says_where_they_come_from(place: Place) -> None:
    class Request:
        headers: dict[str, str] = {"x-forwarded-for": "6.6.6.6"}  # noqa: RUF012

        class client:  # noqa: N801
            host = "127.0.0.1"

    assert sign_in.address_of(Request) == "127.0.0.1"  # type: ignore[arg-type]
    assert listeners.config_of(lambda *_a: None, listeners.Listener("127.0.0.1", 0)).proxy_headers is False  # type: ignore[arg-type]


graphql = without("graphql", "strawberry", "ariadne", "graphene")
check("V4.3.1", "V4.3.2", plant=planted_source("import graphene"))(graphql)


class _Talking(uvicorn.Config):
    def load(self) -> None:
        super().load()
        self.ws = "auto"


@check("V4.4.1", "V4.4.2", "V4.4.3", "V4.4.4", plant=patched(listeners.uvicorn, "Config", _Talking))
def there_are_no_websockets(place: Place) -> None:
    assert listeners.config_of(lambda *_a: None, listeners.Listener("127.0.0.1", 0)).ws == "none"  # type: ignore[arg-type]


# V5: files


@check("V5.2.1", plant=patched(request_limits, "LARGEST_PASSWORD_FORM", 2**30))
def bodies_are_as_large_as_was_promised(place: Place) -> None:
    given = {"Content-Type": "application/x-www-form-urlencoded"}
    for size in (2**14, 2**16):
        assert bare(place).post("/sign-in", content=b"name=" + b"x" * size, headers=given).status_code == 413


@check("V5.2.3", plant=patched(fhir, "PLAIN", ("", "identity", "gzip")))
def packed_bodies_are_not_unpacked(place: Place) -> None:
    answer = ehr(place).post("/fhir/Patient", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


@check("V5.3.1", plant=served("/incoming/table.csv"))
def what_was_sent_is_served_nowhere(place: Place) -> None:
    for where in ("/static/../incoming/table.csv", "/incoming/table.csv"):
        answer = bare(place).send(bare(place).build_request("GET", place.site.base + where))
        assert answer.status_code == 404


# V12: TLS


def _context(place: Place, *, clients: bool = False) -> ssl.SSLContext:
    certificate, key = own_certificate(place.folder / "tls", "localhost")
    context = listeners.Listener("127.0.0.1", 0, certificate, key, certificate if clients else None).tls
    assert context is not None
    return context


def _old(_self: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


OLD = patched(listeners.Listener, "tls", property(_old))


@check("V12.1.1", plant=OLD)
def tls_is_1_3_and_nothing_older(place: Place) -> None:
    assert _context(place).minimum_version == ssl.TLSVersion.TLSv1_3


@check("V12.1.2", plant=OLD)
def ciphers_are_the_recommended_ones(place: Place) -> None:
    context = _context(place)
    usable = [
        c["name"]
        for c in context.get_ciphers()
        if context.minimum_version < ssl.TLSVersion.TLSv1_3 or c["protocol"] == "TLSv1.3"
    ]
    assert usable
    assert all(re.search(r"AES_(128|256)_GCM|CHACHA20_POLY1305", n) for n in usable), usable


@check("V12.1.3", plant=OLD)
def services_show_a_certificate_that_is_known(place: Place) -> None:
    assert _context(place, clients=True).verify_mode == ssl.CERT_REQUIRED


@check("V12.2.1", plant=patched(start, "LOCAL", (*start.LOCAL, "0.0.0.0")))
def others_are_not_served_without_tls(place: Place) -> None:
    def begun(_house: Any) -> None:
        raise AssertionError("it would have served without TLS")

    with mock.patch.object(start.setup, "server_session", begun), contextlib.suppress(ConfigurationError):
        start.prepare_server(place.site.installation, start.ServerOptions(host="0.0.0.0", plain=True)).__enter__()


@check("V12.3.1", "V12.3.3", plant=patched(exchange, "origin_of", lambda _url: "https://anywhere:443"))
def calls_out_are_by_tls(place: Place) -> None:
    try:
        exchange.declare(place.site.installation.facts, "plain", ("http://other.example",), by="check", internal=True)
    except ConfigurationError:
        return
    raise AssertionError("declared without TLS")


@contextlib.contextmanager
def _tls_server(place: Place) -> Iterator[tuple[int, str]]:
    """(port, certificate) of a server whose certificate no public authority signed."""
    certificate, key = own_certificate(place.folder / "tls", "localhost")
    port = free_port()
    with listeners.running_servers([(PlainTextResponse("here"), listeners.Listener("127.0.0.1", port, certificate, key))]):
        yield port, certificate.read_text(encoding="utf-8")


def _call(place: Place, name: str, port: int, authority: str = "") -> exchange.Reply:
    installation = place.site.installation
    exchange.declare(installation.facts, name, (f"https://localhost:{port}",), by="check", internal=True, authority=authority)
    installation.gate.versions.refresh()
    with installation.gate.open(server_session(installation), "call", f"outside/{name}", "sign-in") as handle:
        return exchange.call(handle, f"https://localhost:{port}/")


def _trusting(_place: Place) -> Any:
    def context(**_given: Any) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made

    return mock.patch.object(exchange.ssl, "create_default_context", context)


@check("V12.3.2", plant=_trusting)
def certificates_of_others_are_checked(place: Place) -> None:
    with _tls_server(place) as (port, _certificate):
        try:
            _call(place, "unknown", port)
        except RecordError:
            return
    raise AssertionError("a certificate that nobody signed was taken")


@check(
    "V12.3.4",
    plant=lambda _p: mock.patch.object(
        exchange.ssl, "create_default_context", lambda **_g: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ),
)
def the_houses_own_authority_is_the_one_that_counts(place: Place) -> None:
    with _tls_server(place) as (port, certificate):
        try:
            assert _call(place, "known", port, certificate).status == 200
        except RecordError:
            raise AssertionError("the declared authority is not taken") from None


# V13: configuration


@check("V13.1.1", plant=lambda place: mock.patch.object(place, "document", place.document.replace("`sign-in`", "")))
def whom_it_calls_is_documented(place: Place) -> None:
    rules = [r for r in place.site.installation.policies.active().rules if "call" in r.actions]
    for purpose in {p for r in rules for p in r.purposes}:
        assert f"`{purpose}`" in place.document, purpose


@check("V13.2.1", plant=patched(smart, "SECONDS", 10**8))
def tokens_of_systems_are_short(place: Place) -> None:
    assert smart.SECONDS <= 3_600
    documented(place, "lifetime of a system's access token, seconds", smart.SECONDS)


@check("V13.2.3", plant=patched(session.secrets, "token_hex", lambda *_a: "default-code"))
def there_is_no_set_up_code_for_all(place: Place) -> None:
    one, two = (Console(place.site.installation, place.site.console.repository, "https://x").set_up_code for _ in range(2))
    assert one != two
    assert len(one) >= 16


def _declared(place: Place) -> Any:
    @contextlib.contextmanager
    def plant() -> Iterator[None]:
        facts, gate = place.site.installation.facts, place.site.installation.gate
        facts.put(Fact("destination", "anywhere", "allowed", "anywhere", body=(("origins", ["https://x:443"]),)))
        gate.versions.refresh()
        try:
            yield
        finally:
            facts.put(Fact("destination", "anywhere", "removed", "anywhere"))
            gate.versions.refresh()

    return plant()


@check("V13.2.4", "V13.2.5", plant=_declared)
def what_was_not_declared_is_not_called(place: Place) -> None:
    installation = place.site.installation
    try:
        with installation.gate.open(server_session(installation), "call", "outside/anywhere", "sign-in"):
            pass
    except AccessDeniedError:
        return
    raise AssertionError("a destination that nobody declared")


@check("V13.4.1", plant=served("/.git/config"))
def no_source_control_is_served(place: Place) -> None:
    for where in ("/.git/config", "/.git/HEAD", "/.svn/entries", "/static/.git/config"):
        assert bare(place).get(where).status_code == 404


@check("V13.4.2", "V16.5.1", plant=patched(fhir, "status_of", lambda _error: (400, "invalid")))
def failures_of_ours_say_nothing_of_themselves(place: Place) -> None:
    from galenic.errors import InternalError

    body = bytes(fhir.refusal(InternalError("inner words of table originals"), "number").body)
    assert b"inner words" not in body
    assert b"number" in body


@check("V13.4.3", plant=served("/static/"))
def folders_are_not_listed(place: Place) -> None:
    for where in ("/static/", "/static", "/releases/../static/"):
        assert bare(place).get(where, follow_redirects=False).status_code in (307, 404, 405)


@check("V13.4.4", plant=served("/sign-in"))
def trace_is_not_answered(place: Place) -> None:
    for where in ("/sign-in", "/fhir/metadata"):
        assert bare(place).request("TRACE", where).status_code in (400, 404, 405, 501)


@check("V13.4.5", plant=served("/metrics"))
def watching_is_for_this_machine_alone(place: Place) -> None:
    for where in ("/metrics", "/ready", "/live", "/docs", "/redoc"):
        assert bare(place).get(where).status_code == 404, where


# V14: what is sent and kept


def _by_address(_place: Place) -> Any:
    before = app.Dispatcher.__call__

    async def doors(self: Any, scope: Any, receive: Any, send: Any) -> None:
        found = re.search(rb"access_token=([^&]+)", scope.get("query_string", b""))
        if found:
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer " + found[1])]}
        await before(self, scope, receive, send)

    return mock.patch.object(app.Dispatcher, "__call__", doors)


@check("V14.2.1", plant=_by_address)
def tokens_do_not_stand_in_addresses(place: Place) -> None:
    token = ehr(place).headers["authorization"].partition(" ")[2]
    assert bare(place).get("/fhir/Patient", params={"access_token": token}).status_code == 401


@check("V14.2.2", "V14.3.2", plant=less(b"cache-control"))
def answers_are_kept_by_nobody(place: Place) -> None:
    for where in ("/sign-in", "/fhir/metadata"):
        assert header(place, "cache-control", where) == "no-store"


@check("V14.2.3", plant=retemplated("</head>", '<script src="https://tracker.example/t.js"></script></head>'))
def pages_load_nothing_from_elsewhere(place: Place) -> None:
    text = somebody(place).web.get("/account").text
    assert not re.search(r"(?:src|href|action)=[\"']?(?:https?:)?//", text)


def _kept_on(_place: Place) -> Any:
    before = app.RequestMiddleware.__call__

    async def around(self: Any, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [h for h in message["headers"] if h[0].lower() != b"clear-site-data"]
            await send(message)

        await before(self, scope, receive, sending)

    return mock.patch.object(app.RequestMiddleware, "__call__", around)


@check("V14.3.1", plant=_kept_on)
def signing_out_clears_the_browser(place: Place) -> None:
    browser = somebody(place)
    answer = browser.web.post("/sign-out", data={"csrf": browser.csrf()})
    assert '"storage"' in answer.headers.get("clear-site-data", "")


check("V14.3.3", plant=planted_script("localStorage.setItem('name', name);"))(
    no_script("localStorage", "sessionStorage", "indexedDB", r"document\.cookie")
)
check("V15.3.6", plant=planted_script("function merge(a, b) { for (const k in b) a[k] = b[k]; a.__proto__.x = 1; }"))(
    no_script("__proto__", r"for \(const \w+ in ", r"Object\.assign\(\{\}")
)


@check("V15.3.2", plant=lambda _p: mock.patch.object(exchange, "_call", _followed))
def redirects_of_others_are_not_followed(place: Place) -> None:
    installation = place.site.installation
    exchange.declare(installation.facts, "redirecting", (place.site.base,), by="check", internal=True)
    installation.gate.versions.refresh()
    with installation.gate.open(server_session(installation), "call", "outside/redirecting", "sign-in") as handle:
        assert exchange.call(handle, f"{place.site.base}/account").status == 303


def _followed(_known: Any, url: str, headers: Any, _body: Any) -> exchange.Reply:
    answer = httpx.get(url, headers=headers, follow_redirects=True, trust_env=False)
    return exchange.Reply(answer.status_code, dict(answer.headers), answer.content)


@check("V15.3.7", plant=lambda _p: mock.patch.object(smart, "parse_qs", _last))
def a_parameter_stands_once(place: Place) -> None:
    form = "grant_type=password&grant_type=client_credentials&client_assertion_type=x"
    answer = bare(place).post("/auth/token", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.json()["error"] == "invalid_request"


def _last(text: str, **_more: Any) -> dict[str, list[str]]:
    from urllib.parse import parse_qs

    return {k: v[-1:] for k, v in parse_qs(text).items()}


@check("V10.4.7", plant=served("/register"))
def nobody_registers_an_application_by_themselves(place: Place) -> None:
    for where in ("/register", "/auth/register"):
        assert bare(place).post(where, json={"redirect_uris": ["https://evil.example"]}).status_code in (404, 405)


@check("V7.4.4", plant=retemplated('<form method="post" action="/sign-out">', "<form hidden>"))
def every_page_has_the_way_out(place: Place) -> None:
    browser = somebody(place, "auditor", "privacy-officer")
    for where in ("/", "/account", "/audit", "/budget", "/releases", "/nowhere"):
        page = browser.web.get(where)
        assert where == "/nowhere" or 'action="/sign-out"' in page.text, where


@check("V10.1.1", plant=retemplated("</main>", "{{ user.secret }}</main>"))
def the_sessions_secret_is_in_its_cookie_alone(place: Place) -> None:
    browser = somebody(place)
    assert browser.web.cookies["galenic"] not in browser.web.get("/account").text


@check("V6.2.6", plant=retemplated('type="password"', 'type="text"'))
def passwords_are_masked(place: Place) -> None:
    answer = bare(place).get("/sign-in")
    assert re.search(r'<input id="password"[^>]*type="password"', answer.text), (answer.status_code, answer.text)


@check("V6.2.7", plant=retemplated('"autocomplete": "current-password"', '"autocomplete": "off", "onpaste": "return false"'))
def password_managers_may_help(place: Place) -> None:
    somebody(place) if not place.site.installation.people.any() else None
    text = bare(place).get("/sign-in").text
    assert 'autocomplete="current-password"' in text
    assert "onpaste" not in text


check("V6.4.2", plant=planted_template("<label>Your mother's maiden name</label><p>Hint</p>"))(
    lambda place: (
        None
        if not re.search(r"(?i)maiden|secret question|password hint|>hint<", templates(place))
        else (_ for _ in ()).throw(AssertionError())
    )
)


@check("V5.1.1", plant=patched(app, "LARGEST_TABLE", 2**20))
def what_may_be_sent_is_documented(place: Place) -> None:
    documented(place, "maximum size of an uploaded table (.csv or .parquet), bytes", app.LARGEST_TABLE)
    documented(place, "maximum rows of an uploaded table", datasets.MOST_ROWS)
    documented(place, "maximum memory of an uploaded table, bytes", datasets.MOST_BYTES)
    documented(place, "maximum columns of a table", source.MOST_COLUMNS)


@check("V2.1.3", plant=patched(app, "LARGEST_FORM", 7))
def limits_are_documented(place: Place) -> None:
    from galenic.custody.fhir import resource_checks
    from galenic.jobs import bulk_export
    from galenic.server import authentication
    from galenic.server.endpoints import bulk as bulk_door

    documented(place, "maximum body of a FHIR request, bytes", authentication.LARGEST_BODY)
    documented(place, "maximum body of a web form, bytes", app.LARGEST_FORM)
    documented(place, "maximum operations in a JSON Patch", resource_checks.MOST_CHANGES)
    documented(place, "maximum size of a resource after a JSON Patch, bytes", resource_checks.LARGEST_PATCHED)
    documented(place, "maximum concurrent exports per client", bulk_export.MOST_AT_ONCE)
    documented(place, "maximum status requests per export per ten seconds", bulk_door.POLLS)
    documented(place, "maximum response from another system, bytes", exchange.MOST)


@check("V15.1.3", plant=patched(connections, "IN_ALL", 10**6))
def what_takes_long_is_documented(place: Place) -> None:
    documented(place, "maximum concurrent connections", connections.IN_ALL)
    documented(place, "maximum concurrent connections per IP address", connections.PER_ADDRESS)
    documented(place, "maximum time for a TLS handshake, seconds", int(acceptor.HANDSHAKE_SECONDS))
    documented(place, "maximum time to receive request headers, seconds", int(http_protocol.HEAD_SECONDS))
    documented(place, "maximum time to receive a request body, seconds", int(http_protocol.BODY_SECONDS))
    documented(place, "maximum time for a client to read a response, seconds", int(http_protocol.READ_SECONDS))
    documented(place, "maximum size of request headers, bytes", http_protocol.LARGEST_HEAD)
    documented(place, "maximum headers per request", http_protocol.MOST_HEADERS)
    documented(place, "maximum request body before sign-in, bytes", request_limits.LARGEST_ANONYMOUS)
    documented(place, "maximum form with a password, bytes", request_limits.LARGEST_PASSWORD_FORM)
    documented(place, "maximum time to receive a request body before sign-in, seconds", int(request_bodies.ANONYMOUS_SECONDS))
    documented(place, "minimum number of clients that can use up one of these totals", request_bodies.SHARE)
    documented(place, "maximum total of all bodies before sign-in, bytes", request_limits.ANONYMOUS_BYTES)
    documented(place, "maximum total of all bodies after sign-in, bytes", request_limits.SIGNED_IN_BYTES)
    documented(place, "maximum total of concurrent table uploads, bytes", request_limits.UPLOAD_BYTES)
    documented(place, "maximum concurrent password checks", request_limits.PASSWORDS_AT_ONCE)
    assert "worker process" in place.document
