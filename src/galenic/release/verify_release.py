"""Checks a Galenic release offline. Needs Python 3.11 and the package cryptography, nothing else; read it before you run it.

    python verify_release.py FOLDER [--trust KEYS.json] [--recalls NOTICE.json ...]

KEYS.json: {"fingerprint": "role", ...}, received from the sender by another way. Without it the check shows that the folder
is what some keys signed, not whose keys they are.
"""

import base64
import hashlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Json = dict[str, Any]
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
RELEASE, SIGNOFF, RECALL = "urn:galenic:release:v1", "urn:galenic:signoff:v1", "urn:galenic:recall:v1"
UNSIGNED = {"attestation.json", "signoffs.json"}  # what holds the signatures cannot be covered by them
UNKNOWN_KEYS = (
    "keys are NOT known to you: compare each key above with the sender, by telephone for instance, "
    "or give the sender's file of trusted keys (--trust)"
)
SHIPPED = {  # sha256 of the policies that Galenic ships, by name and version
    "internal-1": "f2dc844dcb2712ec15aa42e6f25714d380f6fd6510437a8af14a5597048889ae",
    "partner-1": "6507b245317ecfc17dd00b155d974d683485b743505c29dbdd65d4ecb5b09b66",
    "deidentified-1": "2ac7b437e7ae0e3ae8894e37b395b12342bf3d4bfe355b053dfba0cd295cf8d0",
    "deidentified-2": "ff9359857ff24c9ba64d56419ebd7be7a40babc480324e69af8940597bf4fd93",
    "internal-2": "955c7cdffd57f089a4e51b5e7e8f71a87daf1ad6a173cff8b115b2bdf8b80367",
    "partner-2": "114dd4ac49caceb15d7b92c50c1cdc1cabbf82e5213ccd6ca335ebd3c81daa35",
    "public-2": "a58d2a8d5f599aecad3dcd0a6252f46f0e47fe526ffa1dcd7a9a069b25bb753f",
    "deidentified-3": "0c75ee38f7722bfd4184b3f8b8f04b59985716c926faeaae3502a72616b4cf27",
    "public-1": "19838717f3142d4dd17e2ae39b256304d144c2a2435992fcc3ba95d98fec17fe",
}


class NotVerifiedError(Exception):
    """Why the release must not be trusted."""


def need(condition: object, why: str) -> None:
    if not condition:
        raise NotVerifiedError(why)


def open_envelope(envelope: Json, kind: str, trust: Json | None) -> tuple[Json, str]:
    """The statement in a DSSE envelope, and its signer's fingerprint, after checking the one signature on it."""
    need(isinstance(envelope, dict) and envelope.get("payloadType") == PAYLOAD, "an envelope is not an in-toto DSSE envelope")
    payload = base64.b64decode(envelope["payload"], validate=True)
    statement = json.loads(payload)
    need(statement.get("_type") == STATEMENT and statement.get("predicateType") == kind, f"a statement is not a {kind}")
    signatures = envelope["signatures"]
    need(len(signatures) == 1, "an envelope must carry exactly one signature")
    public = base64.b64decode(statement["predicate"]["key"], validate=True)
    fingerprint = hashlib.sha256(public).hexdigest()
    need(signatures[0]["keyid"] == fingerprint, "a signature names another key than its statement")
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signatures[0]["sig"]), message)
    except (InvalidSignature, ValueError):
        raise NotVerifiedError(f"the signature on a {kind} is wrong") from None
    role = statement["predicate"].get("role", "gate")
    need(trust is None or trust.get(fingerprint) == role, f"key {fingerprint} is not trusted as {role}")
    return statement, fingerprint


def check_files(folder: Path, subjects: list[Json]) -> None:
    named = {s["name"]: s["digest"]["sha256"] for s in subjects}
    need(len(named) == len(subjects), "the attestation names a file twice")
    for path in folder.rglob("*"):
        need(not path.is_symlink(), f"{path.name} is a link; a release holds plain files only")
        need(path.is_file() and path.parent == folder, f"{path.name} is not a plain file of the release")
        need(path.name in named or path.name in UNSIGNED, f"{path.name} is not part of the signed release")
    for name, digest in named.items():
        need((folder / name).is_file(), f"{name} is missing")
        with (folder / name).open("rb") as file:
            need(hashlib.file_digest(file, "sha256").hexdigest() == digest, f"{name} was changed")


