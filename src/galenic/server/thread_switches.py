"""Time after which a thread gives way to another one: shorter while long work is being done."""

import sys
import threading

USUAL_SECONDS = 0.005  # Python's own: each change of the thread costs time
SHORT_SECONDS = 0.001  # a read gives up the interpreter about ten times, and each busy search may then hold it for so long


class ThreadSwitches:
    """Threads of this process give way sooner while any long work is being done, so that short requests do not wait for it."""

    def __init__(self) -> None:
        self._long, self._mutex = 0, threading.Lock()

    def begin(self) -> None:
        """Long work is being done from now on."""
        self._count(1)

    def end(self) -> None:
        """Long work has ended."""
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._mutex:
            self._long += change
            sys.setswitchinterval(SHORT_SECONDS if self._long else USUAL_SECONDS)


THREAD_SWITCHES = ThreadSwitches()
