"""Acceptance of connections. They are counted before the first byte, and TLS handshakes have a time limit."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import socket
import ssl
import sys
from functools import partial

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from galenic.server.connections import Connection, ConnectionTable
from galenic.server.http_protocol import LimitedProtocol

HANDSHAKE_SECONDS, SHUTDOWN_SECONDS = 10.0, 5.0  # TLS handshake, seconds
BACKLOG, AT_ONCE = 1_024, 64  # connections that wait to be accepted; connections accepted in a row before other work is done
RELEASE_TICKS, RELEASE_AFTER = 50, 100  # tenths of a second; connections
PAUSE_SECONDS = 0.5  # after the process has run out of file descriptors
logger = logging.getLogger("uvicorn.error")


class LimitedServer(uvicorn.Server):
    """HTTP server that checks each connection against a table before TLS and HTTP begin."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None, table: ConnectionTable) -> None:
        super().__init__(config)
        self.tls, self.table = tls, table

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens on every address of the host."""
        await self.lifespan.startup()
        try:
            listeners = sockets or listen(self.config.host, self.config.port)
        except OSError as error:
            logger.error(error)
            sys.exit(STARTUP_FAILURE)
        self.servers = [Acceptor(self, listener) for listener in listeners]  # type: ignore[misc]  # closed as servers are
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Returns memory to the system after many connections have ended. Called ten times per second."""
        if counter % RELEASE_TICKS == 0 and self.table.ended >= RELEASE_AFTER:
            self.table.ended = 0
            await asyncio.get_running_loop().run_in_executor(None, release_memory)
        return await super().on_tick(counter)

    def protocol(self, connection: Connection) -> LimitedProtocol:
        """The protocol of an admitted connection."""
        return LimitedProtocol(
            table=self.table, connection=connection, config=self.config, server_state=self.server_state,
            app_state=self.lifespan.state, _loop=asyncio.get_running_loop(),
        )  # fmt: skip


def release_memory() -> None:
    """Collects garbage, and returns free memory to the system where the C library can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets of every address of a host. OSError if one cannot be used."""
    found: list[socket.socket] = []
    try:
        for family, _kind, _proto, _name, address in dict.fromkeys(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            found.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
            found[-1].setblocking(False)
    except OSError:
        for listener in found:
            listener.close()
        raise
    return found


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


class Acceptor:
    """Accepts the connections of one listening socket."""

    def __init__(self, server: LimitedServer, listener: socket.socket) -> None:
        self.server, self.listener, self.sockets = server, listener, (listener,)
        self.loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self.loop.add_reader(listener, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                link, peer = self.listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file descriptor is left
                self.loop.remove_reader(self.listener)
                self.loop.call_later(PAUSE_SECONDS, self._resume)
                return
            self._admit(link, str(peer[0]))

    def _resume(self) -> None:
        if self.listener.fileno() >= 0:
            self.loop.add_reader(self.listener, self._accept)

    def _admit(self, link: socket.socket, address: str) -> None:
        """Opens a connection, or closes it before any work is done for it."""
        table, tls = self.server.table, self.server.tls
        if tls is not None and not table.trusted(address) and not table.handshakes.allows(address):
            link.close()
            return
        connection = table.admit(address, link.close)
        if connection is None:
            link.close()
            return
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self.loop.create_task(self._open(link, connection))
        connection.close = partial(_cancel, task)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, link: socket.socket, connection: Connection) -> None:
        """Starts TLS, then HTTP."""
        tls = self.server.tls
        limits = {"ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": SHUTDOWN_SECONDS} if tls else {}
        try:
            await self.loop.connect_accepted_socket(lambda: self.server.protocol(connection), link, ssl=tls, **limits)
        except (
            OSError,
            EOFError,
            asyncio.CancelledError,
        ):  # for TLS, ssl.SSLError is an OSError; canceled: the connection was closed to make room for another
            self.server.table.remove(connection)
            link.close()

    def close(self) -> None:
        """Stops accepting connections, and closes those that do not speak HTTP yet."""
        self.loop.remove_reader(self.listener)
        self.listener.close()
        for task in self._opening:
            task.cancel()

    async def wait_closed(self) -> None:
        """Returns at once, because the server counts the connections."""
