"""Ed25519 keys of this installation: one for the access check, and one for each signer, in a folder that only the owner can
read."""

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from galenic.errors import OptionError, StateError, StoreError, UnknownNameError
from galenic.security.policy import ROLES
from galenic.store import file_aside, locked

GATE = "gate"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True)
class Key:
    """One key pair. identity is "unverified" until a person's identity can be checked."""

    name: str
    role: str
    private: Ed25519PrivateKey
    identity: str = "unverified"

    @property
    def public(self) -> str:
        """Raw public key, base64."""
        return base64.b64encode(public_bytes(self.private.public_key())).decode()

    @property
    def fingerprint(self) -> str:
        """sha256 of the raw public key, hexadecimal; the DSSE key id."""
        return hashlib.sha256(public_bytes(self.private.public_key())).hexdigest()

    def sign(self, message: bytes) -> str:
        """Ed25519 signature (RFC 8032), base64."""
        return base64.b64encode(self.private.sign(message)).decode()


def public_bytes(key: Ed25519PublicKey) -> bytes:
    """The 32 raw bytes of a public key."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class KeyRing:
    """Keys in one folder. A passphrase in GALENIC_PASSPHRASE encrypts them at rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self, name: str, role: str) -> Key:
        """Creates a signer's key. Raise StateError if the name is taken, and OptionError if the name or role is not allowed."""
        if not NAME.match(name) or name == GATE:
            raise OptionError(f"{name!r} is not a valid key name. Use letters, digits, '.', '_' or '-'; {GATE!r} is reserved.")
        if role not in ROLES:
            raise UnknownNameError(f"role {role!r} is unknown. Expected one of {', '.join(ROLES)}.")
        with locked(self.folder / f"{name}.json"):
            if (self.folder / f"{name}.json").exists():
                raise StateError(f"a key named {name!r} already exists. Choose another name.")
            return self._write(name, role)

    def get(self, name: str) -> Key:
        """Key with that name. Raise UnknownNameError if there is none, and StoreError if it cannot be opened."""
        place = self.folder / f"{name}.json"
        if not NAME.match(name) or not place.is_file():
            known = ", ".join(self.names()) or "none yet"
            raise UnknownNameError(
                f"there is no key named {name!r} (known: {known}). Create it: galenic keys create {name} --role ROLE"
            )
        try:
            data = json.loads(place.read_text(encoding="utf-8"))
            data["pem"].encode(), data["role"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreError(f"the file of key {name!r} is damaged. Restore the key folder from a backup.") from None
        try:
            private = serialization.load_pem_private_key(data["pem"].encode(), _passphrase())
        except (ValueError, TypeError):
            raise StoreError(
                f"key {name!r} cannot be opened. Set GALENIC_PASSPHRASE to the passphrase it was encrypted with."
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise StoreError(f"key {name!r} is not an Ed25519 key. Restore the key folder.")
        return Key(name, data["role"], private)

    def gate(self) -> Key:
        """Key of the installation itself, created when first needed."""
        place = self.folder / f"{GATE}.json"
        if not place.exists():
            with locked(place):  # two processes that start at the same time must not each create one
                return self.get(GATE) if place.exists() else self._write(GATE, GATE)
        return self.get(GATE)

    def names(self) -> tuple[str, ...]:
        """Names of the signers' keys."""
        return tuple(sorted(p.stem for p in self.folder.glob("*.json") if p.stem != GATE))

    def _write(self, name: str, role: str) -> Key:
        private = Ed25519PrivateKey.generate()
        secret = _passphrase()
        lock = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
        pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()
        key = Key(name, role, private)
        place = self.folder / f"{name}.json"
        with file_aside(place) as aside:
            aside.write_text(json.dumps({"name": name, "role": role, "public": key.public, "pem": pem}), encoding="utf-8")
        place.chmod(0o600)
        return key


def _passphrase() -> bytes | None:
    value = os.environ.get("GALENIC_PASSPHRASE")
    return value.encode() if value else None
