"""The signed erasure receipt: what was destroyed, the proof that older backups cannot be opened, and copies that remain elsewhere."""

import base64
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from galenic.errors import VerificationError
from galenic.security.audit import canonical
from galenic.security.keys import Key

TYPE = "application/vnd.galenic.erasure+json"


def _pae(payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE v1."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def sign_receipt(facts: dict[str, Any], key: Key) -> str:
    """The receipt as a DSSE envelope (JSON)."""
    payload = canonical(facts).encode()
    signature = {"keyid": key.fingerprint, "sig": key.sign(_pae(payload))}
    return json.dumps({"payloadType": TYPE, "payload": base64.b64encode(payload).decode(), "signatures": [signature]})


def verify_receipt(envelope: str, public: str) -> dict[str, Any]:
    """The content of a receipt. VerificationError if the installation with that public key (base64) did not sign it."""
    try:
        data = json.loads(envelope)
        payload = base64.b64decode(data["payload"], validate=True)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
        key.verify(base64.b64decode(data["signatures"][0]["sig"]), _pae(payload))
        found: dict[str, Any] = json.loads(payload)
    except (InvalidSignature, ValueError, KeyError, IndexError, TypeError):
        raise VerificationError("the erasure receipt differs from what this installation signed. Ask for it again.") from None
    return found
