"""Version numbers by which a process sees that another one has changed something that it remembers."""

import threading
import time

from galenic.store import Database, version_numbers

FRESH = 0.02  # s: another process's change of facts is seen within this time; this process's own at once
REREAD = 1.0  # s after which everything remembered is read again, also if no version has moved


class Versions:
    """Versions of facts and erasures, read at most every 20 ms.

    "second" moves once a second: what is remembered is then read again, so that nobody who writes into the database past Galenic
    can keep a right in force by keeping its version from moving, and what ends by time ends in time.
    """

    def __init__(self, db: Database) -> None:
        self.db, self._at = db, 0.0
        self._numbers = {"facts": 0, "erasures": 0, "second": 0}
        self._turn = threading.Lock()
        self._mutex = threading.Lock()  # held for moments, never while the database is read
        self._changes = 0  # of this process

    def get(self) -> dict[str, int]:
        """The versions now, or as of 20 ms ago where another process moves them."""
        now = time.monotonic()
        if now - self._at > FRESH and self._turn.acquire(blocking=self._at == 0.0):  # one reads, the others need not wait
            try:
                if now - self._at > FRESH:
                    changes = self._changes
                    self._numbers = {"facts": 0, "erasures": 0, **version_numbers(self.db), "second": int(now / REREAD)}
                    with self._mutex:
                        self._at = now if changes == self._changes else 0.0  # a change during the read may not be in it
            finally:
                self._turn.release()
        return self._numbers

    def refresh(self) -> None:
        """Makes the next `get` read the database."""
        with self._mutex:
            self._changes += 1
            self._at = 0.0
