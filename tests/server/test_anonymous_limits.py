"""Limits on clients that have not signed in: silent connections, large heads and bodies, and the addresses behind a proxy."""

import base64
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galenic.errors import ConfigurationError
from galenic.installation import open_installation
from galenic.security.refusals import IN_ALL, MOST_ADDRESSES, PER_ADDRESS, RefusalLog
from galenic.server import (
    Listener,
    ServerOptions,
    acceptor,
    connections,
    make_app,
    prepare_server,
    running_servers,
    setup,
)
from galenic.server.connections import ConnectionTable, HandshakeRate, source_of
from galenic.server.console import datasets
from galenic.server.endpoints.smart import BEARER_TYPE
from galenic.server.proxies import TrustedProxies
from galenic.server.request_limits import LARGEST_ANONYMOUS
from server_made import free_port
from site_made import Site


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with TLS."""
    options = ServerOptions(port=free_port(), simulated=0)
    with ExitStack() as stack:
        installation = open_installation(tmp_path_factory.mktemp("anonymous") / "home")
        stack.callback(installation.close)
        stack.enter_context(running_servers(stack.enter_context(prepare_server(installation, options))))
        yield options.port


def connected(stack: ExitStack, port: int, count: int, source: str = "127.0.0.1") -> list[socket.socket]:
    links = []
    for _ in range(count):
        link = stack.enter_context(socket.socket())
        link.bind((source, 0))
        link.connect(("127.0.0.1", port))
        links.append(link)
    return links


def ended(link: socket.socket, seconds: float = 5) -> bool:
    """Whether the server has ended a connection."""
    link.settimeout(seconds)
    try:
        return not link.recv(1)
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_silent_connections_keep_nobody_out(site: Site, source: str) -> None:
    port = int(site.base.rpartition(":")[2])
    with ExitStack() as stack, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as before:
        assert before.get("/sign-in").status_code in (200, 303, 307)
        connected(stack, port, 600, source)
        assert before.get("/sign-in").status_code in (200, 303, 307), "a connection that was there"
        assert site.browser().web.get("/sign-in").status_code in (200, 303, 307), "a new one"


def test_a_new_connection_takes_the_place_of_the_oldest_of_its_address(site: Site) -> None:
    port = int(site.base.rpartition(":")[2])
    with ExitStack() as stack:
        links = connected(stack, port, connections.PER_ADDRESS + 10, "127.0.0.3")
        assert all(ended(link) for link in links[:10])
        assert not ended(links[-1], 0.2)


def test_signed_in_and_busy_connections_give_way_last() -> None:
    table, closed = ConnectionTable(), list[str]()
    signed_in = table.admit("192.0.2.1", lambda: closed.append("signed in"))
    busy = table.admit("192.0.2.1", lambda: closed.append("busy"))
    assert signed_in
    assert busy
    signed_in.signed_in, busy.busy = True, True
    for n in range(connections.PER_ADDRESS):
        assert table.admit("192.0.2.1", lambda n=n: closed.append(f"silent {n}"))  # type: ignore[misc]
    assert closed == ["silent 0", "silent 1"]


def test_the_address_with_the_most_connections_gives_way() -> None:
    table, closed = ConnectionTable(), list[str]()
    table.admit("198.51.100.7", lambda: closed.append("honest"))
    for n in range(connections.IN_ALL + 20):
        table.admit(f"192.0.2.{n % 8}", lambda: closed.append("attack"))
    assert len(table) == connections.IN_ALL
    assert set(closed) == {"attack"}


def test_a_trusted_proxy_has_no_limit_of_its_own() -> None:
    table, closed = ConnectionTable(lambda address: address == "127.0.0.1"), list[str]()
    for _ in range(connections.IN_ALL):
        table.admit("127.0.0.1", lambda: closed.append("proxy"))
    assert not closed


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_subscriber_of_ipv6_counts_once(address: str, source: str) -> None:
    assert source_of(address) == source


def test_handshakes_of_one_address_have_a_rate_and_others_are_let_in() -> None:
    rate = HandshakeRate()
    allowed = sum(rate.allows("192.0.2.1") for _ in range(2_000))
    assert connections.BURST + connections.SHARED_BURST <= allowed < 500
    assert rate.allows("192.0.2.2")


def test_a_handshake_has_a_time_limit(secure: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert acceptor.HANDSHAKE_SECONDS == 10
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 0.5)
    for sent in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01"):
        with socket.create_connection(("127.0.0.1", secure)) as link:
            link.sendall(sent)
            started = time.monotonic()
            assert ended(link)
            assert time.monotonic() - started < 4


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(secure: int) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", secure)) as link, context.wrap_socket(link) as talk:
            talk.sendall(b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert talk.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 303")


def answer(port: int, *parts: bytes) -> bytes:
    """The beginning of what a server answers to these bytes."""
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        try:
            for part in parts:
                link.sendall(part)
        except ConnectionError:
            pass
        try:
            return link.recv(4_000)
        except ConnectionError:
            return b""


START = b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param([START + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n"], id="one header"),
        pytest.param([START + b"X-A: ", *[b"a" * 10_000] * 100], id="a header without an end"),
        pytest.param([START + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n"], id="200 headers"),
        pytest.param([b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"], id="an address"),
    ],
)
def test_a_large_head_is_refused(site: Site, head: list[bytes]) -> None:
    assert answer(int(site.base.rpartition(":")[2]), *head)[:12] in (b"HTTP/1.1 431", b"")
    assert site.browser().web.get("/sign-in").status_code in (200, 303, 307)


CHUNKED = b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"1;", id="a chunk's extension without an end"),
        pytest.param(b"0\r\nX-A: ", id="a trailer without an end"),
    ],
)
def test_what_follows_a_head_is_limited_too(site: Site, rest: bytes) -> None:
    port = int(site.base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        link.sendall(CHUNKED + rest)
        with pytest.raises(ConnectionError):
            for _ in range(2_000):
                link.sendall(b"a" * 10_000)


def test_requests_sent_ahead_are_limited(site: Site) -> None:
    port = int(site.base.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        try:
            link.sendall((START + b"\r\n") * 5_000)
            received = b""
            while part := link.recv(65_536):
                received += part
        except ConnectionError:
            pass
    assert received.count(b"HTTP/1.1 200") + received.count(b"HTTP/1.1 303") < 5_000


@pytest.mark.parametrize(
    ("place", "kind", "status"),
    [
        ("/fhir/Patient", "application/fhir+json", b"401"),
        ("/fhir/$validate", "application/fhir+json", b"401"),
        ("/fhir/Patient/_search", "application/x-www-form-urlencoded", b"401"),
        ("/auth/token", "application/x-www-form-urlencoded", b"413"),
        ("/data/bring", "multipart/form-data; boundary=x", b"401"),
        ("/sign-in", "application/x-www-form-urlencoded", b"413"),
    ],
)
def test_a_large_body_is_not_read_before_sign_in(site: Site, place: str, kind: str, status: bytes) -> None:
    head = (
        f"POST {place} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {LARGEST_ANONYMOUS + 1}\r\n\r\n"
    )
    assert answer(int(site.base.rpartition(":")[2]), head.encode())[9:12] == status, "answered though no body came"


def test_a_chunked_body_is_cut_off_before_sign_in(site: Site) -> None:
    part = b"%x\r\n" % 60_000 + b"a" * 60_000 + b"\r\n"
    assert answer(int(site.base.rpartition(":")[2]), CHUNKED, part, part)[9:12] in (b"401", b"413")


def test_an_upload_needs_the_role_before_it_is_read(site: Site) -> None:
    sofia = site.grown("sofia")
    given = {"Content-Type": "multipart/form-data; boundary=x"}
    answered = sofia.web.post("/data/bring", content=b"a" * (LARGEST_ANONYMOUS + 1), headers=given)
    assert answered.status_code == 403


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        pytest.param({}, "127.0.0.1", id="none"),
        pytest.param({"x-forwarded-for": "198.51.100.7"}, "198.51.100.7", id="one hop"),
        pytest.param({"x-forwarded-for": "192.0.2.9, 198.51.100.7"}, "198.51.100.7", id="the client invents a hop"),
        pytest.param({"x-forwarded-for": "198.51.100.7, 10.1.2.3"}, "198.51.100.7", id="two trusted proxies"),
        pytest.param({"x-forwarded-for": "198.51.100.7:4711"}, "198.51.100.7", id="with a port"),
        pytest.param({"x-forwarded-for": "[2001:db8::1]:4711"}, "2001:db8::1", id="IPv6 with a port"),
        pytest.param({"x-forwarded-for": "unknown"}, "127.0.0.1", id="no address"),
        pytest.param({"x-forwarded-for": "198.51.100.7, '; DROP"}, "127.0.0.1", id="rubbish nearest to us"),
        pytest.param({"forwarded": "for=192.0.2.9, for=198.51.100.7;proto=https"}, "198.51.100.7", id="RFC 7239"),
        pytest.param({"forwarded": 'by=10.1.2.3;For="[2001:db8::1]:4711"'}, "2001:db8::1", id="RFC 7239, quoted"),
        pytest.param(
            {"forwarded": "for=192.0.2.9", "x-forwarded-for": "198.51.100.7"}, "127.0.0.1", id="the two headers disagree"
        ),
    ],
)
def test_a_trusted_proxy_says_who_the_client_is(headers: dict[str, str], client: str) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    proxies = TrustedProxies(["127.0.0.1", "10.0.0.0/8"])
    assert proxies.client("127.0.0.1", raw) == client
    assert proxies.client("203.0.113.5", raw) == "203.0.113.5", "another peer is not believed"
    assert TrustedProxies().client("127.0.0.1", raw) == "127.0.0.1", "nobody is, unless it is set"


def test_two_headers_of_one_name_are_read_in_their_order() -> None:
    raw = [(b"x-forwarded-for", b"192.0.2.9"), (b"x-forwarded-for", b"198.51.100.7")]
    assert TrustedProxies(["127.0.0.1"]).client("127.0.0.1", raw) == "198.51.100.7"


def test_a_network_that_is_none_is_refused(tmp_path: Path) -> None:
    installation = open_installation(tmp_path / "home")
    options = ServerOptions(plain=True, trusted_proxies=("10.0.0.0/99",))
    with pytest.raises(ConfigurationError, match="--trusted-proxy"), prepare_server(installation, options):
        pass
    installation.close()


def test_make_app_believes_the_proxies_it_is_given(tmp_path: Path) -> None:
    with ExitStack() as stack:
        installation = open_installation(tmp_path / "home")
        stack.callback(installation.close)
        repository = setup.open_served(installation)
        stack.callback(repository.close)
        port, proxies = free_port(), TrustedProxies(["127.0.0.1"])
        app = make_app(repository, f"http://127.0.0.1:{port}", proxies=proxies)
        stack.enter_context(running_servers([(app, Listener("127.0.0.1", port, proxies=proxies))]))
        installation.people.set_up("sofia", "sofia@clinic.example", "Sofia", "orbit-walnut-thirteen-lanterns")
        web = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False))
        for client in ("198.51.100.7", "198.51.100.8"):
            web.post("/sign-in", data={"name": "x", "password": "y"}, headers={"X-Forwarded-For": client})
        rows = [e for e in installation.audit.entries() if e.action == "session.refused"]
        assert len(rows) == 2


# sign-in, and the rows that strangers can write


def test_failures_of_made_up_names_at_one_address_lock_nobody_out(site: Site) -> None:
    site.grown("sofia")
    attacker = site.browser()
    for n in range(60):
        assert attacker.password(f"made-up-{n}", "wrong-password").status_code == 400
    assert site.browser().password("sofia").status_code == 303, "a new device of somebody else, from the same address"
    for _ in range(5):
        attacker.password("sofia", "wrong-password")
    assert attacker.password("sofia").status_code == 400, "guesses at one account stay limited"


def test_the_rows_of_refusals_are_bounded_and_counted(site: Site) -> None:
    form = {"grant_type": "client_credentials", "client_assertion_type": BEARER_TYPE, "client_assertion": "a.b.c"}
    web = site.browser().web
    for _ in range(200):
        assert web.post("/auth/token", data=form).status_code == 401
    site.installation.audit.refusals.flush()
    rows = [e for e in site.installation.audit.entries() if e.action == "client.refused"]
    assert len(rows) <= PER_ADDRESS + 1
    assert sum(int(e.detail.get("count", 1)) for e in rows) == 200
    assert {e.detail["address"] for e in rows} == {"127.0.0.1"}


def test_refusals_of_many_addresses_are_bounded_too() -> None:
    rows: list[dict[str, object]] = []
    log = RefusalLog(lambda *given, **detail: rows.append(detail))
    for n in range(5_000):
        log.add("session.refused", f"name-{n}", f"192.0.2.{n}")
    log.flush()
    assert len(rows) <= IN_ALL + MOST_ADDRESSES + 1
    assert sum(int(str(r.get("count", 1))) for r in rows) == 5_000


def test_questions_for_passkeys_write_nothing(site: Site) -> None:
    web, db = site.browser().web, site.installation.db
    before = db.rows("SELECT count(*) FROM once", ())[0][0]
    challenges = {web.post("/sign-in/passkey/begin").json()["challenge"] for _ in range(20)}
    assert len(challenges) == 20
    answered = {"credential": {"id": "x", "response": {"clientDataJSON": "e30"}}}
    assert web.post("/sign-in/passkey", json=answered).status_code == 403
    assert db.rows("SELECT count(*) FROM once", ())[0][0] == before


@pytest.mark.parametrize(
    "payload",
    [pytest.param("[" * 4_000, id="JSON that is nested"), pytest.param('{"iss":' + "9" * 4_000 + "}", id="a long number")],
)
def test_an_assertion_that_exhausts_the_parser_is_refused(site: Site, payload: str) -> None:
    part = base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")
    for assertion in (f"e30.{part}.x", f"{part}.e30.x"):
        form = {"grant_type": "client_credentials", "client_assertion_type": BEARER_TYPE, "client_assertion": assertion}
        assert site.browser().web.post("/auth/token", data=form).status_code == 401


def test_a_deep_policy_is_refused_on_its_page(site: Site) -> None:
    sofia = site.grown("sofia")
    form = {"csrf": sofia.csrf(), "text": "a = " + "[" * 20_000 + "]" * 20_000}
    assert sofia.web.post("/policy/try", data=form).status_code == 400


@pytest.mark.parametrize(
    ("name", "expected"), [("wide.csv", "columns"), ("long.parquet", "bytes in memory"), ("zip.parquet", "damaged zip archive")]
)
def test_a_table_that_would_exhaust_the_server_is_refused_and_removed(
    site: Site, tmp_path: Path, name: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "MOST_BYTES", 2**24)
    site.grown("sofia")
    ines = site.grown("ines")
    site.installation.people.grant("ines", "ines@clinic.example", "integration-engineer", by="sofia", approved="otto")
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"patient": ["a"] * 1_000, "note": long}), tmp_path / "long.parquet", store_schema=False)
    (tmp_path / "wide.csv").write_text(",".join(f"c{n}" for n in range(100_000)) + "\n" + ",".join("1" * 100_000) + "\n")
    (tmp_path / "zip.parquet").write_bytes(b"PK\x03\x04" + bytes(100))
    form = {"csrf": ines.csrf(), "name": "t", "patient": "patient"}
    answered = ines.web.post("/data/bring", data=form, files={"table": (name, (tmp_path / name).read_bytes())})
    assert answered.status_code == 400
    assert expected in answered.text
    assert not list((site.installation.home / "incoming").iterdir())
