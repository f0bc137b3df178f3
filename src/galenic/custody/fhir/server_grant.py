"""Grant of the server for its index. The erasure of any patient ends it; unfinished work is then repeated."""

import threading
from collections.abc import Callable
from typing import TypeVar

from galenic.errors import AccessDeniedError
from galenic.security import Grant

T = TypeVar("T")
MOST_TRIES = 20  # repetitions of one step after erasures


class ServerGrant:
    """Grant that the threads of a server share. open_grant: takes the decision; raises AccessDeniedError if it is refused."""

    def __init__(self, open_grant: Callable[[], Grant]) -> None:
        self._open_grant = open_grant
        self._mutex = threading.Lock()
        self._grant: Grant | None = None

    def use(self, work: Callable[[Grant], T]) -> T:
        """Result of work under the grant. If an erasure in any process ends the grant, the request does not fail: the work is
        repeated under a new decision. Work that is denied must leave nothing half done."""
        for _ in range(MOST_TRIES - 1):
            grant = self._active()
            try:
                return work(grant)
            except AccessDeniedError:
                if grant.open:
                    raise  # another grant denied it
        return work(self._active())

    def _active(self) -> Grant:
        """Active grant. Raise AccessDeniedError if the server may no longer index."""
        with self._mutex:
            if self._grant is not None and self._is_active(self._grant):
                return self._grant
            self._grant = None
            self._grant = self._open_grant()
            return self._grant

    @staticmethod
    def _is_active(grant: Grant) -> bool:
        try:
            grant.require_active()
        except AccessDeniedError:
            return False
        return True
