"""Anonymous connections: the memory and disk that 1,000 of them take, and the share of honest requests that is answered meanwhile."""

import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from rows import galenic

CONNECTIONS = int(os.environ.get("FAULTS_CONNECTIONS", "1000"))
SECONDS = float(os.environ.get("FAULTS_SECONDS", "40"))
SOURCES = [f"127.0.0.{n}" for n in range(2, 22)]  # addresses of this machine that the attack comes from
HEAD = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\n"
FORM = "application/x-www-form-urlencoded"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Example", "text": "x" * 150}]}


def measure(row: Callable[..., dict]) -> list[dict]:
    """Attacks one server from one address, then from 20, by nine kinds of connection at once."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with a_server(home) as (process, port):
            token = made_token(home)
            calm = attacked(port, token, [], process)  # what honest requests alone take is not the attack's
            first, before = rss(process), disk(home)
            one = attacked(port, token, ["127.0.0.1"], process)
            many = attacked(port, token, SOURCES, process)
            time.sleep(15)
            after, grown = rss(process), disk(home) - before
    peak = max(one["peak"], many["peak"]) - first
    taken = round(max(peak, 0) / 2**20 + max(grown, 0) / 2**20, 1)
    worst = min(one["answered"], many["answered"])
    about = {
        "peak memory MiB": round(peak / 2**20, 1), "memory 15 s later MiB": round((after - first) / 2**20, 1),
        "disk MiB": round(grown / 2**20, 2), "connections": CONNECTIONS, "seconds each": SECONDS,
        "without attack": calm["counts"], "p95 without attack ms": calm["p95"],
        "from one address": one["counts"], "from 20 addresses": many["counts"],
    }  # fmt: skip
    return [
        row("faults.anon.memory", "memory and disk that anonymous connections take at most", "MiB", taken, "≤ 64", taken <= 64,
            interval=about),
        row("faults.anon.answered", "honest requests answered meanwhile, the worse of two attacks", "%", round(100 * worst, 2),
            "≥ 99", worst >= 0.99, interval={"p95 ms": [one["p95"], many["p95"]], "answered": [one["counts"], many["counts"]]}),
    ]  # fmt: skip


@contextmanager
def a_server(home: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """A real server process with TLS and a few simulated patients."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = [sys.executable, "-m", "galenic", "serve", "--port", str(port), "--simulated", "3"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, env={**os.environ, "GALENIC_HOME": str(home)}, stdout=quiet, stderr=quiet)
    try:
        for _ in range(600):
            try:
                httpx.get(f"https://127.0.0.1:{port}/fhir/metadata", verify=False, trust_env=False, timeout=10)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield process, port
    finally:
        process.terminate()
        process.wait(60)


def made_token(home: Path) -> str:
    """A token of a system that may read everything."""
    galenic(home, "client", "add", "bench")
    return str(galenic(home, "client", "token", "bench")["access_token"])


def rss(process: subprocess.Popen) -> int:
    """Resident memory of the server's process in bytes."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024


def disk(home: Path) -> int:
    """Bytes of the installation, and of files without a name that the server has open."""
    return sum(f.stat().st_blocks * 512 for f in home.rglob("*") if f.is_file())


class Honest:
    """A client that reads and writes with its token and signs in, on a connection that it keeps or on a new one for each request."""

    def __init__(self, port: int, token: str, source: str, *, keep: bool) -> None:
        self.name = f"{source}, {'connection kept' if keep else 'new connections'}"
        self.keep, self.answered = keep, list[tuple[bool, float]]()
        self.given = {"local_address": source, "verify": False, "retries": 1}
        self.web = httpx.Client(
            transport=httpx.HTTPTransport(**self.given), headers={"Authorization": f"Bearer {token}"},
            base_url=f"https://127.0.0.1:{port}", timeout=10,
        )  # fmt: skip

    def ask(self, seconds: float) -> None:
        """Ten requests a second: eight reads, a write, and a sign-in, which is refused for its password and so was checked."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            started = time.monotonic()
            try:
                headers = {} if self.keep else {"Connection": "close"}
                answered = self._one(len(self.answered), headers)
            except httpx.TransportError:
                answered = False
            self.answered.append((answered, time.monotonic() - started))
            time.sleep(0.1)

    def _one(self, number: int, headers: dict[str, str]) -> bool:
        if number % 10 == 4:
            given = {**headers, "Content-Type": "application/fhir+json"}
            return self.web.post("/fhir/Patient", json=PATIENT, headers=given).status_code == 201
        if number % 10 == 9:
            form = {"name": f"nobody-{number}", "password": "orbit-walnut-thirteen"}
            return self.web.post("/sign-in", data=form, headers={**headers, "Authorization": ""}).status_code == 400
        return self.web.get("/fhir/Patient?_count=1", headers=headers).status_code == 200


