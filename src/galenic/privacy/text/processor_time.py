"""Limit of CPU time for one file, checked between steps that each take a bounded time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from galenic.errors import RecordError

_DEADLINE: ContextVar[tuple[float, float] | None] = ContextVar(
    "deadline", default=None
)  # (processor time of the thread, minutes)


@contextmanager
def time_limit(minutes: float) -> Iterator[None]:
    """Context in which `check_time` raises RecordError after the thread has used that much CPU time."""
    token = _DEADLINE.set((time.thread_time() + 60 * minutes, minutes))
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def check_time() -> None:
    """Raise RecordError if the current file has taken too long."""
    deadline = _DEADLINE.get()
    if deadline is not None and time.thread_time() > deadline[0]:
        raise RecordError(
            f"takes more than {deadline[1]:g} minutes of CPU time, the limit for one file. Split it at the end of a "
            "document, or allow more with --minutes-per-file."
        )
