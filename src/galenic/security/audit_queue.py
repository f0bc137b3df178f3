"""Queue of audit rows that wait to be written: threads add rows, the writer of the log takes all of them at once."""

import threading
from collections.abc import Sequence
from typing import Any

from galenic.errors import StoreError

LONGEST_WAIT = 0.01  # s that a row waits for others, if nobody waits for it
IDLE_WAIT = 1.0  # s after which a writer without rows looks whether its log still exists


class Ticket:
    """A row that waits to be written; `done` is locked until it is."""

    __slots__ = ("done", "error", "fields", "log", "seq")

    def __init__(self, log: object, fields: dict[str, Any] | None) -> None:
        self.log = log  # keeps the log alive while one of its rows waits
        self.fields = fields
        self.seq: int | None = None
        self.error: StoreError | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def wait(self) -> int:
        """The row's number, once it is durable."""
        self.done.acquire()
        if self.error is not None:
            raise self.error
        assert self.seq is not None
        return self.seq


class AuditQueue:
    """Tickets in the order in which they came. The writer is woken once for each call of `put`, and not at all for a row that can wait
    while the writer looks at the queue every 10 ms anyway: each wake-up of a thread costs more than the row does."""

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self._mutex = threading.Lock()
        self._signal = threading.Lock()  # held while there is nothing to wake the writer for
        self._signal.acquire()
        self._is_idle = self._is_urgent = False

    def put(self, tickets: Sequence[Ticket], *, can_wait: bool = False) -> None:
        """Adds rows that are written in one commit: at once, or, if they can wait, with the next ones or after 10 ms."""
        with self._mutex:
            self._tickets += tickets
            self._is_urgent |= not can_wait
            if self._signal.locked() and (self._is_idle or not can_wait):
                self._is_idle = False
                self._signal.release()

    def take(self, most: int) -> list[Ticket]:
        """Up to so many of the rows that wait, once one cannot wait any longer; empty if none came for a second."""
        if not self._signal.acquire(timeout=LONGEST_WAIT):
            with self._mutex:
                is_idle = self._is_idle = not self._tickets
            if is_idle and self._signal.acquire(timeout=IDLE_WAIT) and not self._is_urgent:
                self._signal.acquire(timeout=LONGEST_WAIT)
        with self._mutex:
            tickets, self._tickets = self._tickets[:most], self._tickets[most:]
            self._is_idle, self._is_urgent = False, bool(self._tickets)
            self._signal.acquire(blocking=False)
            if self._is_urgent:
                self._signal.release()
        return tickets
