"""What is written appears whole or not at all, whatever happens meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from galenic import store
from galenic.errors import StateError, StoreError


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), store.file_aside(target) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    with store.file_aside(target) as aside:
        aside.write_text("new")
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_appears_only_when_it_is_whole_and_never_over_another(tmp_path: Path) -> None:
    target = tmp_path / "f"
    with pytest.raises(RuntimeError), store.folder_aside(target) as aside:
        (aside / "x").write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with store.folder_aside(target) as aside:
        (aside / "x").write_text("whole")
    with pytest.raises(StateError, match="already exists"), store.folder_aside(target):
        pass
    assert (target / "x").read_text() == "whole"


FILL = """
import sys
from pathlib import Path
from galenic import store
from galenic.errors import StateError, StoreError
try:
    with store.folder_aside(Path(sys.argv[1]) / "run") as aside:
        for i in range(100):
            (aside / f"{i}").write_bytes(b"x" * 65536)
except StoreError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_full_disk_is_our_failure_and_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a small file system can not be mounted here (not root)")
    try:
        done = subprocess.run([sys.executable, "-c", FILL, disk], capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert "No space left" in done.stdout
        assert "Free some space" in done.stdout
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)


KILL = """
import os, signal, sys
from pathlib import Path
from galenic import store
with store.folder_aside(Path(sys.argv[1]) / "run") as aside:
    (aside / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_no_run_and_its_remains_are_swept(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILL, tmp_path], check=False)
    assert not (tmp_path / "run").exists()
    remains = list(tmp_path.glob(".*.aside"))
    assert len(remains) == 1
    assert store.sweep(tmp_path) == 0  # it may still be at work
    os.utime(remains[0], (0, 0))
    assert store.sweep(tmp_path) == 1
    assert not list(tmp_path.iterdir())


def test_a_damaged_database_is_our_failure(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is no database, but it is long enough to be read as one" * 50)
    with pytest.raises(StoreError, match="database"):
        store.Database(f"sqlite:///{tmp_path / 'x.db'}")