def attacked(port: int, token: str, sources: list[str], process: subprocess.Popen) -> dict:
    """Responses to honest clients, and peak memory, while every kind of connection is held open and renewed."""
    clients = [
        Honest(port, token, "127.0.0.1", keep=True), Honest(port, token, "127.0.0.99", keep=True),
        Honest(port, token, "127.0.0.98", keep=False),
    ]  # fmt: skip
    for client in clients:
        client.ask(1.0)
        client.answered.clear()
    stop, peak = threading.Event(), [rss(process)]
    each = max(1, CONNECTIONS // len(KINDS))
    words = [sys.executable, __file__]
    kinds = KINDS if sources else ()
    attackers = [subprocess.Popen([*words, kind, str(port), str(each), str(SECONDS), *sources]) for kind in kinds]

    def watch() -> None:
        while not stop.is_set():
            peak[0] = max(peak[0], rss(process))
            time.sleep(0.05)

    threads = [threading.Thread(target=watch), *(threading.Thread(target=c.ask, args=(SECONDS,)) for c in clients)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    stop.set()
    threads[0].join()
    for attacker in attackers:
        attacker.terminate()
        attacker.wait()
    every = [one for c in clients for one in c.answered]
    p95 = round(1000 * statistics.quantiles([t for _ok, t in every], n=20)[-1])
    counts = {c.name: f"{sum(ok for ok, _t in c.answered)} of {len(c.answered)}" for c in clients}
    return {"peak": peak[0], "p95": p95, "answered": sum(ok for ok, _t in every) / len(every), "counts": counts}


# the attack, in processes of its own


def silent(link: socket.socket) -> None:
    """Says nothing."""


def half_handshake(link: socket.socket) -> None:
    """Begins to shake hands, and stops."""
    link.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01")


def slow_head(link: socket.socket) -> None:
    """Sends the beginning of a head."""
    secure(link).sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: local")


def slow_body(link: socket.socket) -> None:
    """Sends the beginning of a body."""
    secure(link).sendall((HEAD.format("/sign-in", FORM) + "Content-Length: 60000\r\n\r\n").encode() + b"a" * 50_000)


def stalled_body(link: socket.socket) -> None:
    """Sends all of a body but its last byte."""
    secure(link).sendall((HEAD.format("/auth/token", FORM) + "Content-Length: 65536\r\n\r\n").encode() + b"a" * 65_535)


def large_body(link: socket.socket) -> None:
    """Sends 32 MiB to the FHIR interface."""
    pour(secure(link), HEAD.format("/fhir/Patient", "application/fhir+json"), 32 * 2**20)


def large_form(link: socket.socket) -> None:
    """Sends 32 MiB to the token endpoint."""
    pour(secure(link), HEAD.format("/auth/token", FORM), 32 * 2**20)


def large_upload(link: socket.socket) -> None:
    """Sends 200 MiB as a table."""
    pour(secure(link), HEAD.format("/data/bring", "multipart/form-data; boundary=x"), 200 * 2**20)


def large_head(link: socket.socket) -> None:
    """Sends a header of 100 MB."""
    talk = secure(link)
    talk.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\nX-A: ")
    for _ in range(1_000):
        talk.sendall(b"a" * 100_000)


KINDS: dict[str, Callable[[socket.socket], None]] = {
    f.__name__: f
    for f in (silent, half_handshake, slow_head, slow_body, stalled_body, large_body, large_form, large_upload, large_head)
}


def secure(link: socket.socket) -> ssl.SSLSocket:
    """The connection with TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    link.settimeout(20)
    return context.wrap_socket(link)


def pour(talk: ssl.SSLSocket, head: str, size: int) -> None:
    """Sends a body of so many bytes, as far as it is taken."""
    talk.sendall((head + f"Content-Length: {size}\r\n\r\n").encode())
    part = b"a" * 2**16
    for _ in range(size // len(part)):
        talk.sendall(part)


def hold(kind: str, port: int, source: str, until: float) -> None:
    """One connection of the attack, renewed two seconds after it has ended."""
    while time.monotonic() < until:
        with socket.socket() as link:
            try:
                link.bind((source, 0))
                link.settimeout(20)
                link.connect(("127.0.0.1", port))
                KINDS[kind](link)
                link.settimeout(max(1.0, until - time.monotonic()))
                link.recv(1)
            except OSError:
                pass
        time.sleep(2)


def attack(kind: str, port: int, count: int, seconds: float, sources: list[str]) -> None:
    """Holds so many connections of one kind."""
    os.nice(10)  # the machines of attackers take no time from the server's
    until = time.monotonic() + seconds
    threading.stack_size(256 * 1024)
    threads = [
        threading.Thread(target=hold, args=(kind, port, sources[n % len(sources)], until), daemon=True) for n in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()) + 5)


if __name__ == "__main__":
    attack(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
