"""Limits on requests: bodies are small until the client has signed in, bounded in all, and nobody waits behind one address."""

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
LARGEST_PASSWORD_FORM = 16 * 2**10  # bytes of a body with a password: all that wait for their turn fit in half of the budget
ANONYMOUS_BYTES, SIGNED_IN_BYTES, UPLOAD_BYTES = 8 * 2**20, 256 * 2**20, 2**30  # of all bodies at once
REQUESTS_PER_ADDRESS = 128  # at once, before sign-in
PASSWORDS_AT_ONCE = 2  # each check takes 19 MiB and a core
PASSWORDS_PER_ADDRESS, PASSWORDS_WAITING = 8, 256
LARGEST_PART = 64 * 2**10  # bytes of an answer that are sent at once: what a client does not read is not kept in memory
UPLOAD = "/data/bring"
STRANGER = BodyAllowance("", LARGEST_ANONYMOUS)


class Turns:
    """Work that only so many requests do at once, in the order of arrival; of one address only so many wait."""

    def __init__(self, at_once: int, per_address: int, in_all: int) -> None:
        self.per_address, self.in_all = per_address, in_all
        self._semaphore, self._waiting, self._all = asyncio.Semaphore(at_once), Counter[str](), 0

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Waits for a turn. ServerBusyError if too many wait already."""
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
            self._waiting += Counter()  # drops networks without requests


class RequestLimits:
    """ASGI middleware with these limits. allowance: what the client of a request may send there, by its session or token; a
    GalenicError if it has none, or not the role. It may block."""

    def __init__(self, app: ASGIApp, allowance: Callable[[Scope], BodyAllowance]) -> None:
        self.app, self.allowance = app, allowance
        self.anonymous, self.signed_in, self.uploads = map(BodyBudget, (ANONYMOUS_BYTES, SIGNED_IN_BYTES, UPLOAD_BYTES))
        self.passwords = Turns(PASSWORDS_AT_ONCE, PASSWORDS_PER_ADDRESS, PASSWORDS_WAITING)
        self.requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. GalenicError if a limit is exceeded before the request is answered."""
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
            self.requests += Counter()  # drops networks without requests

    async def _allowed(self, scope: Scope, crowded: bool) -> BodyAllowance:
        """What a client may send. Without a client's name for small bodies, unless the address is crowded: strangers are refused
        there."""
        length = _length(scope)
        if length is not None and length <= LARGEST_ANONYMOUS and not crowded:
            return STRANGER
        try:
            allowed = await run_in_threadpool(self.allowance, scope)
        except GalenicError:
            if crowded:
                raise ServerBusyError from None
            if length is None:  # sent in chunks: it may yet be small
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
        """Reads the whole form first, so that a slow client does not hold a turn."""
        parts: list[Message] = []
        while not parts or (parts[-1]["type"] == "http.request" and parts[-1].get("more_body")):
            parts.append(await body())
        if parts[-1]["type"] != "http.request":  # the client has gone
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
