"""Encrypted cells: each is encrypted separately and bound to its data set, column, row and patient."""

import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import StoreError
from galenic.store.grant import AbstractGrant

PAD = 16  # padding, so that the encrypted length reveals a cell's length only in steps of 16 bytes


def seal_cells(key: AESGCM, dataset: str, row: int, subject: int, cells: list[tuple[str, str | None]]) -> bytes:
    """One encrypted row: length, nonce and ciphertext of each cell."""
    nonces, parts = os.urandom(12 * len(cells)), []
    for i, (column, value) in enumerate(cells):
        text = b"\0" if value is None else b"\1" + value.encode()
        text += b"\x80" + b"\0" * (-(len(text) + 1) % PAD)
        nonce = nonces[12 * i : 12 * i + 12]
        sealed = key.encrypt(nonce, text, f"{dataset}\0{column}\0{row}\0{subject}".encode())
        parts.append(struct.pack(">I", len(sealed)) + nonce + sealed)
    return b"".join(parts)


def bind(dataset: str, places: list[tuple[int, str]]) -> list[tuple[int, bytes]]:
    """Places of the wanted columns with the associated data of their cells, up to row and patient."""
    return [(place, f"{dataset}\0{column}\0".encode()) for place, column in places]


def open_cells(
    key: AESGCM, dataset: str, row: int, subject: int, columns: list[tuple[int, bytes]], sealed: bytes
) -> list[str | None]:
    """Values of the wanted columns; only their cells are decrypted."""
    out: list[str | None] = []
    at = place = 0
    number, whose, decrypt = int.from_bytes, b"%d\0%d" % (row, subject), key.decrypt
    try:
        for wanted, bound in columns:
            while place < wanted:
                at += 16 + number(sealed[at : at + 4], "big")
                place += 1
            start = at + 16
            end = start + number(sealed[at : at + 4], "big")
            text = decrypt(sealed[at + 4 : start], sealed[start:end], bound + whose)
            at, place = end, place + 1
            out.append(text[1 : text.rindex(b"\x80")].decode() if text[0] else None)
    except (InvalidTag, ValueError, IndexError):
        raise StoreError(
            f"row {row} of data set {dataset!r} was changed: a cell was edited, moved or swapped. Stop, keep the "
            "database, and contact the security officer."
        ) from None
    return out


def add_record_keys(grant: AbstractGrant, keys: dict[int, AESGCM], needed: set[int]) -> None:
    """Adds the record keys of subjects to the cached ones; an erased patient has none."""
    if len(keys) > 200_000:
        keys.clear()
    fresh = [s for s in needed if s not in keys]  # not a set difference, which would read all keys for a single one
    if fresh:
        keys |= {s: AESGCM(k) for s, k in grant.keys(sorted(fresh)).items()}
