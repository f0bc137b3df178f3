"""Signed erasure receipt: destroyed data, proof that older backups cannot be opened, and copies outside the installation."""

import base64
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from galenic.errors import InputError, VerificationError
from galenic.security.audit import canonical
from galenic.security.keys import Key

TYPE = "application/vnd.galenic.erasure+json"


@dataclass(frozen=True)
class ReceiptSubject:
    """Patient of a receipt. number: subject id; digest: how the receipt names the patient; salt: with the identifier, proves that."""

    number: int
    digest: str
    salt: str


def receipt_subject(number: int, identifier: str) -> ReceiptSubject:
    """The patient of a receipt, with a new salt. Made before anything is erased: the identifier is unknown afterwards."""
    salt = secrets.token_hex(16)
    return ReceiptSubject(number, subject_digest(identifier, salt) if identifier else "", salt)


def _pae(payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE v1."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def sign_receipt(facts: dict[str, Any], key: Key) -> str:
    """The receipt as a DSSE envelope (JSON)."""
    payload = canonical(facts).encode()
    signature = {"keyid": key.fingerprint, "sig": key.sign(_pae(payload))}
    return json.dumps({"payloadType": TYPE, "payload": base64.b64encode(payload).decode(), "signatures": [signature]})


def subject_digest(identifier: str, salt: str) -> str:
    """HMAC-SHA256 of a patient's identifier with a salt (both hexadecimal), by which the receipt names its subject.

    The salt is not in the receipt, so identifiers cannot be tried.
    """
    return hmac.digest(bytes.fromhex(salt), identifier.strip().encode(), "sha256").hex()


def require_subject(facts: dict[str, Any], identifier: str, salt: str) -> None:
    """Raise VerificationError unless a receipt is about the patient with an identifier, in the form given to the erasure."""
    try:
        same = hmac.compare_digest(subject_digest(identifier, salt), str(facts.get("subject", "")))
    except ValueError:
        same = False
    if not same:
        raise VerificationError(
            "the receipt is not about this patient, or the salt is wrong. Check both. The identifier is the one given to "
            "galenic patient erase."
        )


def _public_key(public: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
    except ValueError:
        raise InputError(
            "the public key file contains no valid key, so the receipt was not checked. Expected the public key that galenic "
            "init prints: 44 characters of base64."
        ) from None


def verify_receipt(envelope: str, public: str) -> dict[str, Any]:
    """Content of a receipt. Raise VerificationError if the installation with that public key (base64) did not sign it, and
    InputError if the key is invalid."""
    key = _public_key(public)
    try:
        data = json.loads(envelope)
        payload = base64.b64decode(data["payload"], validate=True)
        key.verify(base64.b64decode(data["signatures"][0]["sig"]), _pae(payload))
        found: dict[str, Any] = json.loads(payload)
    except (InvalidSignature, ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise VerificationError("the erasure receipt differs from what this installation signed. Ask for it again.") from None
    return found
