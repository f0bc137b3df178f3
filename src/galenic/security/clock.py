"""Time of access decisions. It never goes back while a process runs, and a clock that is ahead for a moment has no lasting
effect."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from galenic.store import telemetry

MOST_AHEAD = 12 * 3600  # maximum seconds between the clock and a later newest audit row that still counts as the time
STEP = 2.0  # seconds; a larger difference between the clock and the elapsed time means that the clock was set
LASTS = 60.0  # seconds that a clock must stay ahead before the time follows it permanently


def _uptime() -> float:
    """Seconds that have passed on this machine, including suspension. Setting the clock does not change them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class DecisionClock:
    """The clock of access decisions.

    The time passes at least as fast as the machine's uptime, from the later of the clock and the newest audit row at the start:
    setting the clock back makes nothing valid again. Ends are computed from the earlier time (`after`) and checked against the
    later one (`seconds`). So a clock that was ahead for less than a minute neither extends nor ends anything.

    newest: the time of the newest audit row, ISO 8601, or "". It counts if it is at most 12 hours ahead of the clock. clock,
    uptime: seconds since 1970, and since this machine started.
    """

    def __init__(
        self, newest: Callable[[], str], clock: Callable[[], float] = time.time, uptime: Callable[[], float] = _uptime
    ) -> None:
        self._newest, self._clock, self._uptime = newest, clock, uptime
        self._mutex = threading.Lock()
        self._start: tuple[float, float] | None = None  # the time, and the uptime at which it was
        self._ahead_since: float | None = None  # uptime since which the clock is ahead

    def seconds(self) -> float:
        """Time for checks of expiry, in seconds since 1970."""
        return max(self.passed(), self._clock())

    def now(self) -> str:
        """Time for checks of expiry, as ISO 8601 to the second."""
        return _second(int(self.seconds()))

    def moment(self) -> str:
        """Time of decisions, as ISO 8601 to the millisecond, for sorting."""
        return datetime.fromtimestamp(self.seconds(), UTC).isoformat(timespec="milliseconds")

    def ago(self, seconds: float) -> str:
        """Time a number of seconds before the later time, as ISO 8601 to the second."""
        return _second(int(self.seconds() - seconds))

    def after(self, seconds: float) -> str:
        """End of a period that begins now and lasts a number of seconds, as ISO 8601 to the second."""
        return _second(int(self.passed() + seconds))

    def passed(self) -> float:
        """Earlier time, in seconds since 1970, for measuring elapsed time."""
        clock, up = self._clock(), self._uptime()
        if self._start is None:
            self._begin(clock, up)
        assert self._start is not None
        at, then = self._start
        passed = at + up - then
        if clock <= passed:
            self._ahead_since = None
        elif clock - passed < STEP:
            self._start = clock, up
            return clock
        elif self._ahead_since is None:
            self._ahead_since = up
        elif up - self._ahead_since >= LASTS:
            self._start, self._ahead_since = (clock, up), None
            return clock
        return passed

    def _begin(self, clock: float, up: float) -> None:
        with self._mutex:
            if self._start is not None:
                return
            newest = self._newest()
            ahead = datetime.fromisoformat(newest).timestamp() - clock if newest else 0.0
            if ahead > MOST_AHEAD:
                telemetry.log(
                    "warning", "the latest audit row is later than the system clock", step=f"{ahead / 3600:.0f} hours"
                )
            self._start = clock + (ahead if 0 < ahead <= MOST_AHEAD else 0.0), up


@lru_cache(16)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")
