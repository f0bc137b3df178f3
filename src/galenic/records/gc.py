"""Python's cycle collector made to look less often while records stream through: what JSON gives has no cycles."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (100_000, 50, 50)

_lock = threading.Lock()
_usual: list[tuple[int, int, int]] = []  # what was set before, one for each that asked


@contextmanager
def paused_gc() -> Iterator[None]:
    """A fifth of the time of an import went into looking through half-read Bundles for cycles. Several may ask at once; the last
    one that ends puts back what was set before the first."""
    with _lock:
        _usual.append(_usual[-1] if _usual else gc.get_threshold())
        gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        with _lock:
            before = _usual.pop()
            if not _usual:
                gc.set_threshold(*before)


def freeze_gc() -> None:
    """The same for as long as the process lives: for helper processes."""
    gc.set_threshold(*SELDOM)
