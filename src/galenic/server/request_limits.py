"""Limits on requests: bodies are small until the client has signed in, bounded in all, and nobody waits behind one address."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galenic.errors import GalenicError, StateError
from galenic.server.authentication import BodyTooLargeError
from galenic.server.connections import source_of

LARGEST_ANONYMOUS = 64 * 2**10  # bytes of a body before sign-in
ANONYMOUS_BYTES, SIGNED_IN_BYTES, UPLOAD_BYTES = 8 * 2**20, 256 * 2**20, 2**30  # of all bodies at once
REQUESTS_PER_ADDRESS = 128  # at once, before sign-in
PASSWORDS_AT_ONCE = 2  # each check takes 19 MiB and a core
PASSWORDS_PER_ADDRESS, PASSWORDS_WAITING = 8, 256
LARGEST_PART = 64 * 2**10  # bytes of an answer that are sent at once: what a client does not read is not kept in memory
UPLOAD = "/data/bring"


class ServerBusyError(StateError):
    """The server cannot take the request now (503)."""

    def __init__(self) -> None:
        super().__init__("too much is under way at this moment. Try again in a few seconds.")


class ByteBudget:
    """A number of bytes that all bodies of one kind may have at once."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, count: int) -> None:
        """ServerBusyError if there are not so many bytes left."""
        if count > self.left:
            raise ServerBusyError
        self.left -= count

    def give(self, count: int) -> None:
        """Gives bytes back."""
        self.left += count


class LimitedBody:
    """An ASGI receive function that reads a body up to a number of bytes, within a budget."""

    def __init__(self, receive: Receive, limit: int, budget: ByteBudget) -> None:
        self.receive, self.limit, self.budget, self.taken = receive, limit, budget, 0

    async def __call__(self) -> Message:
        """The next part of the body. BodyTooLargeError beyond the limit; ServerBusyError beyond the budget."""
        message = await self.receive()
        size = len(message.get("body", b""))
        if self.taken + size > self.limit:
            raise BodyTooLargeError(f"the body is larger than {self.limit:,} bytes. Send less at once.")
        self.budget.take(size)
        self.taken += size
        return message

    def release(self) -> None:
        """Gives the body's bytes back to the budget."""
        self.budget.give(self.taken)
        self.taken = 0


class Turns:
    """Work that only so many requests do at once, in the order of arrival; of one address only so many wait."""

    def __init__(self, at_once: int, per_source: int, in_all: int) -> None:
        self.per_source, self.in_all = per_source, in_all
        self._semaphore, self._sources = asyncio.Semaphore(at_once), Counter[str]()

    @asynccontextmanager
    async def turn(self, source: str) -> AsyncIterator[None]:
        """Waits for a turn. ServerBusyError if too many wait already."""
        if self._sources[source] >= self.per_source or self._sources.total() >= self.in_all:
            raise ServerBusyError
        self._sources[source] += 1
        try:
            async with self._semaphore:
                yield
        finally:
            self._sources[source] -= 1
            self._sources += Counter()  # drops sources without requests


class RequestLimits:
    """ASGI middleware with these limits. largest_body: bytes that the client of a request may send there, by its session or token;
    a GalenicError if it has none, or not the role. It may block."""

    def __init__(self, app: ASGIApp, largest_body: Callable[[Scope], int]) -> None:
        self.app, self.largest_body = app, largest_body
        self.anonymous, self.signed_in, self.uploads = map(ByteBudget, (ANONYMOUS_BYTES, SIGNED_IN_BYTES, UPLOAD_BYTES))
        self.passwords = Turns(PASSWORDS_AT_ONCE, PASSWORDS_PER_ADDRESS, PASSWORDS_WAITING)
        self.requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. GalenicError if a limit is exceeded before the request is answered."""
        source = source_of(scope["client"][0]) if scope.get("client") else ""
        limit = await self._limit(scope, self.requests[source] >= REQUESTS_PER_ADDRESS)
        small = limit <= LARGEST_ANONYMOUS
        budget = self.anonymous if small else self.uploads if scope["path"] == UPLOAD else self.signed_in
        body = LimitedBody(receive, limit, budget)
        self.requests[source] += 1
        try:
            if scope["method"] == "POST" and scope["path"].startswith(("/sign-in", "/set-up", "/invitation/")):
                await self._check_password(source, scope, body, send)
            else:
                await self.app(scope, body, send)
        finally:
            body.release()
            self.requests[source] -= 1
            if not self.requests[source]:
                del self.requests[source]

    async def _limit(self, scope: Scope, crowded: bool) -> int:
        """The largest body of a request. More than LARGEST_ANONYMOUS only for clients that have signed in; if their address is
        crowded, others are refused."""
        length = _length(scope)
        if length is not None and length <= LARGEST_ANONYMOUS and not crowded:
            return LARGEST_ANONYMOUS
        try:
            limit = await run_in_threadpool(self.largest_body, scope)
        except GalenicError:
            if crowded:
                raise ServerBusyError from None
            if length is None:  # sent in chunks: it may yet be small
                return LARGEST_ANONYMOUS
            raise
        if crowded and limit <= LARGEST_ANONYMOUS:
            raise ServerBusyError
        if length is not None and length > limit:
            raise BodyTooLargeError(f"the body is larger than {limit:,} bytes. Send less at once.")
        return limit

    async def _check_password(self, source: str, scope: Scope, body: LimitedBody, send: Send) -> None:
        """Reads the whole form first, so that a slow client does not hold a turn."""
        parts: list[Message] = []
        while not parts or (parts[-1]["type"] == "http.request" and parts[-1].get("more_body")):
            parts.append(await body())
        left = iter(parts)

        async def replay() -> Message:
            return next(left, None) or await body.receive()

        async with self.passwords.turn(source):
            await self.app(scope, replay, send)


def _length(scope: Scope) -> int | None:
    """The stated length of the body; None if it is sent in chunks."""
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return None
    text = headers.get(b"content-length", b"0")
    if not text.isdigit():
        raise BodyTooLargeError("the length of the body is not a number.")
    return int(text)


async def send_in_parts(message: Message, send: Send) -> None:
    """Sends a part of an answer in pieces, each once the client has read enough of the one before."""
    body = message.get("body", b"")
    if len(body) <= LARGEST_PART:
        await send(message)
        return
    for start in range(0, len(body), LARGEST_PART):
        last = start + LARGEST_PART >= len(body)
        piece = body[start : start + LARGEST_PART]
        await send({**message, "body": piece, "more_body": message.get("more_body", False) if last else True})
