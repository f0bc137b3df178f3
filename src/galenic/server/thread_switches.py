"""Thread switch interval of the interpreter, which is shorter while long work runs."""

import sys
import threading

USUAL_SECONDS = 0.005  # Python's default; each switch of threads costs time
SHORT_SECONDS = 0.001  # a read releases the interpreter about ten times, and each busy search may then hold it for this long


class ThreadSwitches:
    """Shortens the thread switch interval while long work runs, so that short requests do not wait for it."""

    def __init__(self) -> None:
        self._long, self._mutex = 0, threading.Lock()

    def begin(self) -> None:
        """Marks the beginning of long work."""
        self._count(1)

    def end(self) -> None:
        """Marks the end of long work."""
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._mutex:
            self._long += change
            sys.setswitchinterval(SHORT_SECONDS if self._long else USUAL_SECONDS)


THREAD_SWITCHES = ThreadSwitches()
