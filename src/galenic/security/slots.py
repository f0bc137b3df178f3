"""Small secrets in a file of fixed-size slots that are overwritten in place. Deleted bytes are also removed from the disk's
blocks (if the medium writes in place), and a change needs one flush of data instead of two of files and folders."""

import os
from hashlib import sha256
from pathlib import Path

from galenic.errors import StoreError
from galenic.store import file_aside

SLOT = 512  # bytes, one sector
EMPTY = bytes(SLOT)
HEAD = 34  # SHA-256 of the rest, length of the body (2 bytes, big-endian)


class Slots:
    """File of `count` slots, extended when they are full. A slot that was not written completely counts as empty."""

    def __init__(self, place: Path, count: int) -> None:
        self.place, self.count = place, count

    def read(self) -> dict[int, bytes]:
        """Content by slot number; nothing if there is no file. Raise StoreError if every slot that was ever used is damaged."""
        if not self.place.exists():
            return {}
        data, found, damaged = self.place.read_bytes(), {}, 0
        for slot in range(len(data) // SLOT):
            one = data[slot * SLOT : (slot + 1) * SLOT]
            if one == EMPTY:
                continue
            size = int.from_bytes(one[32:HEAD], "big")
            if size and sha256(one[32:]).digest() == one[:32]:
                found[slot] = one[HEAD : HEAD + size]
            else:
                damaged += 1
        if (damaged and not found) or len(data) % SLOT:
            raise StoreError(f"{self.place} is damaged: none of its slots can be read. Restore it from a backup.")
        return found

    def free(self) -> int:
        """An empty slot; the file grows if there is none."""
        used = self.read()
        size = self.place.stat().st_size // SLOT if self.place.exists() else 0
        empty = next((slot for slot in range(size) if slot not in used), None)
        if empty is not None:
            return empty
        kept = self.place.read_bytes() if size else b""
        with file_aside(self.place) as aside:
            aside.write_bytes(kept + bytes(SLOT * self.count))
        self.place.chmod(0o600)
        return size

    def write(self, slot: int, body: bytes) -> None:
        """Fills a slot returned by `free`, durably."""
        rest = len(body).to_bytes(2, "big") + body
        rest += bytes(SLOT - 32 - len(rest))
        assert len(rest) == SLOT - 32, "the content must have at most 478 bytes"
        self._put(slot, sha256(rest).digest() + rest)

    def clear(self, slot: int) -> None:
        """Overwrites a slot with zeros, durably."""
        self._put(slot, bytes(SLOT))

    def _put(self, slot: int, data: bytes) -> None:
        try:
            descriptor = os.open(self.place, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, data, slot * SLOT)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(
                f"{self.place} cannot be written ({error.strerror}). The previous content is unchanged. Check free "
                "space and permissions."
            ) from error
