"""One server process serves an installation; a second one refuses to start and says why."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from galenic.errors import StateError
from galenic.installation import open_installation
from galenic.server import ServerOptions, prepare_server
from galenic.store import Database, only_server
from server_made import free_port

SERVE = [sys.executable, "-m", "galenic", "serve", "--plain", "--simulated", "0", "--port"]


@contextmanager
def a_server_process(home: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`galenic serve` in a process of its own, once it serves."""
    environment = {**os.environ, "GALENIC_HOME": str(home), **more}
    server = subprocess.Popen([*SERVE, str(free_port())], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("serving")
        yield server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def second_server(home: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """What `galenic serve` says beside a running server."""
    environment = {**os.environ, "GALENIC_HOME": str(home), **more}
    return subprocess.run([*SERVE, str(free_port())], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_server_refuses_to_start_and_kill_9_leaves_nothing_that_blocks(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with a_server_process(home) as first:
        refused = second_server(home)
        assert refused.returncode == 2
        said = " ".join(refused.stderr.split())
        assert "is being served already" in said
        assert str(first.pid) in said
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert (home / "server.lock").exists()
    with a_server_process(home):
        pass


def test_two_homes_with_one_sqlite_database_are_served_once(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'shared' / 'galenic.db'}"
    first, second = Database(database), Database(database)
    for home in (tmp_path / "a", tmp_path / "b"):
        home.mkdir()
    with (
        only_server(first, tmp_path / "a", "http://a"),
        pytest.raises(StateError, match="http://a"),
        only_server(second, tmp_path / "b", "http://b"),
    ):
        pass
    with only_server(second, tmp_path / "b", "http://b"):
        pass
    first.close()
    second.close()


def test_one_postgresql_database_is_served_once_from_whatever_home(tmp_path: Path, postgresql: str) -> None:
    first, second = Database(postgresql), Database(postgresql)
    for home in (tmp_path / "a", tmp_path / "b"):
        home.mkdir()
    with (
        only_server(first, tmp_path / "a", "http://a"),
        pytest.raises(StateError, match="lock of the database"),
        only_server(second, tmp_path / "b", "http://b"),
    ):
        pass
    with only_server(second, tmp_path / "b", "http://b"):
        pass
    first.close()
    second.close()


def test_the_lock_is_taken_before_anything_is_written(tmp_path: Path) -> None:
    installation = open_installation(tmp_path / "home")
    options = ServerOptions(plain=True, port=free_port(), simulated=0)
    with (
        only_server(installation.db, installation.home, "elsewhere"),
        pytest.raises(StateError, match="elsewhere"),
        prepare_server(installation, options),
    ):
        pass
    assert not installation.facts.of("session")
    installation.close()
