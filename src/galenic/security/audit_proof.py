"""Check of a proof that an entry is in the audit log, without the log."""

import base64
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from galenic.errors import InputError, VerificationError
from galenic.security.merkle import root_from_proof


@dataclass(frozen=True)
class ProvedEntry:
    """An entry that a proof shows to be in the log. row: its number; log_size: rows that the signed head covers; entry: its content,
    None in proofs of earlier versions, which hold only its hash."""

    row: int
    log_size: int
    entry: dict[str, Any] | None


def check_audit_proof(text: str, public: str) -> ProvedEntry:
    """The entry that a proof proves. text: the proof (JSON); public: the installation's public key (base64).

    InputError if the file is no proof; VerificationError if it does not prove its entry.
    """
    try:
        proof = json.loads(text)
        head = json.loads(proof["head"])
        row, size, root = int(proof["seq"]), int(head["size"]), bytes.fromhex(head["root"])
        leaf, path = bytes.fromhex(proof["leaf"]), [bytes.fromhex(step) for step in proof["path"]]
        signature = base64.b64decode(str(proof["signature"]), validate=True)
    except (ValueError, KeyError, TypeError):
        raise InputError(
            "this is not a proof of an audit log entry. Expected the JSON file of galenic audit proof ROW, or of the console."
        ) from None
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True)).verify(signature, proof["head"].encode())
    except ValueError:
        raise InputError("the file of the public key holds no key. Expected the output of: galenic audit public-key") from None
    except InvalidSignature:
        raise VerificationError(
            "the head in the proof was not signed with this public key. Do not rely on this proof."
        ) from None
    if not 1 <= row <= size or root_from_proof(leaf, row - 1, size, path) != root:
        raise VerificationError(f"the proof does not lead from row {row} to the signed head. Do not rely on this proof.")
    return ProvedEntry(row, size, _entry(proof, leaf))


def _entry(proof: dict[str, Any], leaf: bytes) -> dict[str, Any] | None:
    """The content of the entry, if the proof holds it. VerificationError if it was changed."""
    if "entry" not in proof:
        return None
    try:
        computed = sha256(bytes.fromhex(str(proof["previous"])) + str(proof["entry"]).encode()).digest()
        entry = json.loads(proof["entry"])
    except (ValueError, KeyError, TypeError):
        computed, entry = b"", None
    if computed != leaf or not isinstance(entry, dict):
        raise VerificationError("the entry in the proof is not the one that was logged. Do not rely on this proof.")
    return entry
