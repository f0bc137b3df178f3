"""Version numbers that tell a process when another one has changed cached data."""

import threading
import time

from galenic.store import Database, version_numbers

FRESH = 0.02  # seconds: a change of facts in another process is seen within this time; a change in this process at once
REREAD = 1.0  # seconds after which all cached data is read again, even if no version has changed


class Versions:
    """Versions of facts and erasures, read at most every 20 ms.

    "second" changes once per second, so that cached data is read again. So a direct change of the database cannot keep a right
    active by keeping its version unchanged, and expired rights end in time.
    """

    def __init__(self, db: Database) -> None:
        self.db, self._at = db, 0.0
        self._numbers = {"facts": 0, "erasures": 0, "second": 0}
        self._turn = threading.Lock()
        self._mutex = threading.Lock()  # held for moments, never while the database is read
        self._changes = 0  # of this process

    def get(self) -> dict[str, int]:
        """Current versions, at most 20 ms old for changes by other processes."""
        now = time.monotonic()
        if now - self._at > FRESH and self._turn.acquire(
            blocking=self._at == 0.0
        ):  # one thread reads, the others need not wait
            try:
                if now - self._at > FRESH:
                    changes = self._changes
                    self._numbers = {"facts": 0, "erasures": 0, **version_numbers(self.db), "second": int(now / REREAD)}
                    with self._mutex:
                        self._at = now if changes == self._changes else 0.0  # a change during the read may not be included
            finally:
                self._turn.release()
        return self._numbers

    def refresh(self) -> None:
        """Makes the next `get` read the database."""
        with self._mutex:
            self._changes += 1
            self._at = 0.0
