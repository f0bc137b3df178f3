"""Verification of a release folder by an installation or a recipient, and the keys that a recipient has to trust."""

import json
from pathlib import Path

from galenic import store
from galenic.errors import OptionError, VerificationError
from galenic.installation import Installation
from galenic.release.attestation import payload_digest, statement_of
from galenic.release.register import SIGNOFFS
from galenic.release.run import ATTESTATION, Run
from galenic.release.verify_release import NotVerifiedError
from galenic.release.verify_release import verify as verify_folder


def check_release(
    folder: Path, *, trust: Path | None = None, recalls: tuple[Path, ...] = (), installation: Installation | None = None
) -> list[str]:
    """Checks a release offline and returns the passed checks; VerificationError names the failed one.

    trust, recalls: JSON files. installation: look the release up in its register and audit the check.
    """
    if not folder.is_dir():
        raise OptionError(f"{folder} is not a folder. Give the folder of a release, which holds attestation.json.")
    try:
        trusted = json.loads(trust.read_text(encoding="utf-8")) if trust else None
        notices = [json.loads(p.read_text(encoding="utf-8")) for p in recalls]
    except (OSError, ValueError, RecursionError) as error:
        names = ", ".join(str(p) for p in (trust, *recalls) if p)
        raise OptionError(f"{names}: a file cannot be read as JSON ({type(error).__name__}). Check the path.") from None
    if trusted is not None and not isinstance(trusted, dict):
        raise OptionError(f"{trust} lists no trusted keys. Expected JSON: fingerprint and role of each key.")
    try:
        lines = verify_folder(folder, trusted, notices)
        if installation:
            _check_register(installation, folder)
    except NotVerifiedError as error:
        if installation:
            installation.audit.append("verified", folder.name, outcome="refused", reason=str(error))
        raise VerificationError(f"{folder} is refused: {error}. Do not use it; ask the sender for it again.") from None
    if installation:
        installation.audit.append("verified", folder.name)
    return lines


def _check_register(installation: Installation, folder: Path) -> None:
    release_id = payload_digest(json.loads((folder / ATTESTATION).read_text(encoding="utf-8")))
    for row in store.list_releases(installation.db):
        if row["id"] == release_id and row["state"] == "recalled":
            raise NotVerifiedError(f"recalled: {row['reason']}")


def trust_of(installation: Installation, key_names: tuple[str, ...]) -> dict[str, str]:
    """Fingerprints of the gate and of signers with their roles, which a recipient must receive by another channel."""
    keys = [installation.keys.gate(), *(installation.keys.get(name) for name in key_names)]
    return {key.fingerprint: key.role for key in keys}


def trust_of_run(run: Run) -> dict[str, str]:
    """Fingerprints and roles of the gate and of the people who signed a run."""
    people = {str(s.envelope["signatures"][0]["keyid"]): s.role for s in run.signatures}
    return {run.installation.keys.gate().fingerprint: "gate", **people}


def trust_of_release(installation: Installation, folder: Path) -> dict[str, str]:
    """Fingerprints and roles of the keys on a release of this installation, for the recipient's `--trust`."""
    signatures = json.loads((folder / SIGNOFFS).read_text(encoding="utf-8"))
    people = {e["signatures"][0]["keyid"]: statement_of(e)["predicate"]["role"] for e in signatures}
    return {installation.keys.gate().fingerprint: "gate", **people}
