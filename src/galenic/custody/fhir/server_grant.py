"""The server's own grant for its index, which the erasure of any patient ends: what was done under it is then done again."""

import threading
from collections.abc import Callable
from typing import TypeVar

from galenic.errors import AccessDeniedError
from galenic.security import Grant

T = TypeVar("T")
MOST_TRIES = 20  # of one step that erasures end


class ServerGrant:
    """One grant that the threads of a server share. open_grant: takes the decision; AccessDeniedError if it is refused."""

    def __init__(self, open_grant: Callable[[], Grant]) -> None:
        self._open_grant = open_grant
        self._mutex = threading.Lock()
        self._grant: Grant | None = None

    def use(self, work: Callable[[Grant], T]) -> T:
        """The result of work under the grant. An erasure that comes meanwhile, in whatever process, ends the grant and not the request
        of somebody else: the work is done again under a new decision. It must not leave anything half done when it is denied."""
        for _ in range(MOST_TRIES - 1):
            grant = self._active()
            try:
                return work(grant)
            except AccessDeniedError:
                if grant.open:
                    raise  # another grant denied it
        return work(self._active())

    def _active(self) -> Grant:
        """A grant that is in force now. AccessDeniedError if the server may not index any more."""
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
