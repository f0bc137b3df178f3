"""Refusals of unknown clients. The first ones are recorded individually, and the rest of a minute in a few rows with counts."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from galenic.errors import GalenicError
from galenic.security.client_networks import limits_of
from galenic.store import telemetry

WINDOW = 60.0  # s
PER_ADDRESS, IN_ALL = 20, 100  # rows of a window
MOST_NETWORKS = 200  # addresses that are distinguished in a window
MOST_ADDRESSES = 20  # names that are counted separately in a window; others are counted together
OTHERS = "others"


class RefusalLog:
    """Writes refusals to the audit log, with a limit on rows per address and in total within a window, so that unknown clients
    cannot fill the log.

    append: of the audit log. `close` writes the counts of a window that is not over; a process that is killed loses them.
    """

    def __init__(self, append: Callable[..., Any]) -> None:
        self._append, self._mutex = append, threading.Lock()
        self._until = 0.0
        self._written = 0
        self._of_network: Counter[str] = Counter()
        self._counted: Counter[tuple[str, str]] = Counter()
        self._timer: threading.Timer | None = None

    def add(self, action: str, resource: str, address: str, *, actor: str | None = None, **detail: Any) -> None:
        """Records a refusal. address: where the request came from."""
        with self._mutex:
            counts = self._begin_window()
            limits = limits_of(address, PER_ADDRESS)
            if len(self._of_network.keys() | limits) > MOST_NETWORKS:
                limits = {OTHERS: PER_ADDRESS}
            self._of_network.update(limits.keys())
            own_row = all(self._of_network[n] <= most for n, most in limits.items()) and self._written < IN_ALL
            self._written += own_row
            if not own_row:
                self._count(action, next(iter(limits)))
        self._write(counts)
        if own_row:
            given = {**detail, "address": address} if address else detail
            self._append(action, resource, "denied", actor=actor, **given)

    def flush(self) -> None:
        """Writes the counts of the window, and ends it."""
        with self._mutex:
            self._until = 0.0
            counts = self._begin_window()
        self._write(counts)

    def close(self) -> None:
        """Writes the counts of the window now, and none later. Raise StoreError if they cannot be written."""
        with self._mutex:
            if self._timer is not None:
                self._timer.cancel()
        self.flush()

    def _flush_in_time(self) -> None:
        """Calls `flush` in the thread of the timer, where nobody catches an error. If the audit log cannot be written, this is
        logged."""
        try:
            self.flush()
        except GalenicError as error:
            telemetry.log("error", "refusals could not be written to the audit log", error=type(error).__name__)

    def _begin_window(self) -> Counter[tuple[str, str]]:
        """Begins another window if the last one is over. Returns the counts of the last one."""
        if time.monotonic() < self._until:
            return Counter()
        counts, self._counted = self._counted, Counter()
        self._of_network.clear()
        self._written, self._until = 0, time.monotonic() + WINDOW
        return counts

    def _count(self, action: str, source: str) -> None:
        if not self._counted:
            self._timer = threading.Timer(max(0.0, self._until - time.monotonic()), self._flush_in_time)
            self._timer.daemon = True
            self._timer.start()
        named = {address for _action, address in self._counted}
        self._counted[action, source if source in named or len(named) < MOST_ADDRESSES else OTHERS] += 1

    def _write(self, counts: Counter[tuple[str, str]]) -> None:
        for (action, address), count in sorted(counts.items()):
            self._append(action, "several", "denied", address=address, count=count)
