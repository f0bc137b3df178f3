"""Limits on request bodies: size, time until the client is known, and a total with a share for each client."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope

from galenic.errors import GalenicError, InputError, StateError
from galenic.server.authentication import BodyTooLargeError
from galenic.server.connections import CONNECTION

SHARE = 4  # a client may use this part of a budget: a quarter
ANONYMOUS_SECONDS = 10.0  # time limit of a body before sign-in


class ServerBusyError(StateError):
    """The server is too busy for the request (503)."""

    def __init__(self) -> None:
        super().__init__("the server is too busy at the moment. Try again in a few seconds.")


class SlowBodyError(InputError):
    """The body took too long (408)."""

    def __init__(self) -> None:
        super().__init__(f"the body did not arrive within {ANONYMOUS_SECONDS:.0f} seconds. Sign in first, or send it faster.")


class BodyAllowance(NamedTuple):
    """Limit on the request body of a client. client: the account; empty before sign-in. limit: bytes."""

    client: str
    limit: int


class BodyBudget:
    """Limit on the bytes of all bodies of one kind, and on the share of one client."""

    def __init__(self, size: int) -> None:
        self.size, self.share = size, size // SHARE
        self.used: Counter[str] = Counter()
        self.bodies: dict[LimitedBody, None] = {}  # in order of arrival

    def fits(self, client: str, count: int) -> bool:
        """True if a client may use this number of further bytes."""
        return self.used[client] + count <= self.share and self.used.total() + count <= self.size

    def take(self, body: "LimitedBody", count: int) -> None:
        """Reserves bytes for a body. If there are too few, unfinished bodies of unknown clients are ended first. Raise
        ServerBusyError if that is not enough."""
        while not self.fits(body.client, count):
            crowded = self.used[body.client] + count > self.share
            ends = [b for b in self.bodies if b is not body and b.may_end and (b.client == body.client or not crowded)]
            if not ends:
                raise ServerBusyError
            max(ends, key=lambda b: self.used[b.client]).end()
        self.used[body.client] += count
        self.bodies[body] = None

    def give(self, body: "LimitedBody", count: int) -> None:
        """Releases the bytes of a body."""
        self.bodies.pop(body, None)
        self.used[body.client] -= count
        if not self.used[body.client]:
            del self.used[body.client]


class LimitedBody:
    """ASGI receive function that reads a body within limits. The body of an unknown client must arrive soon. The client is
    identified only if the body does not arrive at once; after sign-in the body is charged to the account."""

    def __init__(self, scope: Scope, receive: Receive, client: str, limit: int, budget: BodyBudget) -> None:
        self.scope, self.receive, self.client, self.limit, self.budget = scope, receive, client, limit, budget
        self.identify: Callable[[], tuple[str, BodyBudget] | None] | None = None
        self.taken, self.complete, self.until = 0, False, time.monotonic() + ANONYMOUS_SECONDS

    @property
    def may_end(self) -> bool:
        """True if the body may be ended for another one: its client is unknown, and it is unfinished."""
        return self.identify is not None and not self.complete and bool(self.taken) and CONNECTION in self.scope

    async def __call__(self) -> Message:
        """Next part of the body. Raise BodyTooLargeError beyond its limit, SlowBodyError if it takes too long, ServerBusyError
        beyond the total limit."""
        message = await self._next()
        size = len(message.get("body", b""))
        if self.taken + size > self.limit:
            raise BodyTooLargeError(f"the body is larger than {self.limit:,} bytes. Send less at once.")
        self.complete = not message.get("more_body", False)
        if not self.complete or not self.budget.fits(self.client, size):
            await self._find_client()
        if size:
            self.budget.take(self, size)
            self.taken += size
        return message

    async def _next(self) -> Message:
        """Next part of the body, with a time limit if the client is unknown."""
        if self.identify is not None and not self.complete:
            try:
                async with asyncio.timeout(self.until - time.monotonic()):
                    return await self.receive()
            except TimeoutError:
                await self._find_client()
            if self.identify is not None:
                raise SlowBodyError
        return await self.receive()

    async def _find_client(self) -> None:
        """Charges the body to its client, if the request has a valid session or token."""
        if self.identify is None or not any(name in (b"authorization", b"cookie") for name, _ in self.scope["headers"]):
            return
        try:
            found = await run_in_threadpool(self.identify)
        except GalenicError:
            return
        if found is None or self.identify is None:
            return
        taken = self.taken
        self.release()
        self.identify, (self.client, self.budget) = None, found
        self.budget.take(self, taken)
        self.taken = taken

    def end(self) -> None:
        """Closes the connection, and releases the bytes."""
        self.release()
        self.scope[CONNECTION].close()

    def release(self) -> None:
        """Releases the bytes."""
        self.budget.give(self, self.taken)
        self.taken = 0
