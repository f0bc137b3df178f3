"""The threads for searches: what is cancelled gives its thread back, and only that."""

import asyncio
import threading
import time

import pytest

from galenic import store
from galenic.server import fair_pool
from galenic.server.fair_pool import FairPool, TooManyWaitingError


async def never() -> None:
    await asyncio.Event().wait()


def test_a_request_that_is_cancelled_while_its_wait_ends_gives_no_other_thread_back() -> None:
    pool, free = FairPool("test", 2), threading.Event()

    async def main() -> None:
        held = asyncio.ensure_future(pool.run("a", free.wait, store.QueryLimit(), never))
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(pool.run("a", lambda: True, store.QueryLimit(), never))
        await asyncio.sleep(0.05)
        fair_pool._end_wait(pool._waiting["a"][0])
        waiting.cancel()
        with pytest.raises((asyncio.CancelledError, TooManyWaitingError)):
            await waiting
        assert pool._running == {"a": 1}
        free.set()
        assert await held

    asyncio.run(main())


def test_a_search_whose_request_is_cancelled_at_once_ends() -> None:
    pool, limit, ended = FairPool("test", 2), store.QueryLimit(), threading.Event()

    def search() -> None:
        deadline = time.monotonic() + 20
        while not limit.is_over and time.monotonic() < deadline:
            time.sleep(0.005)
        ended.set()

    async def main() -> None:
        request = asyncio.ensure_future(pool.run("a", search, limit, never))
        await asyncio.sleep(fair_pool.UNWATCHED_SECONDS / 3)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert await asyncio.to_thread(ended.wait, 5)
        assert limit.is_over

    asyncio.run(main())


def test_clients_that_are_sent_away_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_pool, "WAITING", 0)
    pool = FairPool("test", 2)

    async def main() -> None:
        for name in "abc":
            with pytest.raises(TooManyWaitingError):
                await pool.run(name, lambda: True, store.QueryLimit(), never)
        assert not pool._waiting

    asyncio.run(main())
