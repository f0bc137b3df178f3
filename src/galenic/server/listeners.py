"""Listeners: TLS 1.3, limits on slow and on concurrent requests, graceful shutdown."""

import asyncio
import contextlib
import gc
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
import uvloop
from starlette.types import ASGIApp

from galenic.records import freeze_gc
from galenic.server.acceptor import LimitedServer
from galenic.server.connections import ConnectionTable
from galenic.server.proxies import TrustedProxies

KEEP_ALIVE_SECONDS, SHUTDOWN_SECONDS = 30, 20


@dataclass(frozen=True)
class Listener:
    """One address to listen on. certificate, key: PEM; without them plain HTTP, only for a proxy on the same machine. clients:
    PEM of the CA for required client certificates (mTLS). proxies: trusted proxies."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    clients: Path | None = None
    proxies: TrustedProxies = field(default_factory=TrustedProxies)

    @property
    def tls(self) -> ssl.SSLContext | None:
        """TLS context that allows only TLS 1.3."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.certificate, self.key)
        if self.clients is not None:
            context.load_verify_locations(self.clients)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class RedactTracebacks(logging.Filter):
    """Removes the message and traceback of unexpected errors from the log: they may contain data of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces the message and the traceback by the error's type."""
        if record.exc_info and record.exc_info[0] is not None:
            record.msg, record.args = f"unexpected error: {record.exc_info[0].__name__}", ()
            record.exc_info = record.exc_text = None
        return True


def config_of(app: ASGIApp, listener: Listener) -> uvicorn.Config:
    """Configuration of the HTTP server for a listener."""
    config = uvicorn.Config(
        app, host=listener.host, port=listener.port, http="httptools", loop="uvloop", ws="none", lifespan="off", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )  # fmt: skip
    config.load()
    log = logging.getLogger("uvicorn.error")
    if not any(isinstance(f, RedactTracebacks) for f in log.filters):
        log.addFilter(RedactTracebacks())
    return config


Pairs = list[tuple[ASGIApp, Listener]]


def _servers(pairs: Pairs) -> list[LimitedServer]:
    return [LimitedServer(config_of(app, at), at.tls, ConnectionTable(at.proxies.trusts)) for app, at in pairs]


async def _run(servers: list[LimitedServer]) -> None:
    await asyncio.gather(*(s.serve() for s in servers))


def serve(pairs: Pairs) -> None:
    """Serves until SIGTERM or SIGINT, then completes the running requests."""
    gc.collect()
    gc.freeze()  # definitions and rules live as long as the process
    freeze_gc()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(_servers(pairs)))


@contextlib.contextmanager
def running_servers(pairs: Pairs) -> Iterator[None]:
    """Context in which a thread of this process serves."""
    servers = _servers(pairs)

    def work() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(servers))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive() and not all(s.started for s in servers):
        time.sleep(0.01)
    try:
        yield
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(SHUTDOWN_SECONDS)
