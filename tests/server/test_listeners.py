"""Listeners: TLS 1.3 alone, certificates of services, slow and broken requests, health, and an end that waits."""

import http.client
import importlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from galenic.errors import ConfigurationError
from galenic.installation import open_installation
from galenic.server import ServerOptions, prepare_server, running_servers
from server_made import free_port


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, int, Path]]:
    """(port of TLS, port of mTLS, port of health, folder with the services' authority)."""
    folder = tmp_path_factory.mktemp("listeners")
    authority(folder)
    tls, mutual, watch = free_port(), free_port(), free_port()
    options = ServerOptions(port=tls, clients=folder / "ca.pem", clients_port=mutual, watch_port=watch, simulated=0)
    with ExitStack() as stack:
        installation = open_installation(folder / "home")
        stack.callback(installation.close)
        stack.enter_context(running_servers(stack.enter_context(prepare_server(installation, options))))
        yield tls, mutual, watch, folder


def authority(folder: Path) -> None:
    """An authority of services, and one service's certificate."""
    import datetime

    now, keys = datetime.datetime.now(datetime.UTC), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in ("services", "lab")]
    for i, file in enumerate(("ca", "lab")):
        made = (
            x509.CertificateBuilder().subject_name(names[i]).issuer_name(names[0]).public_key(keys[i].public_key())
            .serial_number(i + 1).not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=i == 0, path_length=None), critical=True).sign(keys[0], hashes.SHA256())
        )  # fmt: skip
        (folder / f"{file}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pem = keys[i].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{file}.key").write_bytes(pem)


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "home" / "tls" / "certificate.pem")


def test_tls_is_1_3_and_nothing_older(secure: tuple[int, int, int, Path]) -> None:
    tls, _mutual, _watch, folder = secure
    context = trusting(folder)
    with socket.create_connection(("127.0.0.1", tls)) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as talk:
        assert talk.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", tls)) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_services_show_a_certificate_of_their_authority(secure: tuple[int, int, int, Path]) -> None:
    _tls, mutual, _watch, folder = secure
    address = f"https://127.0.0.1:{mutual}/fhir/metadata"
    with httpx.Client(verify=trusting(folder), trust_env=False) as stranger, pytest.raises(httpx.TransportError):
        stranger.get(address)
    context = trusting(folder)
    context.load_cert_chain(folder / "lab.pem", folder / "lab.key")
    with httpx.Client(verify=context, trust_env=False) as lab:
        assert lab.get(address).status_code == 200


def test_health_and_numbers_are_apart(secure: tuple[int, int, int, Path]) -> None:
    tls, _mutual, watch, folder = secure
    with httpx.Client(verify=trusting(folder), trust_env=False) as web:
        assert web.get(f"http://127.0.0.1:{watch}/live").text == "alive"
        assert web.get(f"http://127.0.0.1:{watch}/ready").text == "ready"
        web.get(f"https://127.0.0.1:{tls}/fhir/metadata")
        numbers = web.get(f"http://127.0.0.1:{watch}/metrics").text
        assert "galenic_request_seconds_count" in numbers
        assert web.get(f"https://127.0.0.1:{tls}/metrics").status_code == 404


def test_who_sends_slowly_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = importlib.import_module("galenic.server.http_protocol")
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 1.0)
    monkeypatch.setattr(protocol, "DISCARD_SECONDS", 0.5)
    installation = open_installation(tmp_path / "home")
    port = free_port()
    with prepare_server(installation, ServerOptions(port=port, plain=True, simulated=0)) as pairs, running_servers(pairs):
        for sent in (b"", b"GET /fhir/metadata HTT", b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"):
            with socket.create_connection(("127.0.0.1", port)) as slow:
                slow.sendall(sent)
                slow.settimeout(5)
                started = time.monotonic()
                while slow.recv(1_000):
                    pass
                assert time.monotonic() - started < 4
        assert httpx.get(f"http://127.0.0.1:{port}/fhir/metadata", trust_env=False).status_code == 200
    installation.close()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", id="both lengths"),
        pytest.param(b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", id="two lengths"),
        pytest.param(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n", id="a bare line feed"),
        pytest.param(b"GET /fhir/metadata HTTP/1.1\r\nHost : x\r\n\r\n", id="a space before the colon"),
        pytest.param(b"POST /fhir HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="an encoding that is none"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="a version that is none"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01", id="no HTTP at all"),
        pytest.param(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="an endless address"),
    ],
)  # fmt: skip
def test_what_two_servers_could_read_differently_is_refused(secure: tuple[int, int, int, Path], raw: bytes) -> None:
    _tls, _mutual, watch, _folder = secure  # the same protocol, without TLS
    with socket.create_connection(("127.0.0.1", watch)) as talk:
        talk.settimeout(15)
        answer = b""
        try:
            talk.sendall(raw)
            while part := talk.recv(10_000):
                answer += part
        except (ConnectionError, TimeoutError):
            pass
    assert answer.count(b"HTTP/1.1 ") <= 1, "one request, one answer"
    assert not answer.startswith(b"HTTP/1.1 2"), answer[:100]


def test_without_tls_only_this_machine_is_served(tmp_path: Path) -> None:
    installation = open_installation(tmp_path / "home")
    with (
        pytest.raises(ConfigurationError, match="this machine"),
        prepare_server(installation, ServerOptions(host="0.0.0.0", plain=True)),
    ):
        pass
    with (
        pytest.raises(ConfigurationError, match="key"),
        prepare_server(installation, ServerOptions(certificate=tmp_path / "c.pem")),
    ):
        pass
    installation.close()


def test_a_new_installation_is_served_by_one_command_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port()
    words = [sys.executable, "-m", "galenic", "serve", "--port", str(port), "--simulated", "3"]
    server = subprocess.Popen(
        words, env={**os.environ, "GALENIC_HOME": str(tmp_path / "home")}, stdout=subprocess.PIPE, text=True
    )
    try:
        for _ in range(240):
            try:
                talk = http.client.HTTPSConnection("localhost", port, context=ssl._create_unverified_context(), timeout=5)
                talk.request("GET", "/fhir/metadata")
                answer = talk.getresponse()
                answer.read()
                assert answer.status == 200
                break
            except OSError:
                talk.close()
                time.sleep(0.25)
        talk.request("GET", "/")
        answer = talk.getresponse()
        answer.read()
        assert answer.headers["location"] == "/set-up"
        talk.close()
    finally:
        server.send_signal(signal.SIGTERM)
        said, _ = server.communicate(timeout=60)
    assert server.returncode in (0, -signal.SIGTERM, 143)
    assert "set-up code" in said
    assert "Certificate SHA-256" in said
