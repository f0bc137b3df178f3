"""Progress reports of long work."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with a description of the current step and the share of the work that is done, from 0 to 1."""


def no_progress(_step: str, _share: float) -> None:
    """Discards progress reports."""


def progress_part(progress: Progress, start: float, end: float) -> Progress:
    """Reports a part of the work: maps its shares from 0 to 1 to the range from start to end."""
    return lambda step, share: progress(step, start + (end - start) * share)
