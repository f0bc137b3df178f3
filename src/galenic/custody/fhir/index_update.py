"""Updates of the search index with versions that other processes wrote: an import, another server."""

import threading
import time
from collections.abc import Callable

from galenic import store
from galenic.errors import GalenicError, StateError

WAIT_SECONDS = 3.0  # seconds that a search waits for the index


class IndexBehindError(StateError):
    """The search index lacks stored versions, so a search could miss resources."""


class IndexUpdate:
    """Updates an index, in the thread that needs it or, if that takes long, in the background.

    missing: counts the stored versions that are not in the index; advance: indexes the next part of them.
    """

    def __init__(self, missing: Callable[[], int], advance: Callable[[], None]) -> None:
        self._missing, self._advance = missing, advance
        self._lock = threading.Lock()  # one thread updates at a time
        self._wanted, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def require_current(self) -> None:
        """Returns when every version that was stored before is in the index. Raise IndexBehindError if that takes longer than a
        search may wait; the update then continues in the background."""
        end = time.monotonic() + WAIT_SECONDS
        while (missing := self._missing()) > 0:
            if time.monotonic() > end or not self._lock.acquire(timeout=WAIT_SECONDS):
                self.start()
                raise IndexBehindError(
                    f"the search index does not yet contain {missing:,} newly imported resources, so a search could miss "
                    "some. It is being updated: search again later. Reads by id and writes work meanwhile."
                )
            try:
                self._advance()
            finally:
                self._lock.release()

    def step(self) -> None:
        """Indexes the next part, unless another thread has already done so."""
        with self._lock:
            if self._missing() > 0:
                self._advance()

    def start(self) -> None:
        """Updates the index in the background."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="index update", daemon=True)
            self._thread.start()
        self._wanted.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            self._wanted.clear()
            try:
                while not self._closed.is_set() and self._missing() > 0:
                    self.step()
            except GalenicError as error:  # the next search tries again, and reports the error
                store.telemetry.log("error", "the search index was not updated", error=type(error).__name__)

    def close(self) -> None:
        """Ends the background thread."""
        self._closed.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
