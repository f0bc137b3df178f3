"""A disk that fills up at any step is our failure, and leaves nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("size", ["32k", "160k", "320k", "500k"])
def test_a_disk_that_fills_up_leaves_no_half_run(tmp_path: Path, patients_csv: Path, size: str) -> None:
    """The state of a whole run needs about 1 MB: these sizes end it at the database, the keys, the audit and the run."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a small file system can not be mounted here (not root)")
    try:
        words = ["synthesize", patients_csv, "--drop", "discharged", "--target", "diabetes"]
        done = subprocess.run(
            [sys.executable, "-m", "galenic", *words],
            env={**os.environ, "GALENIC_HOME": str(disk / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3, done.stderr
        assert "Our failure" in done.stderr
        assert "P000001" not in done.stderr
        assert not [p for p in disk.glob("home/runs/*") if not p.name.startswith(".")]
        assert not list(disk.glob("home/runs/.*.aside"))
    finally:
        subprocess.run(["umount", disk], check=True)
