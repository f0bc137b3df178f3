"""HTTP/1.1 with limits on time and size, for headers, bodies, slow readers and pipelined requests."""

import asyncio
import time
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from galenic.server.connections import CONNECTION, Connection, ConnectionTable

HEAD_SECONDS, BODY_SECONDS = 10.0, 120.0
READ_SECONDS = 30.0  # time limit for a client to read data before more is sent
DISCARD_SECONDS, MOST_DISCARDED = 2.0, 2**20  # of a body whose request is already answered
LARGEST_HEAD, MOST_HEADERS = 64 * 2**10, 100
MOST_AHEAD = 8  # requests sent before the answers to earlier ones (pipelining)


class LimitExceededError(Exception):
    """A request exceeds a limit of the protocol; raised inside the parser."""


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1 of one connection, with limits."""

    def __init__(self, *, table: ConnectionTable, connection: Connection, **given: Any) -> None:
        super().__init__(**given)
        self.table, self.connection = table, connection
        self._timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._head, self._steps, self._without_step, self._discarded = 0, 0, 0, 0
        self._complete, self._status = True, b""

    # time limits

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._disconnect)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _disconnect(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: Any) -> None:
        """Starts the time limit for the first request headers."""
        super().connection_made(transport)
        self.connection.close = transport.abort
        self._start_timer(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the time limits."""
        self._stop_timer()
        self._stop_read_timer()
        self.table.remove(self.connection)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Starts the time limit for a client that does not read its response. The connection may be closed for a new one."""
        super().pause_writing()
        self.connection.busy = self.connection.signed_in
        self._stop_read_timer()
        self._read_timer = self.loop.call_later(READ_SECONDS, self._disconnect)

    def resume_writing(self) -> None:
        """Ends the time limit for a client that did not read."""
        super().resume_writing()
        self._stop_read_timer()
        self.connection.busy = self.cycle is not None and not self.cycle.response_complete

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    # limits on size

    def data_received(self, data: bytes) -> None:
        """Parses received data. Headers, chunk extensions and trailers that exceed a limit are refused."""
        steps = self._steps
        super().data_received(data)
        if self._steps != steps:
            self._without_step = 0
            return
        self._without_step += len(data)
        if self._without_step > LARGEST_HEAD and self.transport is not None and not self.transport.is_closing():
            self._status = b"431 Request Header Fields Too Large"
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        """Answers an invalid request or one that exceeds a limit. Sends nothing if an earlier request is not answered yet."""
        if not self._status:
            super().send_400_response(msg)
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 " + self._status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _refuse(self, status: bytes) -> None:
        self._status = status
        raise LimitExceededError

    # steps of a request

    def on_message_begin(self) -> None:
        """Starts the time limit for request headers."""
        if len(self.pipeline) >= MOST_AHEAD:
            self._refuse(b"429 Too Many Requests")
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[CONNECTION] = self.connection
        self._head, self._complete, self._discarded = 0, False, 0
        self._steps += 1
        self._start_timer(HEAD_SECONDS)

    def on_url(self, url: bytes) -> None:
        """Handles a part of the URL."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Handles a header, or a trailer after a body."""
        self._count_head(len(name) + len(value) + 4)
        if len(self.headers) >= MOST_HEADERS:
            self._refuse(b"431 Request Header Fields Too Large")
        super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        self._head += size
        if self._head > LARGEST_HEAD:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """Starts the time limit of a body."""
        self._steps += 1
        super().on_headers_complete()
        self._start_timer(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        """Handles a part of a body. If the request is already answered, only a limited part is read."""
        self._steps += 1
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > MOST_DISCARDED:
                self.flow.pause_reading()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends the time limit. The server processes the request from now on."""
        super().on_message_complete()
        self._steps += 1
        self._complete = True
        self._stop_timer()
        if not self.cycle.response_complete:
            self.connection.busy = True

    def on_response_complete(self) -> None:
        """Waits for another request, or for the end of a body that is not read."""
        self.connection.busy, self.connection.since = bool(self.pipeline), time.monotonic()
        super().on_response_complete()
        if not self._complete:
            self._start_timer(DISCARD_SECONDS)
