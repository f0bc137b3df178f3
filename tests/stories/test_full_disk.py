"""A disk that fills up or is read-only at any step is our failure, and leaves nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from disks import frozen, small_disk
from galenic.installation import Installation, open_installation


def galenic(home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line with its state at `home`."""
    everything = [sys.executable, "-m", "galenic", *words]
    return subprocess.run(
        everything, env={**os.environ, "GALENIC_HOME": str(home)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("size", ["32k", "160k", "320k", "500k"])
def test_a_disk_that_fills_up_leaves_no_half_run(tmp_path: Path, patients_csv: Path, size: str) -> None:
    """The state of a whole run needs about 1 MB: these sizes end it at the database, the keys, the audit and the run."""
    with small_disk(tmp_path / "disk", size) as disk:
        done = galenic(disk / "home", "synthesize", patients_csv, "--drop", "discharged", "--target", "diabetes")
        assert done.returncode == 3, done.stderr
        assert "Our failure" in done.stderr
        assert "P000001" not in done.stderr
        assert not [p for p in disk.glob("home/runs/*") if not p.name.startswith(".")]
        assert not list(disk.glob("home/runs/.*.aside"))


def test_nothing_is_decided_on_a_read_only_file_system(custody: Installation, tmp_path: Path, patients_csv: Path) -> None:
    custody.close()
    target = tmp_path / "rows.csv"
    with frozen(custody.home):
        for words in (
            ["export", "clinic", target, "--purpose", "research", "--key", "rosa", "--second", "rosa2"],
            ["access", "P000001", "--key", "paul"],
            ["erase", "P000001", "--key", "paul", "--second", "paul2", "--receipt", tmp_path / "receipt.json"],
            ["import", patients_csv, "--as", "more", "--patient", "patient_id", "--key", "inge"],
        ):
            done = galenic(custody.home, *words)
            assert done.returncode == 3, done.stderr
            assert "P000001" not in done.stdout + done.stderr
    assert not target.exists()
    assert not (tmp_path / "receipt.json").exists()
    assert open_installation(custody.home).audit.faults()[0] == []
