"""The file with the key of the audit log's next row; the previous key is overwritten."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from galenic.errors import StoreError

SIZE = 40  # bytes: number of the last row (8, big-endian), key of the next one (32)


class ChainKey:
    """One file, locked between the processes of this machine while rows are written. It stays open, because a thread with many
    system calls waits for all other threads of its process each time."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._handle, self._owner = -1, 0

    def __del__(self) -> None:
        self._drop()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Excludes other readers and writers of the key. Raise StoreError if the file cannot be opened for writing."""
        try:
            self._lock()
        except OSError as error:
            raise StoreError(
                f"the key of the audit log, {self.place}, cannot be opened ({error.strerror}). Nothing was done, because "
                "nothing can be recorded. Restore the key folder."
            ) from error
        try:
            yield
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _lock(self) -> None:
        while True:
            if self._owner != os.getpid():  # a fork shares its parent's lock: open the file anew
                self._drop()
                self._handle, self._owner = os.open(self.place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), os.getpid()
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._handle), os.stat(self.place)):  # noqa: PTH116
                    return
            self._drop()  # the file was moved or restored: the lock must be on the current file

    def _drop(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._owner = -1, 0

    def begun(self) -> bool:
        """True if a first row was ever written with this key."""
        return bool(os.pread(self._handle, SIZE, 0))

    def read(self) -> tuple[int, bytes]:
        """(number of the last row, key of the next one). Raise StoreError if the file is damaged. Call it inside `locked`."""
        data = os.pread(self._handle, SIZE + 1, 0)
        if len(data) != SIZE:
            raise StoreError(
                f"the key of the audit log, {self.place}, is damaged. Restore the key folder, and contact the security officer."
            )
        return int.from_bytes(data[:8], "big"), data[8:]

    def overwrite(self, seq: int, key: bytes) -> None:
        """Overwrites the key in place, so that the old bytes are removed from the file. Call it inside `locked`."""
        os.pwrite(self._handle, seq.to_bytes(8, "big") + key, 0)
