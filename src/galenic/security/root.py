"""Root key: its storage, its replacement, and the recovery copy that can restore it until a stated date."""

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from galenic.errors import ConfigurationError, MissingExtraError, OptionError, StoreError, UnknownNameError
from galenic.security.slots import Slots
from galenic.store import file_aside, locked

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)  # RFC 9180
INFO = b"galenic root escrow"


class RootKeeper(Protocol):
    """Storage for 32 bytes outside the database and its backups."""

    def get(self) -> bytes | None:
        """Root key, or None before there is one."""

    def put(self, root: bytes) -> None:
        """Replaces the root key. The previous one cannot be read from here again."""


class RootFile:
    """Root key in a file that only its owner can read, encrypted with GALENIC_PASSPHRASE (scrypt, RFC 7914) if that is set."""

    def __init__(self, place: Path) -> None:
        self.place, self._slots = place, Slots(place, 2)

    def _current(self) -> tuple[int, dict[str, Any]] | None:
        try:
            found = [(slot, json.loads(body)) for slot, body in self._slots.read().items()]
        except (OSError, ValueError, StoreError) as error:
            raise StoreError(
                f"the root key {self.place} cannot be read ({type(error).__name__}). Restore it from the recovery "
                "copy: galenic keys recover-root"
            ) from None
        return max(found, key=lambda one: int(one[1]["number"]), default=None)

    def get(self) -> bytes | None:
        """Root key, or None before there is one."""
        found = self._current()
        if found is None:
            return None
        body = base64.b64decode(found[1]["root"])
        if not found[1]["sealed"]:
            return body
        try:
            return AESGCM(_stretch(body[:16])).decrypt(body[16:28], body[28:], INFO)
        except InvalidTag:
            raise StoreError(
                "the root key cannot be decrypted. Set GALENIC_PASSPHRASE to the passphrase it was encrypted with."
            ) from None

    def put(self, root: bytes) -> None:
        """Writes the root key next to the previous one, then overwrites that one. After an interruption, the newer one counts."""
        body, sealed = root, bool(os.environ.get("GALENIC_PASSPHRASE"))
        if sealed:
            salt, nonce = os.urandom(16), os.urandom(12)
            body = salt + nonce + AESGCM(_stretch(salt)).encrypt(nonce, root, INFO)
        before = self._current()
        number = 1 if before is None else int(before[1]["number"]) + 1
        text = json.dumps({"number": number, "sealed": sealed, "root": base64.b64encode(body).decode()}).encode()
        slot = self._slots.free() if before is None else 1 - before[0]
        self._slots.write(slot, text)
        self._slots.clear(1 - slot)


def _stretch(salt: bytes) -> bytes:
    secret = os.environ.get("GALENIC_PASSPHRASE", "").encode()
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(secret)


class RootInVault:
    """Root key in HashiCorp Vault or OpenBao: key-value secrets engine, version 2. Older versions are destroyed.

    where: https://HOST:PORT/v1/MOUNT/NAME; the token comes from VAULT_TOKEN.
    """

    def __init__(self, where: str) -> None:
        base, _, name = where.rstrip("/").rpartition("/")
        self.data, self.metadata = f"{base}/data/{name}", f"{base}/destroy/{name}"
        if not where.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ConfigurationError(
                "the Vault server of the root key must be reached by https, but GALENIC_ROOT begins with "
                f"{where.split('://', maxsplit=1)[0]}://. Use https."
            )

    def get(self) -> bytes | None:
        """Root key, or None before there is one."""
        found = self._call("GET", self.data, None)
        return base64.b64decode(found["data"]["data"]["root"]) if found else None

    def put(self, root: bytes) -> None:
        """Writes a new version, then destroys all before it."""
        made = self._call("POST", self.data, {"data": {"root": base64.b64encode(root).decode()}})
        version = int(made["data"]["version"]) if made else 1
        if version > 1:
            self._call("POST", self.metadata, {"versions": list(range(1, version))})

    def _call(self, method: str, url: str, body: Mapping[str, Any] | None) -> dict[str, Any] | None:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310  # the scheme is checked above
        request.add_header("X-Vault-Token", os.environ.get("VAULT_TOKEN", ""))
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # nosec B310  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 404 and method == "GET":
                return None
            raise StoreError(f"Vault answered with status {error.code}. Check VAULT_TOKEN and its policy for {url}.") from None
        except (urllib.error.URLError, TimeoutError) as error:
            raise StoreError(
                f"Vault at {url} cannot be reached ({type(error).__name__}). Nothing was opened. Check the URL and the network."
            ) from None
        found: dict[str, Any] = json.loads(text) if text else {}
        return found


