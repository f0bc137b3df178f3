"""Garbage collection of cycles, made rare while records are read, because parsed JSON has no cycles."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (100_000, 50, 50)

_lock = threading.Lock()
_thresholds: list[tuple[int, int, int]] = []  # those before the first caller, once per caller


@contextmanager
def paused_gc() -> Iterator[None]:
    """Makes collections rare within the block. They took a fifth of the time of an import, with partly read Bundles in memory.

    Callers may overlap; the last one to end restores the thresholds that were set before the first.
    """
    with _lock:
        _thresholds.append(_thresholds[-1] if _thresholds else gc.get_threshold())
        gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        with _lock:
            before = _thresholds.pop()
            if not _thresholds:
                gc.set_threshold(*before)


def freeze_gc() -> None:
    """Makes collections rare for the rest of the process, for worker processes."""
    gc.set_threshold(*SELDOM)
