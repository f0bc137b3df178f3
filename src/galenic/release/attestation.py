"""Signed statements about a release: in-toto statements in DSSE envelopes (in-toto Attestation v1, DSSE v1)."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from galenic.release.verify_release import PAYLOAD, RECALL, RELEASE, SIGNOFF, STATEMENT
from galenic.security import Key, canonical

MEANING = "I have read the evidence and take responsibility for this release."


def sha256_file(path: Path) -> str:
    """sha256 of a file, hexadecimal, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def envelope(statement: dict[str, Any], key: Key) -> dict[str, Any]:
    """The statement in a DSSE envelope with one signature over its pre-authentication encoding."""
    payload = canonical(statement).encode()
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)
    return {
        "payloadType": PAYLOAD,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key.fingerprint, "sig": key.sign(message)}],
    }


def payload_digest(attestation: dict[str, Any]) -> str:
    """sha256 of the payload of an envelope, which signatures and recalls refer to."""
    return hashlib.sha256(base64.b64decode(attestation["payload"])).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def attest(folder: Path, predicate: dict[str, Any], key: Key) -> dict[str, Any]:
    """Envelope of the gate over every file in a folder."""
    subjects = [{"name": p.name, "digest": {"sha256": sha256_file(p)}} for p in sorted(folder.iterdir()) if p.is_file()]
    statement = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": RELEASE,
        "predicate": {**predicate, "key": key.public, "time": _now()},
    }
    return envelope(statement, key)


@dataclass(frozen=True)
class SigningPerson:
    """Statements about a signer in the signed statement. pseudonym: keyed, where the person is known, so that a recipient can tell that
    two signatures are two people's. name: as recipients read it. comment_digest: of the comment, which stays in the installation."""

    pseudonym: str = ""
    name: str = ""
    comment_digest: str = ""


def comment_digest(salt: str, comment: str) -> str:
    """sha256 of a salted comment: it binds the comment to a signature, and recipients cannot guess the comment from it."""
    return hashlib.sha256(f"{salt} {comment}".encode()).hexdigest()


NOBODY = SigningPerson()


def signoff(attestation: dict[str, Any], key: Key, person: SigningPerson = NOBODY) -> dict[str, Any]:
    """Envelope of a person over one release, with name, role and the meaning of the signature."""
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": "attestation.json", "digest": {"sha256": payload_digest(attestation)}}],
        "predicateType": SIGNOFF,
        "predicate": {
            "key": key.public,
            "name": key.name,
            "role": key.role,
            "identity": key.identity,
            "meaning": MEANING,
            "time": _now(),
            **({"person": person.pseudonym} if person.pseudonym else {}),
            **({"signer": person.name} if person.name else {}),
            **({"comment_sha256": person.comment_digest} if person.comment_digest else {}),
        },
    }
    return envelope(statement, key)


def recall_notice(digest: str, reason: str, key: Key) -> dict[str, Any]:
    """Envelope of the gate that recalls a release, for every recipient."""
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": "attestation.json", "digest": {"sha256": digest}}],
        "predicateType": RECALL,
        "predicate": {"key": key.public, "reason": reason, "time": _now()},
    }
    return envelope(statement, key)


def statement_of(attestation: dict[str, Any]) -> dict[str, Any]:
    """Statement in an envelope, without a check of its signature."""
    return dict(json.loads(base64.b64decode(attestation["payload"])))
