"""Rights to serve an installation, to perform its jobs and to erase a patient, for one at a time. The locks end with the process, however
it ends."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from galenic.errors import StateError, StoreError
from galenic.store.advisory_lock import AdvisoryLock
from galenic.store.database import Database

ADVISORY = {"server": 7214532, "worker": 7214533, "erasure": 7214534}  # PostgreSQL's locks; 7214531 is that of migrations
POLL = 0.1  # s between two tries
ADVICE = {
    "server": "this installation is already being served: {}. Two servers would not see each other's writes at once. Stop the other "
    "one first. Commands and imports can run at the same time.",
    "worker": "the jobs of this installation are already being performed: {}. Two processes would perform a job twice. Submit jobs to "
    "that process (in the console, or over HTTP), or stop it first.",
    "erasure": "an erasure is running in this installation: {}. Wait until it ends, then try again.",
}


@contextlib.contextmanager
def only_server(db: Database, home: Path, address: str) -> Iterator[None]:
    """Context with the right to serve. Raise StateError if another process serves this home folder or this database."""
    with _only(db, home, "server", address, 0.0):
        yield


@contextlib.contextmanager
def only_worker(db: Database, home: Path, wait: float = 0.0) -> Iterator[None]:
    """Context with the right to perform jobs. Raise StateError if another process still has it after a number of seconds."""
    with _only(db, home, "worker", "performs jobs", wait):
        yield


@contextlib.contextmanager
def only_erasure(db: Database, home: Path) -> Iterator[None]:
    """Context with the right to erase a patient. Raise StateError while another erasure is running; an interrupted one holds no right."""
    with _only(db, home, "erasure", "erases a patient", 0.0):
        yield


def lock_holder(db: Database, home: Path, right: str) -> str:
    """Process that serves ("server") or performs jobs ("worker") now, with its address; "" if there is none on this machine."""
    for place in sorted(_places(db, home, f"{right}.lock")):
        if place.exists():
            with _opened(place) as descriptor:
                if not _lock(descriptor):
                    return os.pread(descriptor, 500, 0).decode(errors="replace").strip() or "unknown"
    return ""


@contextlib.contextmanager
def _only(db: Database, home: Path, right: str, about: str, wait: float) -> Iterator[None]:
    """Lock that the kernel, or PostgreSQL, releases when its process ends, also after kill -9. A leftover file blocks nobody."""
    until = time.monotonic() + wait
    with contextlib.ExitStack() as stack:
        for place in sorted(_places(db, home, f"{right}.lock")):
            descriptor = stack.enter_context(_opened(place))
            while not _lock(descriptor):
                if time.monotonic() > until:
                    known = os.pread(descriptor, 500, 0).decode(errors="replace").strip()
                    _refuse(right, f"process {known or 'unknown'} holds {place}")
                time.sleep(POLL)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}, {about}\n".encode(), 0)
        if not db.is_sqlite:
            lock = AdvisoryLock(db, ADVISORY[right], right)
            stack.callback(lock.give_back)
            while not lock.take():
                if time.monotonic() > until:
                    _refuse(right, "another process holds the lock of the database")
                time.sleep(POLL)
            if right != "erasure":  # a lost lock ends a process; an erasure can be repeated, and its end is recorded once
                stack.enter_context(lock.watched())
        yield


def _places(db: Database, home: Path, name: str) -> set[Path]:
    """Lock files: in the home folder, and next to an SQLite database that several home folders may use."""
    places = {home.resolve() / name}
    if db.is_sqlite and db.url.database:
        file = Path(db.url.database).resolve()
        if file.parent != home.resolve():
            places.add(file.with_name(f"{file.name}.{name}"))
    return places


@contextlib.contextmanager
def _opened(place: Path) -> Iterator[int]:
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{place} cannot be opened ({error.strerror}). Nothing can be done without it. Check its permissions."
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse(right: str, by_whom: str) -> NoReturn:
    raise StateError(ADVICE[right].replace("{}", by_whom))
