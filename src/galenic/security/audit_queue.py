"""Queue of audit rows: threads add rows, and the writer of the log takes all of them at once."""

import threading
from collections.abc import Sequence
from typing import Any

from galenic.errors import StoreError

LONGEST_WAIT = 0.01  # seconds that a row waits for others, if no caller waits for it
IDLE_WAIT = 1.0  # seconds after which an idle writer checks if its log still exists


class Ticket:
    """Row that waits to be written; `done` is locked until it is."""

    __slots__ = ("done", "error", "fields", "log", "seq")

    def __init__(self, log: object, fields: dict[str, Any] | None) -> None:
        self.log = log  # keeps the log alive while one of its rows waits
        self.fields = fields
        self.seq: int | None = None
        self.error: StoreError | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def wait(self) -> int:
        """Returns the row's number when it is durable."""
        self.done.acquire()
        if self.error is not None:
            raise self.error
        assert self.seq is not None
        return self.seq


class AuditQueue:
    """Tickets in order of arrival. The writer is woken once for each call of `put`. It is not woken for a row that can wait
    while the writer checks the queue every 10 ms anyway, because waking a thread costs more than the row."""

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self._mutex = threading.Lock()
        self._signal = threading.Lock()  # held while the writer need not be woken
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
        """Waiting rows, up to a maximum, as soon as one cannot wait any longer; empty after a second without rows."""
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
