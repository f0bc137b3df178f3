"""Encrypted files, written and read in bounded memory: chunks in order with one key, named by their content, written to a
temporary file and renamed."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import StoreError
from galenic.store.files import file_aside

CHUNK = 256 * 1024
MAGIC = b"GALENIC1"


def write_blob(folder: Path, key: bytes, parts: Iterable[bytes]) -> str:
    """Encrypts a stream. Returns the file's name, which is its SHA-256.

    Each chunk's nonce is the file's random prefix with the chunk's number and a last-chunk mark (the STREAM construction of
    Hoang, Reyhanitabar, Rogaway and Vizár 2015), so missing, swapped or truncated chunks are detected.
    """
    lock, prefix, digest = AESGCM(key), os.urandom(7), hashlib.sha256()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = ""
    place = folder / f"{prefix.hex()}.part"
    with file_aside(place) as aside:
        with aside.open("wb") as out:

            def put(data: bytes) -> None:
                digest.update(data)
                out.write(data)

            put(MAGIC + prefix)
            for number, (chunk, last) in enumerate(_chunks(parts)):
                sealed = lock.encrypt(prefix + number.to_bytes(4, "big") + bytes([last]), chunk, MAGIC)
                put(len(sealed).to_bytes(4, "big") + sealed)
        name = digest.hexdigest()
    place.chmod(0o600)
    place.replace(folder / name)
    return name


def _chunks(parts: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    waiting = bytearray()
    for part in parts:
        waiting += part
        while len(waiting) > CHUNK:
            yield bytes(waiting[:CHUNK]), False
            del waiting[:CHUNK]
    yield bytes(waiting), True


def read_blob(place: Path, key: bytes) -> Iterator[bytes]:
    """Chunks of an encrypted file. Raise StoreError if the file was changed."""
    lock = AESGCM(key)
    try:
        with place.open("rb") as file:
            head = file.read(15)
            if head[:8] != MAGIC:
                raise StoreError(f"{place.name} is not an encrypted file of Galenic. Build it again.")
            prefix, number, last = head[8:], 0, False
            while size := file.read(4):
                sealed = file.read(int.from_bytes(size, "big"))
                at = file.tell()
                last = not file.read(1)
                file.seek(at)
                yield lock.decrypt(prefix + number.to_bytes(4, "big") + bytes([last]), sealed, MAGIC)
                number += 1
            if not last:
                raise StoreError(f"{place.name} is truncated. Build it again.")
    except FileNotFoundError:
        raise StoreError(
            f"{place.name} does not exist any more: it was deleted, for example because a patient in it was erased. "
            "Build it again."
        ) from None
    except InvalidTag:
        raise StoreError(f"{place.name} was changed, or was encrypted with another key. Build it again.") from None