class RootInToken:
    """Root key as a data object in a PKCS#11 token. where: MODULE.so?token=LABEL; the PIN comes from PKCS11_PIN."""

    LABEL = "galenic root"

    def __init__(self, where: str) -> None:
        self.module, _, self.token = where.partition("?token=")

    def _session(self) -> Any:
        try:
            import pkcs11  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("PKCS#11 needs the package python-pkcs11", "pkcs11") from None
        try:
            token = pkcs11.lib(self.module).get_token(token_label=self.token)
            return token.open(rw=True, user_pin=os.environ.get("PKCS11_PIN", ""))
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise StoreError(
                f"the PKCS#11 token cannot be opened ({type(error).__name__}). Check the module, the token label and the PIN."
            ) from None

    def get(self) -> bytes | None:
        """Root key, or None before there is one."""
        with self._session() as session:
            from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415  # after _session, which says what is missing

            found = list(session.get_objects({Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: self.LABEL}))
            return bytes(found[0][Attribute.VALUE]) if found else None

    def put(self, root: bytes) -> None:
        """Destroys the object with the previous root key and creates a new one, readable only after login."""
        with self._session() as session:
            from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415

            a = Attribute
            for old in list(session.get_objects({a.CLASS: ObjectClass.DATA, a.LABEL: self.LABEL})):
                old.destroy()
            session.create_object(
                {a.CLASS: ObjectClass.DATA, a.LABEL: self.LABEL, a.TOKEN: True, a.PRIVATE: True, a.VALUE: root}
            )


def root_keeper(where: str) -> RootKeeper:
    """Root key storage of GALENIC_ROOT: a path, vault:URL or pkcs11:MODULE?token=LABEL."""
    if where.startswith("vault:"):
        return RootInVault(where.removeprefix("vault:"))
    if where.startswith("pkcs11:"):
        return RootInToken(where.removeprefix("pkcs11:"))
    return RootFile(Path(where).expanduser().absolute())


class Escrow:
    """Recovery copies of root keys, each encrypted (HPKE, RFC 9180) with a public key; the private key is stored elsewhere.

    A copy of a replaced root key is overwritten `days` after its replacement. Until then, the private key could still open
    older backups; every erasure receipt states the date.
    """

    def __init__(self, folder: Path, days: int) -> None:
        self.folder, self.days = folder, days
        self.public = folder / "escrow-public.pem"
        self.private = folder / "escrow-private.pem"
        self._slots = Slots(folder / "roots.sealed", 64)

    def initialize(self) -> None:
        """Creates the key pair, once. Store the private key in a safe place, not on this machine."""
        if self.public.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.public):
            if not self.public.exists():
                self._create_key_pair()

    def _create_key_pair(self) -> None:
        key = X25519PrivateKey.generate()
        raw = serialization.Encoding.PEM
        private = key.private_bytes(raw, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        public = key.public_key().public_bytes(raw, serialization.PublicFormat.SubjectPublicKeyInfo)
        for place, pem in ((self.private, private), (self.public, public)):
            with file_aside(place) as aside:
                aside.write_bytes(pem)
            place.chmod(0o600)

    def keep(self, root: bytes) -> None:
        """Stores an encrypted copy of the new root key. Every older copy is deleted `days` later."""
        self.initialize()
        public = serialization.load_pem_public_key(self.public.read_bytes())
        assert isinstance(public, X25519PublicKey)
        sealed = base64.b64encode(SUITE.encrypt(root, public, info=INFO)).decode()
        with locked(self._slots.place):
            kept_at = datetime.now(UTC).isoformat(timespec="microseconds")
            self._slots.write(self._slots.free(), json.dumps({"kept_at": kept_at, "sealed": sealed}).encode())

    def copies(self) -> list[tuple[datetime, str, int]]:
        """(time, encrypted root key, slot) of every copy, oldest first; the last is of the current root key."""
        found = [(json.loads(body), slot) for slot, body in self._slots.read().items()]
        return sorted((datetime.fromisoformat(c["kept_at"]), str(c["sealed"]), slot) for c, slot in found)

    def _dies(self, successor: datetime) -> datetime:
        """Date at which the previous copy is deleted. Its root key was replaced when this one was stored."""
        return successor + timedelta(days=self.days)

    def sweep(self) -> int:
        """Overwrites copies that are due. Returns their number."""
        if not self._slots.place.exists():
            return 0
        with locked(self._slots.place):
            now = datetime.now(UTC)
            dead = [old for old, new in pairwise(self.copies()) if self._dies(new[0]) <= now]
            for _kept_at, _sealed, slot in dead:
                self._slots.clear(slot)
            return len(dead)

    def last_older_root_dies(self) -> str | None:
        """Date at which the last copy of a replaced root key is deleted; None if there is none."""
        copies = self.copies()
        return self._dies(copies[-1][0]).isoformat(timespec="seconds") if len(copies) > 1 else None

    def recover(self, private_pem: bytes) -> bytes:
        """Current root key, decrypted with the private key that was stored elsewhere."""
        private = serialization.load_pem_private_key(private_pem, None)
        current = self.copies()
        if not isinstance(private, X25519PrivateKey) or not current:
            raise UnknownNameError(
                "this key cannot open any recovery copy of the root key here. Expected an X25519 private key (PEM)."
            )
        sealed = base64.b64decode(current[-1][1])
        try:
            return SUITE.decrypt(sealed, private, info=INFO)
        except (InvalidTag, ValueError):
            raise OptionError(
                "this key does not open the recovery copy of the root key. Use the private key that was made with it."
            ) from None
