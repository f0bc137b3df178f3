"""Limits on bodies that stall, and on clients that have whole networks of IPv6 addresses."""

import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

import orjson
import pytest

from galenic.errors import AccessDeniedError
from galenic.installation import open_installation
from galenic.security import sign_in_limits
from galenic.security.refusals import PER_ADDRESS, RefusalLog
from galenic.security.sign_in_limits import SignInAttempt
from galenic.server import connections, request_bodies, request_limits
from galenic.server.connections import ConnectionTable, HandshakeRate
from site_made import Site, a_site
from systems_made import add_client, issue_token


def stalled(stack: ExitStack, port: int, source: str, head: str, size: int) -> socket.socket:
    """A connection that has sent all of a body but its last byte."""
    link = stack.enter_context(socket.socket())
    link.bind((source, 0))
    link.connect(("127.0.0.1", port))
    link.sendall(f"POST {head}\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode() + b"a" * (size - 1))
    return link


FORM = "HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Example", "text": "x" * 150}]}


@pytest.mark.parametrize("sources", [2, 16])
@pytest.mark.parametrize(("place", "size"), [("/auth/token", 65_536), ("/sign-in", 65_536), ("/sign-in", 16_384)])
def test_stalled_bodies_keep_nobody_from_signing_in_or_writing(site: Site, place: str, size: int, sources: int) -> None:
    port = int(site.base.rpartition(":")[2])
    site.grown("sofia")
    add_client(site.installation, "ehr", role="service")
    token = issue_token(site.installation, "ehr", scope="system/*.cruds", purposes=("treatment",))
    with ExitStack() as stack:
        for n in range(180):
            stalled(stack, port, f"127.0.0.{2 + n % sources}", f"{place} {FORM}", size)
        time.sleep(0.5)
        assert site.browser().password("sofia").status_code == 303
        given = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        web = site.browser(**given).web
        assert web.post("/fhir/Patient", content=orjson.dumps(PATIENT)).status_code == 201


def test_a_body_before_sign_in_has_ten_seconds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert request_bodies.ANONYMOUS_SECONDS == 10
    monkeypatch.setattr(request_bodies, "ANONYMOUS_SECONDS", 0.5)
    port = int(site.base.rpartition(":")[2])
    add_client(site.installation, "ehr", role="service")
    token = issue_token(site.installation, "ehr", scope="system/*.cruds", purposes=("treatment",))
    body = orjson.dumps(PATIENT)
    head = f"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    with ExitStack() as stack:
        slow = stalled(stack, port, "127.0.0.1", f"/sign-in {FORM}", 10_000)
        slow.settimeout(5)
        known = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        known.sendall(f"{head}Authorization: Bearer {token}\r\n\r\n".encode())
        assert slow.recv(12) == b"HTTP/1.1 408"
        time.sleep(0.5)
        known.sendall(body)
        assert known.recv(12) == b"HTTP/1.1 201", "whoever has signed in may take longer"


def test_one_client_leaves_room_for_the_bodies_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "SIGNED_IN_BYTES", 2**20)
    with a_site(tmp_path / "home") as site, ExitStack() as stack:
        port, tokens = int(site.base.rpartition(":")[2]), {}
        for name in ("greedy", "other"):
            add_client(site.installation, name, role="service")
            tokens[name] = issue_token(site.installation, name, scope="system/*.cruds", purposes=("treatment",))
        head = f"/fhir/Patient HTTP/1.1\r\nContent-Type: application/fhir+json\r\nAuthorization: Bearer {tokens['greedy']}"
        for _ in range(8):
            stalled(stack, port, "127.0.0.1", head, 130_000)
        time.sleep(0.5)
        given = {"Authorization": f"Bearer {tokens['other']}", "Content-Type": "application/fhir+json"}
        body = orjson.dumps({**PATIENT, "name": [{"text": "x" * 100_000}]})
        assert site.browser(**given).web.post("/fhir/Patient", content=body).status_code == 201


def ipv6(number: int) -> str:
    """An address in a network /64 of its own, all of them in one /48."""
    return f"2001:db8:1:{number:x}::1"


def test_a_site_of_ipv6_keeps_no_idle_client_out() -> None:
    table, closed = ConnectionTable(), list[str]()
    table.admit("198.51.100.7", lambda: closed.append("honest"))
    for n in range(connections.IN_ALL + 20):
        table.admit(ipv6(n), lambda: closed.append("attack"))
    assert set(closed) == {"attack"}


def test_a_site_of_ipv6_has_a_rate_of_handshakes() -> None:
    rate = HandshakeRate()
    allowed = sum(rate.allows(ipv6(n)) for n in range(4_000))
    assert allowed < 1_000


def test_failures_in_one_network_of_ipv6_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_limits, "PLACE", 5)
    with closing(open_installation(tmp_path / "home")) as installation:
        limits = installation.people.limits

        def tried(name: str, address: str) -> bool:
            try:
                limits.require_allowed(SignInAttempt(name, address, ""))
            except AccessDeniedError:
                return False
            return True

        assert sum(tried(f"subscriber-{n}", f"2001:db8:9:1::{n:x}") for n in range(1, 40)) == 5
        assert sum(tried(f"site-{n}", ipv6(n)) for n in range(1, 100)) == 20
        assert tried("other", "2001:db8:77::1")


def test_refusals_of_one_network_of_ipv6_have_few_rows() -> None:
    rows: list[dict[str, object]] = []
    log = RefusalLog(lambda *given, **detail: rows.append(detail))
    for n in range(1_000):
        log.add("session.refused", "name", f"2001:db8:9:1::{n:x}")
    log.flush()
    assert len(rows) == PER_ADDRESS + 1
