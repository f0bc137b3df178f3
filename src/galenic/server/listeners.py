"""Listeners: TLS 1.3, limits on slow and long requests, and an end that waits for what is under way."""

import asyncio
import contextlib
import gc
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from galenic.records import freeze_gc

HEAD_SECONDS, BODY_SECONDS = 10.0, 120.0
KEPT_ALIVE, AT_ONCE, ENDING = 30, 512, 20


@dataclass(frozen=True)
class Listener:
    """One address to listen at. certificate, key: PEM; without them plain HTTP, for behind a proxy on this machine alone.
    clients: PEM of the authority whose certificates clients must show (mTLS)."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    clients: Path | None = None

    @property
    def tls(self) -> ssl.SSLContext | None:
        """TLS 1.3 and nothing older."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.certificate, self.key)
        if self.clients is not None:
            context.load_verify_locations(self.clients)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class SlowlorisGuard(HttpToolsProtocol):
    """HTTP/1.1 that waits so long for a head and for a body, and then no longer (slowloris)."""

    _timer: asyncio.TimerHandle | None = None

    def _wait(self, seconds: float) -> None:
        self._calm()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _calm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def connection_made(self, transport: Any) -> None:
        """A connection that says nothing is no connection."""
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """The head has begun."""
        super().on_message_begin()
        self._wait(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        """The body may take longer."""
        super().on_headers_complete()
        self._wait(BODY_SECONDS)

    def on_message_complete(self) -> None:
        """All is here."""
        super().on_message_complete()
        self._calm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for."""
        self._calm()
        super().connection_lost(exc)


class RedactTracebacks(logging.Filter):
    """Of an error that nobody foresaw the log says the kind alone: its words may hold what a request held."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Takes the traceback away."""
        if record.exc_info and record.exc_info[0] is not None:
            record.msg, record.args = f"an error that nobody foresaw: {record.exc_info[0].__name__}", ()
            record.exc_info = record.exc_text = None
        return True


def config_of(app: ASGIApp, listening: Listener) -> uvicorn.Config:
    """How a listener is run."""
    config = uvicorn.Config(
        app, host=listening.host, port=listening.port, http=SlowlorisGuard, loop="uvloop", ws="none", lifespan="off", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, timeout_keep_alive=KEPT_ALIVE, limit_concurrency=AT_ONCE,
        timeout_graceful_shutdown=ENDING, backlog=256,
    )  # fmt: skip
    config.load()
    said = logging.getLogger("uvicorn.error")
    if not any(isinstance(f, RedactTracebacks) for f in said.filters):
        said.addFilter(RedactTracebacks())
    config.ssl = listening.tls
    return config


Pairs = list[tuple[ASGIApp, Listener]]


def _servers(pairs: Pairs) -> list[uvicorn.Server]:
    return [uvicorn.Server(config_of(app, at)) for app, at in pairs]


async def _run(servers: list[uvicorn.Server]) -> None:
    await asyncio.gather(*(s.serve() for s in servers))


def serve(pairs: Pairs) -> None:
    """Serves until it is told to stop (SIGTERM, SIGINT), then ends what is under way."""
    gc.collect()
    gc.freeze()  # definitions and rules live as long as the process
    freeze_gc()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(_servers(pairs)))


@contextlib.contextmanager
def running_servers(pairs: Pairs) -> Iterator[None]:
    """The same in a thread of this process, while the block lasts."""
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
        thread.join(ENDING)
