"""Clicks from sign-in to a patient's record, for a clinician on a fresh server with simulated patients; nobody opens a shell."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def clicks_to_record(folder: Path) -> int:
    """Links and buttons that a clinician presses after signing in until a record is shown. A care relation comes from the console's form."""
    from hospital_made import a_hospital  # noqa: PLC0415  # its tests stand beside the benchmarks

    with a_hospital(folder, patients=20) as hospital:
        text = hospital.post("ines", "/care", clinician="clara", until="2030-01-01", patients="1\n2\n3")
        assert "3 care relations are recorded" in text
        place, clicks = "/", 0
        for wanted in ('href="/patients"', 'href="/patients/1"'):
            page = hospital.get("clara", place)
            assert wanted in page, f"{place} has no link {wanted}"
            place, clicks = wanted.split('"')[1], clicks + 1
        assert "Timeline" in hospital.get("clara", place)
        return clicks


def measure(row: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """The row of the clicks."""
    with tempfile.TemporaryDirectory() as folder:
        clicks = clicks_to_record(Path(folder))
    what = "clicks from sign-in to a patient's record, for a clinician on a fresh server, without a shell (before: impossible)"
    return [row("usability.clicks_to_record", what, "clicks", clicks, "<= 3", clicks <= 3)]
