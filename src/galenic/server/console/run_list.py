"""Names and times of runs on pages."""

from galenic.release import RunStatus


def run_label(run: RunStatus) -> str:
    """The title that a person gave the run; its id where there is none."""
    return run.details.title or run.run


def run_time(run_id: str) -> str:
    """The time at which a run began, from its id (ISO 8601, UTC)."""
    day, time = run_id[:8], run_id[9:15]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}+00:00"
