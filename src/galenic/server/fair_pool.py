"""Threads for work that may take long, shared fairly among clients; requests that are answered at once have threads of their own."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, TypeVar

from galenic.errors import StateError, TooCostlyError
from galenic.server.thread_switches import THREAD_SWITCHES
from galenic.store import QueryLimit

WAITING, WAITING_OF_CLIENT = 64, 16  # requests that may wait for a thread
WAIT_SECONDS = 30.0  # that one waits at most
LIGHT_SECONDS = 0.25  # of CPU time that the requests of a client take, up to which it may use the last thread
FORGETTING = 0.1  # of a heavy request with each lighter one that follows
HALF_LIFE = 30.0  # seconds after which half of a client's work is forgotten
MOST_CLIENTS = 1_000  # whose recent work is remembered
UNWATCHED_SECONDS = 0.05  # after which the client of a request is watched
LONG_SECONDS = 0.05  # of work, after which it counts as long
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientWork:
    """CPU time of a client. recent: of its recent requests, as counted `at` a time; typical: of one request, rather of a heavy one."""

    recent: float = 0.0
    at: float = 0.0
    typical: float = 0.0


NEW = ClientWork()
Turn = asyncio.Future[bool]
Gone = Callable[[], Coroutine[Any, Any, None]]


class TooManyWaitingError(StateError):
    """More requests wait than are taken (429)."""


def _end_wait(turn: Turn) -> None:
    if not turn.done():
        turn.set_exception(
            TooManyWaitingError(
                "no server thread became available in time. Wait for the number of seconds in Retry-After, and send fewer "
                "requests at once."
            )
        )


class MeasuredWork(Generic[T]):
    """Work that measures the CPU time of its thread."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work, self.seconds = work, 0.0

    def __call__(self) -> T:
        """Do the work, and note the CPU time that its thread spent."""
        started = time.thread_time()
        try:
            return self.work()
        finally:
            self.seconds = time.thread_time() - started


class ClientWatch:
    """Watch for the disconnection of a client. It begins a moment after the request: most are answered before, and a task of its own
    for each of them would cost more than it saves."""

    def __init__(self, gone: Gone, left: Callable[[], None]) -> None:
        self._gone, self._left = gone, left
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(UNWATCHED_SECONDS, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._gone())
        self._task.add_done_callback(lambda _: self._left())

    def end(self) -> None:
        """Ends the watch."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()


class LongWork:
    """Makes threads give way sooner if work lasts."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_long, self._timer = False, loop.call_later(LONG_SECONDS, self._begin)

    def _begin(self) -> None:
        self._is_long = True
        THREAD_SWITCHES.begin()

    def end(self) -> None:
        """The work has ended."""
        self._timer.cancel()
        if self._is_long:
            THREAD_SWITCHES.end()


class FairPool:
    """Threads for which requests wait in turn. The client with the least recent work is next; one client never occupies all threads,
    and the last free thread is for clients whose requests are light. slice_seconds: time after which a request on the last thread
    makes room, and begins again when another thread is free; only for work that may be done twice."""

    def __init__(self, name: str, threads: int, slice_seconds: float = inf) -> None:
        self.threads, self.slice_seconds = max(threads, 2), slice_seconds
        self._executor = ThreadPoolExecutor(self.threads, name)
        self._waiting: dict[str, deque[Turn]] = {}
        self._running: Counter[str] = Counter()
        self._work: OrderedDict[str, ClientWork] = OrderedDict()

    async def run(self, client: str, work: Callable[[], T], limit: QueryLimit, gone: Gone) -> T:
        """The result of blocking work in one of the threads. gone: returns when the client has left; then the limit is cancelled, and
        a request that waits for a thread ends. TooManyWaitingError if too many requests wait."""
        turns: list[Turn] = []

        def leave() -> None:
            limit.cancel()
            for turn in turns:
                _end_wait(turn)

        watch = ClientWatch(gone, leave)
        try:
            if await self._turn(client, turns) and self.slice_seconds < inf:
                limit.begin_slice(self.slice_seconds)
            try:
                return await self._do(client, work, limit)
            except TooCostlyError:
                if not limit.is_sliced:
                    raise
            limit.begin_slice(inf)
            await self._turn(client, turns)
            return await self._do(client, work, limit)
        except asyncio.CancelledError:
            limit.cancel()
            raise
        finally:
            watch.end()

    async def _do(self, client: str, work: Callable[[], T], limit: QueryLimit) -> T:
        measured, loop = MeasuredWork(work), asyncio.get_running_loop()
        long = LongWork(loop)
        try:
            return await loop.run_in_executor(self._executor, measured)
        finally:
            long.end()
            self._end(client, max(measured.seconds, LIGHT_SECONDS) if limit.is_sliced else measured.seconds)

    async def _turn(self, client: str, turns: list[Turn]) -> bool:
        """Waits for a thread. Whether it was the last free one. turns: those of the request, to which this one is added."""
        of_client = len(self._waiting.get(client, ()))
        if of_client >= WAITING_OF_CLIENT or sum(map(len, self._waiting.values())) >= WAITING:
            raise TooManyWaitingError(
                "too many searches are waiting. Wait for the number of seconds in Retry-After, and send fewer at once."
            )
        loop = asyncio.get_running_loop()
        turn: Turn = loop.create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        turns.append(turn)
        self._start()
        if turn.done():
            return turn.result()
        timer = loop.call_later(WAIT_SECONDS, _end_wait, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._end(client, 0.0)
            raise
        finally:
            timer.cancel()
            self._leave(client, turn)

    def _leave(self, client: str, turn: Turn) -> None:
        waiting = self._waiting.get(client)
        if waiting and turn in waiting:
            waiting.remove(turn)
        if not waiting:
            self._waiting.pop(client, None)

    def _start(self) -> None:
        """Gives free threads to those who may have them."""
        while (free := self.threads - self._running.total()) > 0:
            may = [c for c, turns in self._waiting.items() if turns and self._may_run(c, free)]
            if not may:
                return
            client = min(may, key=lambda c: (self._recent(c), self._running[c]))
            turn = self._waiting[client].popleft()
            if not self._waiting[client]:
                del self._waiting[client]
            if not turn.done():  # it was given up a moment ago
                self._running[client] += 1
                turn.set_result(free == 1)

    def _may_run(self, client: str, free: int) -> bool:
        if self._running[client] >= self.threads - 1:
            return False
        return free > 1 or self._work.get(client, NEW).typical < LIGHT_SECONDS

    def _recent(self, client: str) -> float:
        """Seconds of recent work of a client that has ended."""
        work = self._work.get(client, NEW)
        return float(work.recent * 0.5 ** ((time.monotonic() - work.at) / HALF_LIFE))

    def _end(self, client: str, seconds: float) -> None:
        before = self._work.get(client, NEW).typical
        typical = max(seconds, before + (seconds - before) * FORGETTING)
        self._work[client] = ClientWork(self._recent(client) + seconds, time.monotonic(), typical)
        self._work.move_to_end(client)
        while len(self._work) > MOST_CLIENTS:
            self._work.popitem(last=False)
        self._running[client] -= 1
        if self._running[client] <= 0:
            del self._running[client]
        self._start()
