"""The right to serve an installation: one server process at a time, by locks that end with the process however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa

from galenic.errors import StateError, StoreError
from galenic.store.database import Database

LOCK = "server.lock"
ADVISORY = 7214532  # PostgreSQL's lock of the server; 7214531 is that of migrations


@contextlib.contextmanager
def only_server(db: Database, home: Path, address: str) -> Iterator[None]:
    """Holds the right to serve while the block lasts. StateError if another process serves this home folder or this database.

    The kernel, or PostgreSQL, gives a lock back when its process ends, also after kill -9: a file that is left over blocks nobody.
    """
    with contextlib.ExitStack() as stack:
        for place in _places(db, home):
            stack.enter_context(_lock_file(place, address))
        if not db.is_sqlite:
            connection = stack.enter_context(db.engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
            if not connection.execute(sa.text("SELECT pg_try_advisory_lock(:n)"), {"n": ADVISORY}).scalar_one():
                _refuse("another server holds the lock of the database")
            stack.callback(connection.execute, sa.text("SELECT pg_advisory_unlock(:n)"), {"n": ADVISORY})
        yield


def _places(db: Database, home: Path) -> set[Path]:
    """Lock files: in the home folder, and beside an SQLite database that several homes may name."""
    places = {home.resolve() / LOCK}
    if db.is_sqlite and db.url.database:
        file = Path(db.url.database).resolve()
        if file.parent != home.resolve():
            places.add(file.with_name(f"{file.name}.{LOCK}"))
    return places


@contextlib.contextmanager
def _lock_file(place: Path, address: str) -> Iterator[None]:
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{place} cannot be opened ({error.strerror}). Nothing is served without it.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode(errors="replace").strip()
            _refuse(f"process {holder or 'unknown'} holds {place}")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}, {address}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _refuse(by_whom: str) -> NoReturn:
    raise StateError(
        f"this installation is being served already: {by_whom}. Two servers would not see each other's writes at once. Stop the other "
        "one first. Commands and imports may run beside it."
    )
