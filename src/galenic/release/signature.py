"""Signature of a person on a run, and the comment that belongs to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from galenic.errors import StoreError
from galenic.release.attestation import comment_digest, statement_of


@dataclass(frozen=True)
class Signature:
    """A person's signature on a run. signer: name of the key that signed; public_key: base64; envelope: DSSE; person: keyed pseudonym of
    the person, empty where none is known; name: of the person as recipients read it; at: ISO 8601."""

    role: str
    signer: str
    public_key: str
    identity: str
    envelope: dict[str, Any]
    person: str = ""
    name: str = ""
    at: str = ""
    comment_digest: str = ""

    @property
    def account(self) -> str:
        """Name of the account, where a person signed in the console; otherwise of the key."""
        return self.signer.rpartition(".")[0] or self.signer


def signature_of(envelope: dict[str, Any]) -> Signature:
    """The signature in an envelope, without a check of its key."""
    said = statement_of(envelope)["predicate"]
    return Signature(said["role"], said["name"], said["key"], said["identity"], envelope, *_about_signer(said))


def _about_signer(said: Mapping[str, Any]) -> tuple[str, ...]:
    """(pseudonym, name, time, digest of the comment); empty ones where an earlier version signed."""
    return tuple(str(said.get(name, "")) for name in ("person", "signer", "time", "comment_sha256"))


def signed_comment(signature: Signature, stored: Mapping[str, Any]) -> str:
    """The stored comment of a signature. StoreError if it is not the one that was signed."""
    comment = str(stored.get("comment"))
    if comment_digest(str(stored.get("salt")), comment) != signature.comment_digest:
        raise StoreError(f"the comment signed as {signature.role} was changed afterwards. Put the run's folder back as it was.")
    return comment
