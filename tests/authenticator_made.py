"""A security key in software, which says whatever a test wants it to say."""

import base64
import hashlib
import json
import struct
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

RP, ORIGIN = "clinic.example", "https://clinic.example"


def pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Authenticator:
    """A security key in software, which says whatever it is told to say."""

    def __init__(self) -> None:
        self.key, self.id, self.count = ec.generate_private_key(ec.SECP256R1()), b"credential-of-sofia-", 1
        self.flags = 0x45  # user present, user verified, attested data

    def _client(self, kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def make(self, options: str, *, origin: str = ORIGIN, rp: str = RP, challenge: str = "") -> dict[str, Any]:
        """An answer to a question to make a passkey."""
        numbers = self.key.public_key().public_numbers()
        point = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        data = self._data(rp, self.flags) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(point)
        client = self._client("webauthn.create", challenge or json.loads(options)["challenge"], origin)
        made = {"fmt": "none", "attStmt": {}, "authData": data}
        response = {"clientDataJSON": pack(client), "attestationObject": pack(cbor2.dumps(made))}
        return {"id": pack(self.id), "rawId": pack(self.id), "type": "public-key", "response": response}

    def _data(self, rp: str, flags: int) -> bytes:
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + struct.pack(">I", self.count)

    def show(
        self, options: str, *, origin: str = ORIGIN, rp: str = RP, challenge: str = "", flags: int = 0x05
    ) -> dict[str, Any]:
        """An answer to a question who it is."""
        self.count += 1
        data = self._data(rp, flags)
        client = self._client("webauthn.get", challenge or json.loads(options)["challenge"], origin)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": pack(client),
            "authenticatorData": pack(data),
            "signature": pack(signature),
            "userHandle": None,
        }
        return {"id": pack(self.id), "rawId": pack(self.id), "type": "public-key", "response": response}
