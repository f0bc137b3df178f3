"""Progress of long work, reported to whoever started it."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with a description of the current step and the share of the work that is done, from 0 to 1."""


def no_progress(_step: str, _share: float) -> None:
    """Discards progress reports."""
