"""The summary of a test run says how many tests were skipped because their data is absent, and how to run them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

def test_needs_real_data(data):
    raise AssertionError("never run")

@pytest.mark.skipif(True, reason="not on this machine")
def test_is_skipped_for_another_reason():
    raise AssertionError("never run")

def test_runs():
    pass
"""


def summary(place: Path, data: Path) -> str:
    """What pytest prints about three small tests with this repository's conftest and that data folder."""
    (place / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (place / "test_small.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", place, "-p", "no:cacheprovider", place]
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src")])
    environment = {**os.environ, "GALENIC_DATA": str(data), "PYTHONPATH": paths, "COLUMNS": "300", "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=place).stdout


def test_tests_without_data_are_counted_apart_and_the_setting_is_named(tmp_path: Path) -> None:
    found = summary(tmp_path, tmp_path / "absent")
    assert f"no data at {tmp_path / 'absent'}: set GALENIC_DATA" in found
    assert "1 passed, 1 skipped, 1 skipped for want of data in" in found.splitlines()[-1]


def test_nothing_is_said_where_the_data_is_there(tmp_path: Path) -> None:
    (tmp_path / "data" / "tabular").mkdir(parents=True)
    found = summary(tmp_path, tmp_path / "data")
    assert "1 failed, 1 passed, 1 skipped in" in found.splitlines()[-1]
    assert "want of data" not in found