def check_decision(folder: Path, predicate: Json) -> Json:
    """Decides again: every rule of the policy against the public findings; internal ones must be recorded as met."""
    text = (folder / "policy.toml").read_bytes()
    policy, digest = tomllib.loads(text.decode()), hashlib.sha256(text).hexdigest()
    need(digest == predicate["policy"]["digest"], "the policy is not the one decided by")
    shipped = SHIPPED.get(f"{policy['name']}-{policy['version']}")
    need(shipped in (None, digest), f"the policy calls itself {policy['name']} but differs from the one Galenic ships")
    found = {f["name"]: f for f in json.loads((folder / "evidence.json").read_text())["findings"]}
    items = {i["finding"]: i for i in json.loads((folder / "decision.json").read_text())["items"]}
    need(policy["rule"] and found, "the policy or the evidence is empty")
    for rule in policy["rule"]:
        name = rule["finding"]
        item = items.get(name, {})
        counted = found.get(rule.get("applies_to", ""), {})
        if item.get("outcome") == "not applicable" and counted.get("value") == 0:
            continue
        need(item.get("outcome") == "met", f"{name}: the decision does not record it as met")
        if item["audience"] == "internal":
            continue
        need(name in found and "value" in found[name], f"{name}: the evidence does not hold this finding")
        value = found[name]["value"]
        need(value <= rule.get("at_most", value) and value >= rule.get("at_least", value), f"{name}: outside its threshold")
    return policy


def check_signoffs(folder: Path, digest: str, policy: Json, predicate: Json, gate: str, trust: Json | None) -> list[str]:
    keys, roles, signers, lines = {gate}, set(), [], []
    for envelope in json.loads((folder / "signoffs.json").read_text()):
        statement, key = open_envelope(envelope, SIGNOFF, trust)
        signer = statement["predicate"]
        need(statement["subject"][0]["digest"]["sha256"] == digest, "a signature belongs to another release (replayed)")
        need(key not in keys, "one key signed twice, or the gate signed for a person")
        need(signer["role"] not in roles, f"two signatures for the role {signer['role']}")
        need(policy["identity"] != "verified" or signer["identity"] == "verified", "the policy wants verified people")
        keys.add(key)
        roles.add(signer["role"])
        signers.append(signer)
        name = str(signer.get("signer") or signer.get("name") or "a person without a name")
        lines.append(
            f"signed as {signer['role']} ({signer['identity']} identity) by {name!r} with key {key}: {signer['meaning']}"
        )
    missing = set(policy["roles"]) - roles
    need(not missing, f"not signed by: {', '.join(sorted(missing))}")
    return [*lines, check_people(signers, predicate)]


def check_people(signers: list[Json], predicate: Json) -> str:
    """Pseudonyms, which the sending installation keys: the same person has the same one everywhere in this release."""
    people = [s["person"] for s in signers if s.get("person")]
    need(all(isinstance(p, str) for p in people) and len(set(people)) == len(people), "one person signed twice")
    requester = predicate.get("requester")
    need(not requester or requester not in people, "the requester of the run signed its release")
    named = all(s.get("person") for s in signers if s["identity"] == "verified")
    need("requester" not in predicate or named, "a verified signature does not say which person signed")
    if len(people) < len(signers):
        return (
            "NOT CHECKED: whether the signers are different people. Not every signature names a person; only their keys differ"
        )
    asked = "none of them requested the run" if requester else "NOT CHECKED: whether one of them requested the run"
    return f"the signers are {len(people)} different people, as the sending installation states; {asked}"


def verify(folder: Path, trust: Json | None = None, recalls: list[Json] | None = None) -> list[str]:
    """Passed checks, one per line. Raises NotVerifiedError with the reason if anything is not as it was signed."""
    try:
        need(folder.is_dir() and not folder.is_symlink(), f"{folder} is not a folder")
        for name in UNSIGNED:
            need((folder / name).is_file() and not (folder / name).is_symlink(), f"{name} is missing or a link")
        envelope = json.loads((folder / "attestation.json").read_text())
        statement, gate = open_envelope(envelope, RELEASE, trust)
        digest = hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()
        for notice in recalls or []:
            recalled, key = open_envelope(notice, RECALL, None)
            same = recalled["subject"][0]["digest"]["sha256"] == digest
            need(not (same and key == gate), f"recalled: {recalled['predicate'].get('reason')}")
        check_files(folder, statement["subject"])
        policy = check_decision(folder, statement["predicate"])
        lines = check_signoffs(folder, digest, policy, statement["predicate"], gate, trust)
    except NotVerifiedError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NotVerifiedError(f"the release cannot be read as one: {type(error).__name__}") from None
    about = f"{len(statement['subject'])} files are as the gate signed them (key {gate}), policy {policy['name']}"
    note = "keys are trusted" if trust else UNKNOWN_KEYS
    return [about, *lines, note]


if __name__ == "__main__":
    words = sys.argv[1:]
    read = [json.loads(Path(w).read_text()) for w in words[1:] if not w.startswith("--")]
    trusted = read.pop(0) if "--trust" in words else None
    try:
        print("VERIFIED", *verify(Path(words[0]), trusted, read), sep="\n  ")
    except NotVerifiedError as bad:
        sys.exit(f"REFUSED: {bad}")
