"""Files that appear completely or not at all: written to a temporary path, flushed, then renamed."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from galenic.errors import StateError, StoreError


def _explain(error: OSError, place: Path) -> StoreError:
    reason = os.strerror(error.errno) if error.errno else "unknown reason"
    todo = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Check that the folder is writable"
    return StoreError(f"{place} cannot be written: {reason}. Nothing was changed. {todo}, then run the command again.")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_private(folder: Path) -> bool:
    """True if only the owner may enter a folder, as with all folders of an installation: its files are only for the owner."""
    return any(not place.stat().st_mode & 0o077 for place in (folder, *folder.parents))


def make_private(path: Path) -> None:
    """Creates a file that only its owner can read, if there is none; a library that opens it later keeps its mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


@contextlib.contextmanager
def locked(place: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file next to `place`, for the processes of this machine."""
    try:
        beside = place.with_name(f".{place.name}.lock")
        make_private(beside)
        lock = beside.open("ab", buffering=0)
    except OSError as error:
        raise StoreError(
            f"{place.parent} is not writable ({error.strerror}). Nothing was changed. Check its permissions."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def file_aside(target: Path) -> Iterator[Path]:
    """Yields a path next to `target` to write to. It becomes `target` when the block ends normally, and is removed otherwise."""
    target = target.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".aside", dir=target.parent)
        os.close(descriptor)
    except OSError as error:
        raise _explain(error, target) from error
    aside = Path(name)
    try:
        yield aside
        _flush(aside)
        if not _is_private(target.parent):
            mask = os.umask(0)
            os.umask(mask)
            aside.chmod(0o666 & ~mask)
        aside.replace(target)
        _flush(target.parent)
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder next to `target` that is removed when the block ends; `sweep` removes leftovers of killed
    processes."""
    target = target.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".aside", dir=target.parent))
    except OSError as error:
        raise _explain(error, target) from error
    try:
        yield aside
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """Yields a folder next to `target` to fill. It becomes `target` when the block ends normally, and is removed otherwise.

    Raise StateError if `target` exists: an existing folder is never overwritten.
    """
    target = target.absolute()
    if target.exists():
        raise StateError(f"{target} already exists. Choose another folder, or move this one away.")
    with scratch_folder(target) as aside:
        yield aside
        private = _is_private(target.parent)
        for path in sorted(aside.rglob("*")):
            if path.is_symlink():
                continue
            if path.is_file():
                _flush(path)
            if private:
                path.chmod(0o700 if path.is_dir() else 0o600)
        aside.chmod(0o700 if private else 0o755)
        aside.rename(target)
        _flush(target.parent)


def sweep(folder: Path) -> int:
    """Removes temporary files that a killed process left in `folder` an hour ago or more. Returns their number."""
    removed = 0
    for path in folder.glob(".*.aside") if folder.is_dir() else ():
        if time.time() - path.stat().st_mtime < 3600:
            continue
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        removed += 1
    return removed
