"""Limits on requests. Bodies are small before sign-in and limited in total, and one address cannot block the others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galenic.errors import GalenicError
from galenic.security import limits_of, source_of
from galenic.server.authentication import BodyTooLargeError
from galenic.server.request_bodies import BodyAllowance, BodyBudget, LimitedBody, ServerBusyError

LARGEST_ANONYMOUS = 64 * 2**10  # bytes of a body before sign-in
LARGEST_PASSWORD_FORM = 16 * 2**10  # bytes of a body with a password: all waiting ones together fit into half of the limit
ANONYMOUS_BYTES, SIGNED_IN_BYTES, UPLOAD_BYTES = 8 * 2**20, 256 * 2**20, 2**30  # of all bodies together
REQUESTS_PER_ADDRESS = 128  # concurrent requests before sign-in
PASSWORDS_AT_ONCE = 2  # each password check takes 19 MiB and a core
PASSWORDS_PER_ADDRESS, PASSWORDS_WAITING = 8, 256
# bytes of a response that are sent at once, so that data that a client does not read is not held in memory
LARGEST_PART = 64 * 2**10
UPLOAD = "/data/bring"
STRANGER = BodyAllowance("", LARGEST_ANONYMOUS)


class Turns:
    """Queue for work with limited concurrency, in order of arrival, with a limit on waiting requests per address."""

    def __init__(self, at_once: int, per_address: int, in_all: int) -> None:
        self.per_address, self.in_all = per_address, in_all
        self._semaphore, self._waiting, self._all = asyncio.Semaphore(at_once), Counter[str](), 0

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Waits for a turn. Raise ServerBusyError if too many are already waiting."""
        limits = limits_of(address, self.per_address)
        if any(self._waiting[n] >= most for n, most in limits.items()) or self._all >= self.in_all:
            raise ServerBusyError
        self._waiting.update(limits.keys())
        self._all += 1
        try:
            async with self._semaphore:
                yield
        finally:
            self._all -= 1
            self._waiting.subtract(limits.keys())
            self._waiting += Counter()  # remove networks without requests


class RequestLimits:
    """ASGI middleware that enforces these limits. allowance: returns the body limit for the client of a request, by its session
    or token; raises a GalenicError if the client is unknown or has no suitable role. It may block."""

    def __init__(self, app: ASGIApp, allowance: Callable[[Scope], BodyAllowance]) -> None:
        self.app, self.allowance = app, allowance
        self.anonymous, self.signed_in, self.uploads = map(BodyBudget, (ANONYMOUS_BYTES, SIGNED_IN_BYTES, UPLOAD_BYTES))
        self.passwords = Turns(PASSWORDS_AT_ONCE, PASSWORDS_PER_ADDRESS, PASSWORDS_WAITING)
        self.requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point. Raise GalenicError if a limit is exceeded before the request is answered."""
        address = scope["client"][0] if scope.get("client") else ""
        limits = limits_of(address, REQUESTS_PER_ADDRESS)
        client, limit = await self._allowed(scope, any(self.requests[n] >= most for n, most in limits.items()))
        if client:
            budget = self.uploads if scope["path"] == UPLOAD else self.signed_in
            body = LimitedBody(scope, receive, client, limit, budget)
        else:
            body = LimitedBody(scope, receive, source_of(address), limit, self.anonymous)
            body.identify = partial(self._identify, scope)
        self.requests.update(limits.keys())
        try:
            if scope["method"] == "POST" and scope["path"].startswith(("/sign-in", "/set-up", "/invitation/")):
                body.limit = min(limit, LARGEST_PASSWORD_FORM)
                await self._check_password(address, scope, body, send)
            else:
                await self.app(scope, body, send)
        finally:
            body.release()
            self.requests.subtract(limits.keys())
            self.requests += Counter()  # remove networks without requests

    async def _allowed(self, scope: Scope, crowded: bool) -> BodyAllowance:
        """Body limit of a client. Small bodies are allowed without a client's name, unless its address has too many requests."""
        length = _length(scope)
        if length is not None and length <= LARGEST_ANONYMOUS and not crowded:
            return STRANGER
        try:
            allowed = await run_in_threadpool(self.allowance, scope)
        except GalenicError:
            if crowded:
                raise ServerBusyError from None
            if length is None:  # sent in chunks: it could be small
                return STRANGER
            raise
        if crowded and not allowed.client:
            raise ServerBusyError
        if length is not None and length > allowed.limit:
            raise BodyTooLargeError(f"the body is larger than {allowed.limit:,} bytes. Send less at once.")
        return allowed

    def _identify(self, scope: Scope) -> tuple[str, BodyBudget] | None:
        client = self.allowance(scope).client
        return (client, self.signed_in) if client else None

    async def _check_password(self, address: str, scope: Scope, body: LimitedBody, send: Send) -> None:
        """Reads the whole form first, so that a slow client does not block the queue."""
        parts: list[Message] = []
        while not parts or (parts[-1]["type"] == "http.request" and parts[-1].get("more_body")):
            parts.append(await body())
        if parts[-1]["type"] != "http.request":  # the client has disconnected
            return
        left = iter(parts)

        async def replay() -> Message:
            return next(left, None) or await body.receive()

        async with self.passwords.turn(address):
            await self.app(scope, replay, send)


def _length(scope: Scope) -> int | None:
    """The stated length of the body; None if it is sent in chunks."""
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return None
    text = headers.get(b"content-length", b"0")
    if not text.isdigit():
        raise BodyTooLargeError("the Content-Length header is not a number. Correct it.")
    return int(text)


async def send_in_parts(message: Message, send: Send) -> None:
    """Sends a part of a response in pieces, each after the client has read enough of the previous one."""
    body = message.get("body", b"")
    if len(body) <= LARGEST_PART:
        await send(message)
        return
    for start in range(0, len(body), LARGEST_PART):
        last = start + LARGEST_PART >= len(body)
        piece = body[start : start + LARGEST_PART]
        await send({**message, "body": piece, "more_body": message.get("more_body", False) if last else True})
