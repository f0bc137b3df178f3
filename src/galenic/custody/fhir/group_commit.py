"""Group commit: concurrent writes are stored in one transaction, and each caller gets its own result."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from galenic import store
from galenic.errors import GalenicError, StoreError

MOST_CHANGES = 64  # changes of small writes in one transaction


@dataclass(slots=True)
class PendingWrite:
    """One write: its changes, their index entries, and the subject of each changed resource at the time of the access decision."""

    changes: list[store.ResourceChange]
    entries: list[store.IndexEntry]
    subjects: dict[str, int | None]
    is_done: bool = False
    written: list[store.WrittenVersion] = field(default_factory=list)
    error: Exception | None = None


class GroupCommit:
    """Writes of one repository. The thread that gets the lock writes for all waiting threads. commit: writes and indexes all
    changes in one transaction, or raises."""

    def __init__(self, lock: Any, commit: Callable[[list[PendingWrite]], None]) -> None:
        self._lock, self._commit = lock, commit
        self._waiting: deque[PendingWrite] = deque()
        self._mutex = threading.Lock()

    def write(self, pending: PendingWrite) -> list[store.WrittenVersion]:
        """Returns when the write is durable and indexed, or raises the error of the write."""
        with self._mutex:
            self._waiting.append(pending)
        with self._lock:
            while not pending.is_done:
                self._attempt(self._next_group())
        if pending.error is not None:
            raise pending.error
        return pending.written

    def _next_group(self) -> list[PendingWrite]:
        """Waiting writes in order. No two of them change the same resource."""
        group: list[PendingWrite] = []
        names: set[str] = set()
        with self._mutex:
            while self._waiting and sum(len(w.changes) for w in group) < MOST_CHANGES:
                changed = {c.name for c in self._waiting[0].changes}
                if changed & names:
                    break
                names |= changed
                group.append(self._waiting.popleft())
        return group

    def _attempt(self, group: list[PendingWrite]) -> None:
        """Commits all writes together; if that fails, one by one."""
        try:
            self._commit(group)
        except GalenicError as error:
            if len(group) > 1:
                for one in group:
                    self._attempt([one])
                return
            group[0].error, group[0].is_done = error, True
        except BaseException:
            for one in group:
                one.error, one.is_done = (
                    StoreError(
                        "the write failed, and it is not known whether it was stored. Read the resource before you write "
                        "it again."
                    ),
                    True,
                )
            raise
