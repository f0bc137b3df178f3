"""Time limits of searches, which other threads can cancel."""

import time
from math import inf

from galenic.errors import TooCostlyError


class QueryLimit:
    """Limit of a search: a number of seconds, or cancellation because its client has disconnected."""

    def __init__(self, seconds: float = inf) -> None:
        self.seconds, self._ends = seconds, time.monotonic() + seconds
        self._is_cancelled, self._slice_ends = False, inf
        self._next_end = self._ends  # the earlier of both

    def begin_slice(self, seconds: float) -> None:
        """Adds a shorter time limit, after which the search may begin again."""
        self._slice_ends = time.monotonic() + seconds
        self._next_end = min(self._ends, self._slice_ends)

    @property
    def is_sliced(self) -> bool:
        """True if the shorter time limit is over, and the search is not canceled."""
        return not self._is_cancelled and time.monotonic() > self._slice_ends

    def cancel(self) -> None:
        """Cancels the search, from any thread."""
        self._is_cancelled = True

    @property
    def is_over(self) -> bool:
        """True if the search must end."""
        return self._is_cancelled or time.monotonic() > self._next_end

    def require(self) -> None:
        """Raise TooCostlyError if the search must end."""
        if self._is_cancelled:
            raise TooCostlyError("the search was stopped, because the client disconnected.")
        if time.monotonic() > self._next_end:
            raise TooCostlyError(
                f"the search took longer than {self.seconds:g} s and was stopped. Narrow it by a patient, a code or a "
                "date, ask for fewer resources with _count, or leave out _total=accurate, _include and _revinclude."
            )
