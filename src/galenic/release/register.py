"""Sign, release, verify and recall: the last steps of the release way."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from galenic import store
from galenic.custody import grant_role
from galenic.errors import DescriptionError, ReleaseRefusedError, StoreError, VerificationError
from galenic.installation import Installation
from galenic.release.attestation import payload_digest, recall_notice, sha256_file, signoff, statement_of
from galenic.release.policy import Decision, decide, load_policy
from galenic.release.verify_release import Bad
from galenic.release.verify_release import verify as verify_folder
from galenic.schema import from_json
from galenic.security import Key


def _attestation(installation: Installation, run: str) -> tuple[Path, dict[str, Any]]:
    folder = installation.run(run)
    if not (folder / "internal" / "sheet.json").is_file():
        known = sorted(p.name for p in installation.runs.glob("2*"))[-3:] if installation.runs.is_dir() else []
        raise DescriptionError(f"there is no run {run!r}. The latest are {known or 'none yet'}. Name one of them.")
    place = folder / "attestation.json"
    if not place.is_file():
        raise ReleaseRefusedError(
            f"run {run} was refused by its policy and stays inside. Read {folder / 'internal' / 'report.html'}."
        )
    return folder, json.loads(place.read_text(encoding="utf-8"))


def sign_with_key(installation: Installation, run: str, key_name: str) -> str:
    """Adds a person's signature to a run: the artefact's digest and its meaning, in the role of the key. Returns the role.

    ReleaseRefused if the key or the role has signed already, or the policy does not ask for the role.
    """
    if installation.people.any():
        raise ReleaseRefusedError("people sign in this installation's console, where it is checked who they are: galenic serve")
    folder, attestation = _attestation(installation, run)
    require_untouched(folder, attestation)
    key = installation.keys.get(key_name)
    policy = load_policy_of(folder)
    if key.role not in policy.roles:
        raise ReleaseRefusedError(f"policy {policy.name!r} asks for {' and '.join(policy.roles)}, not for a {key.role}.")
    place = folder / "signoffs" / f"{key.role}.json"
    if place.exists():
        raise ReleaseRefusedError(f"run {run} is signed as {key.role} already. The other roles: {', '.join(policy.roles)}.")
    for other in (folder / "signoffs").glob("*.json"):
        if statement_of(json.loads(other.read_text(encoding="utf-8")))["predicate"]["key"] == key.public:
            raise ReleaseRefusedError("this key has signed already in another role. A second person must sign.")
    with store.file_aside(place) as aside:
        aside.write_text(json.dumps(signoff(attestation, key)), encoding="utf-8")
    installation.audit.append("signed", run, role=key.role, key=key.fingerprint, identity=key.identity)
    return key.role


def require_untouched(folder: Path, attestation: dict[str, Any]) -> None:
    """What a person is about to sign must be what the gate attested: the internal sheet and every file of the artefact."""
    statement = statement_of(attestation)
    attested = {folder / "artefact" / s["name"]: s["digest"]["sha256"] for s in statement["subject"]}
    attested[folder / "internal" / "sheet.json"] = statement["predicate"]["internal_sheet"]
    changed = [path.name for path, digest in attested.items() if not path.is_file() or sha256_file(path) != digest]
    if changed:
        raise ReleaseRefusedError(f"{', '.join(changed)} changed since the run was attested. Do not sign; run again.")


def make_key(installation: Installation, name: str, role: str, *, person: str = "") -> Key:
    """A new key on the audit chain, with its role in this installation. person: who stands behind it."""
    key = installation.keys.create(name, role)
    installation.audit.append("key.made", name, role=role, key=key.fingerprint)
    grant_role(installation, name, role, person=person)
    return key


def load_policy_of(folder: Path) -> Any:
    """The policy that a run was decided by."""
    return load_policy(str(folder / "artefact" / "policy.toml"))


def decide_again(installation: Installation, run: str, policy_name: str) -> Decision:
    """What another policy would decide on the same evidence; nothing changes, but a refusal is audited."""
    folder = installation.run(run)
    sheet = json.loads((folder / "internal" / "sheet.json").read_text(encoding="utf-8"))
    policy = load_policy(policy_name)
    decision = decide(from_json(sheet["report"]), policy)
    installation.audit.append("reconsidered", run, outcome="accepted" if decision.accepted else "refused", policy=policy.digest)
    return decision


def write_release(
    installation: Installation, run: str, target: Path, *, policy_name: str | None = None
) -> tuple[Path, list[str]]:
    """Writes the release folder, if evidence, policy and signatures allow it, and enters it in the register.

    policy_name: hold the run against this policy instead of the one it was decided by. ReleaseRefused lists every reason.
    """
    folder, attestation = _attestation(installation, run)
    policy = load_policy_of(folder)
    if policy_name is not None:
        other = load_policy(policy_name)
        if other.digest != policy.digest:
            _refuse_other(installation, run, folder, policy_name)
    signatures = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((folder / "signoffs").glob("*.json"))]
    release_id = payload_digest(attestation)
    before = next((r for r in store.all_releases(installation.db) if r["id"] == release_id), None)
    if before and before["state"] == "recalled":
        raise ReleaseRefusedError(f"run {run} was recalled: {before['reason']}. It does not leave again.")
    with store.folder_aside(target) as aside:
        shutil.copytree(folder / "artefact", aside, dirs_exist_ok=True)
        (aside / "attestation.json").write_text(json.dumps(attestation), encoding="utf-8")
        (aside / "signoffs.json").write_text(json.dumps(signatures), encoding="utf-8")
        try:
            lines = verify_folder(aside)
        except Bad as bad:
            installation.audit.append("release", run, outcome="refused", reason=str(bad))
            raise ReleaseRefusedError(f"run {run} may not leave: {bad}. Sign with: galenic sign {run} --key NAME") from None
        # the register first: a folder that left without a row could not be recalled
        # (released before, the same bytes leave again under the same row)
        if not before:
            _register(installation, run, release_id, policy.name, str(statement_of(attestation)["predicate"]["population"]))
    store.derive(installation.db, {"id": f"release/{run}", "kind": "release", "made_from": f"model/{run}", "place": "outside"})
    installation.audit.append("release", run, outcome="released", digest=release_id, policy=policy.digest)
    return target, lines


def _register(installation: Installation, run: str, release_id: str, policy: str, population: str) -> None:
    row = {
        "id": release_id,
        "state": "live",
        "population": population,
        "policy": policy,
        "run": run,
        "released_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    store.add_release(installation.db, row)


def _refuse_other(installation: Installation, run: str, folder: Path, policy_name: str) -> None:
    decision = decide_again(installation, run, policy_name)
    reasons = [f"{i.finding}: {i.outcome} (expected {i.threshold})" for i in decision.refusals]
    wanted = load_policy(policy_name)
    identities = {
        statement_of(json.loads(p.read_text(encoding="utf-8")))["predicate"]["identity"]
        for p in (folder / "signoffs").glob("*.json")
    }
    if wanted.identity == "verified" and identities != {"verified"}:
        reasons.append("signers' identities are unverified, and this policy wants verified people")
    statement = statement_of(json.loads((folder / "attestation.json").read_text(encoding="utf-8")))
    population = statement["predicate"]["population"]
    if reasons:
        installation.ledger.count_refusal(population)
        installation.audit.append("release", run, outcome="refused", policy=wanted.digest)
        raise ReleaseRefusedError(f"policy {wanted.name!r} refuses run {run}: " + "; ".join(reasons) + ".")
    raise ReleaseRefusedError(
        f"run {run} was decided by another policy than {wanted.name!r}; criteria are fixed before a run. Run again with --policy {wanted.name}."
    )


def verify_release(
    folder: Path, *, trust: Path | None = None, recalls: tuple[Path, ...] = (), installation: Installation | None = None
) -> list[str]:
    """Checks a release offline; VerificationError says what is wrong. house: also audit the check and ask its register."""
    try:
        trusted = json.loads(trust.read_text(encoding="utf-8")) if trust else None
        notices = [json.loads(p.read_text(encoding="utf-8")) for p in recalls]
    except (OSError, ValueError) as error:
        raise DescriptionError(f"a trust or recall file can not be read ({type(error).__name__}). Give JSON files.") from None
    try:
        lines = verify_folder(folder, trusted, notices)
        if installation:
            _check_register(installation, folder)
    except Bad as bad:
        if installation:
            installation.audit.append("verified", folder.name, outcome="refused", reason=str(bad))
        raise VerificationError(f"{folder} is refused: {bad}. Do not use it; ask the sender for it again.") from None
    if installation:
        installation.audit.append("verified", folder.name)
    return lines


def _check_register(installation: Installation, folder: Path) -> None:
    release_id = payload_digest(json.loads((folder / "attestation.json").read_text(encoding="utf-8")))
    for row in store.all_releases(installation.db):
        if row["id"] == release_id and row["state"] == "recalled":
            raise Bad(f"recalled: {row['reason']}")


def recall_release(installation: Installation, run: str, reason: str, notice: Path) -> Path:
    """Takes a release back: marks it in the register and writes a signed notice for every recipient."""
    row = next((r for r in store.all_releases(installation.db) if r["run"] == run or r["id"] == run), None)
    if row is None or not reason.strip():
        raise DescriptionError(
            f"there is no release of run {run!r}, or no reason was given. List releases with: galenic register"
        )
    if not store.recall_release(installation.db, row["id"], reason, datetime.now(UTC).isoformat(timespec="seconds")):
        raise StoreError(f"the release of run {run!r} was recalled already.")
    with store.file_aside(notice) as aside:
        aside.write_text(json.dumps(recall_notice(row["id"], reason, installation.keys.gate())), encoding="utf-8")
    installation.audit.append("recalled", row["run"], reason=reason, digest=row["id"])
    return notice


def list_releases(installation: Installation) -> list[dict[str, Any]]:
    """Every release, live and recalled."""
    return store.all_releases(installation.db)


def trust_of(installation: Installation, key_names: tuple[str, ...]) -> dict[str, str]:
    """Fingerprints of the gate and of signers with their roles: what a recipient must receive by another way."""
    keys = [installation.keys.gate(), *(installation.keys.get(name) for name in key_names)]
    return {key.fingerprint: key.role for key in keys}


def trust_of_release(installation: Installation, folder: Path) -> dict[str, str]:
    """Fingerprints and roles of the keys on a release of this installation."""
    signatures = json.loads((folder / "signoffs.json").read_text(encoding="utf-8"))
    people = {e["signatures"][0]["keyid"]: statement_of(e)["predicate"]["role"] for e in signatures}
    return {installation.keys.gate().fingerprint: "gate", **people}
