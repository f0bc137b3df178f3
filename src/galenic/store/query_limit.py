"""Time limits of searches, which other threads can cancel."""

import time
from math import inf

from galenic.errors import TooCostlyError


class QueryLimit:
    """The end of a search: after a number of seconds, or when it is cancelled because its client has left."""

    def __init__(self, seconds: float = inf) -> None:
        self.seconds, self._ends = seconds, time.monotonic() + seconds
        self._is_cancelled = False

    def cancel(self) -> None:
        """Ends the search; from any thread."""
        self._is_cancelled = True

    @property
    def is_over(self) -> bool:
        """Whether the search must end."""
        return self._is_cancelled or time.monotonic() > self._ends

    def require(self) -> None:
        """TooCostlyError if the search must end."""
        if self._is_cancelled:
            raise TooCostlyError("the search was ended, because its client has left.")
        if time.monotonic() > self._ends:
            raise TooCostlyError(
                f"the search took longer than {self.seconds:g} s and was ended. Narrow it by a patient, a code or a date, ask for "
                "fewer resources with _count, or leave out _total=accurate, _include and _revinclude."
            )
