"""The time that access decisions use: it never goes back while a process runs, and a clock that is ahead for a moment ends nothing for good."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from galenic.store import telemetry

MOST_AHEAD = 12 * 3600  # s that the newest audit row may be ahead of the clock at the start and still count as the time
STEP = 2.0  # s; a larger lead of the clock over the time that has passed is a clock that was set
LASTS = 60.0  # s that a clock which was set ahead must stay ahead before the time follows it for good


def _uptime() -> float:
    """Seconds that have passed on this machine, suspended or not; setting the clock does not change them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class DecisionClock:
    """The clock of access decisions.

    The time passes at least as fast as the machine's uptime, from the later of the clock and the newest audit row at the start:
    a clock that is set back revives nothing. What is opened ends by the earlier time (`after`) and is checked by the later one
    (`seconds`), so that a clock which was ahead for less than a minute leaves nothing open longer, and nothing closed.

    newest: the time of the newest audit row, ISO 8601, or "". It counts if it is at most 12 hours ahead of the clock.
    clock, uptime: seconds since 1970, and since this machine started.
    """

    def __init__(
        self, newest: Callable[[], str], clock: Callable[[], float] = time.time, uptime: Callable[[], float] = _uptime
    ) -> None:
        self._newest, self._clock, self._uptime = newest, clock, uptime
        self._mutex = threading.Lock()
        self._start: tuple[float, float] | None = None  # the time, and the uptime at which it was
        self._ahead_since: float | None = None  # uptime since which the clock has been ahead

    def seconds(self) -> float:
        """The time by which decisions check what has ended, in seconds since 1970."""
        return max(self.passed(), self._clock())

    def now(self) -> str:
        """The time by which decisions check what has ended, as ISO 8601 to the second."""
        return _second(int(self.seconds()))

    def moment(self) -> str:
        """The time of decisions, as ISO 8601 to the millisecond: for what is ordered by it."""
        return datetime.fromtimestamp(self.seconds(), UTC).isoformat(timespec="milliseconds")

    def ago(self, seconds: float) -> str:
        """The time so many seconds before the later time, as ISO 8601 to the second."""
        return _second(int(self.seconds() - seconds))

    def after(self, seconds: float) -> str:
        """The time at which something that begins now and lasts so many seconds ends, as ISO 8601 to the second."""
        return _second(int(self.passed() + seconds))

    def passed(self) -> float:
        """The earlier time, in seconds since 1970: what lies between two of them has passed."""
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
                telemetry.log("warning", "the newest audit row is ahead of the clock", step=f"{ahead / 3600:.0f} hours")
            self._start = clock + (ahead if 0 < ahead <= MOST_AHEAD else 0.0), up


@lru_cache(16)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")
