"""Sealed notes: short texts about a patient (a reason, a comment, evidence) in facts, encrypted under the patient's key.

Erasing the patient destroys the key, and the notes with it.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import StoreError

STEP = 64  # padding: the encrypted length reveals a note's length only in steps of 64 bytes


def seal_note(key: bytes, place: str, text: str) -> str:
    """The text encrypted under a patient's key and bound to its place, hexadecimal."""
    raw = text.encode() + b"\x80"
    nonce = os.urandom(12)
    return (nonce + AESGCM(key).encrypt(nonce, raw + b"\0" * (-len(raw) % STEP), place.encode())).hex()


def open_note(key: bytes, place: str, sealed: str) -> str:
    """The text of a sealed note. StoreError if it was changed, or belongs to another place or patient."""
    raw = bytes.fromhex(sealed)
    try:
        text = AESGCM(key).decrypt(raw[:12], raw[12:], place.encode())
    except InvalidTag:
        raise StoreError(
            f"the note at {place!r} is not as it was written. Stop, keep the database, and call the security officer."
        ) from None
    return text[: text.rindex(b"\x80")].decode()
