"""Exit codes and interruption of `galenic deidentify --out`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from galenic.cli import run


def people(path: Path, rows: int) -> Path:
    lines = ["mrn,ward_code", *(f"MR{7_000_000 + 37 * i},MR{7_000_000 + 37 * (i + 1)}" for i in range(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_stated_numbers_in_the_output_end_with_1(tmp_path: Path) -> None:
    table = people(tmp_path / "people.csv", 60)
    words = ["deidentify", str(table), "--out", str(tmp_path / "out"), "--column", "ward_code=verbatim"]
    assert run(words) == 1
    assert run(["deidentify", str(table), "--out", str(tmp_path / "clean"), "--column", "ward_code=drop"]) == 0


def test_a_command_that_is_terminated_leaves_no_copies(tmp_path: Path) -> None:
    table = people(tmp_path / "people.csv", 4_000)
    words = [sys.executable, "-m", "galenic", "deidentify", str(table), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(words, env={**os.environ, "GALENIC_HOME": str(tmp_path / "home")}, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".out.*.aside/copy")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert not list(tmp_path.glob(".*"))
