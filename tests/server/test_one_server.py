"""One server process serves an installation; a second one refuses to start and says why."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from galenic.errors import StateError
from galenic.installation import open_installation
from galenic.server import ServerOptions, prepare_server
from galenic.store import Database, only_server, only_worker
from galenic.store.advisory_lock import CHECK_SECONDS
from server_made import free_port

SERVE = [sys.executable, "-m", "galenic", "serve", "--plain", "--simulated", "0", "--port"]


@contextmanager
def a_server_process(home: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`galenic serve` in a process of its own, once it serves."""
    environment = {**os.environ, "GALENIC_HOME": str(home), **more}
    server = subprocess.Popen([*SERVE, str(free_port())], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Serving")
        yield server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def second_server(home: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Output of `galenic serve` beside a running server."""
    environment = {**os.environ, "GALENIC_HOME": str(home), **more}
    return subprocess.run([*SERVE, str(free_port())], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_server_refuses_to_start_and_kill_9_leaves_nothing_that_blocks(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with a_server_process(home) as first:
        refused = second_server(home)
        assert refused.returncode == 2
        said = " ".join(refused.stderr.split())
        assert "is already being served" in said
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
        pytest.raises(StateError, match="holds the lock of the database"),
        only_server(second, tmp_path / "b", "http://b"),
    ):
        pass
    with only_server(second, tmp_path / "b", "http://b"):
        pass
    first.close()
    second.close()


def end_connections(url: str, number: int) -> None:
    """Ends the connection that holds an advisory lock, as an administrator or a network may."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        found = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = :n"
        assert c.execute(sa.text(found), {"n": number}).all()
    engine.dispose()


@pytest.mark.parametrize(("right", "number"), [(only_server, 7214532), (only_worker, 7214533)])
def test_a_lock_whose_connection_broke_is_taken_again(
    right: Callable[..., AbstractContextManager[None]], number: int, tmp_path: Path, postgresql: str
) -> None:
    first, second = Database(postgresql), Database(postgresql)
    about = ("http://a",) if right is only_server else ()
    for home in (tmp_path / "a", tmp_path / "b"):
        home.mkdir()
    with right(first, tmp_path / "a", *about):
        end_connections(postgresql, number)
        time.sleep(2 * CHECK_SECONDS)
        with pytest.raises(StateError, match="lock of the database"), right(second, tmp_path / "b", *about):
            pass
    with right(second, tmp_path / "b", *about):
        pass
    first.close()
    second.close()


def test_a_server_whose_lock_another_process_took_stops_and_says_so(tmp_path: Path, postgresql: str) -> None:
    second = Database(postgresql)
    (tmp_path / "b").mkdir()
    with a_server_process(tmp_path / "a", GALENIC_DATABASE=postgresql) as first:
        end_connections(postgresql, 7214532)
        with only_server(second, tmp_path / "b", "http://b"):
            assert first.wait(60) == 3
    second.close()


def test_a_lock_that_ends_with_its_connection_ends_without_an_error(tmp_path: Path, postgresql: str) -> None:
    first = Database(postgresql)
    with only_server(first, tmp_path, "http://a"):
        end_connections(postgresql, 7214532)
    first.close()


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
