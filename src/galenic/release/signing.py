"""Releases wait here for people: what a run's evidence says, who may sign it, and who did."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import AccessDeniedError, DescriptionError, ReleaseRefusedError
from galenic.installation import Installation
from galenic.release.attestation import MEANING, payload_digest, signoff, statement_of
from galenic.release.register import load_policy_of, require_untouched
from galenic.security import Key, Session

REQUESTED = ("synthesize.requested", "deidentify.requested")


@dataclass(frozen=True)
class RunStatus:
    """One run. state: refused, signing (waits for people), signed, released, recalled, rejected. digest: of what is signed; signed:
    role → who; missing: roles whose signature is missing; by: who asked for the run; asked: the row of the audit chain at which
    its criteria were fixed."""

    run: str
    state: str
    policy: str
    population: str
    digest: str
    roles: tuple[str, ...]
    signed: dict[str, str] = field(default_factory=dict)
    by: str = ""
    asked: int = 0
    why: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles whose signature is missing."""
        return tuple(r for r in self.roles if r not in self.signed)


def run_statuses(installation: Installation) -> Iterator[RunStatus]:
    """Every run, newest first."""
    released = {r["run"]: r for r in store.all_releases(installation.db)}
    for folder in sorted(installation.runs.glob("2*"), reverse=True) if installation.runs.is_dir() else ():
        if (folder / "internal" / "sheet.json").is_file():
            yield _waiting(installation, folder, released.get(folder.name))


def run_status(installation: Installation, run: str) -> RunStatus:
    """One run. DescriptionError if there is none."""
    folder = installation.runs / run
    if "/" in run or not (folder / "internal" / "sheet.json").is_file():
        raise DescriptionError("there is no such run.")
    released = next((r for r in store.all_releases(installation.db) if r["run"] == run), None)
    return _waiting(installation, folder, released)


def _waiting(installation: Installation, folder: Path, released: dict[str, Any] | None) -> RunStatus:
    run, policy = folder.name, load_policy_of(folder)
    place = folder / "attestation.json"
    attestation = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else None
    signed = {}
    for sign in sorted((folder / "signoffs").glob("*.json")):
        said = statement_of(json.loads(sign.read_text(encoding="utf-8")))["predicate"]
        signed[said["role"]] = said["name"].rpartition(".")[0] or said["name"]
    rejection = folder / "rejected.json"
    why = json.loads(rejection.read_text(encoding="utf-8"))["reason"] if rejection.is_file() else ""
    if released is not None:
        state, why = str(released["state"]).replace("live", "released"), str(released["reason"] or "")
    elif attestation is None:
        state = "refused"
    elif why:
        state = "rejected"
    else:
        state = "signed" if set(policy.roles) <= set(signed) else "signing"
    asked = _asked(installation, run)
    population = statement_of(attestation)["predicate"].get("population", "") if attestation else ""
    digest = payload_digest(attestation) if attestation else ""
    return RunStatus(run, state, policy.name, str(population or ""), digest, tuple(policy.roles), signed, *asked, why=why)


def _asked(installation: Installation, run: str) -> tuple[str, int]:
    """(who asked for a run, the row of the audit chain that fixed its criteria)."""
    fact = installation.facts.one("job", f"run/{run}")
    if fact is not None:
        return fact.who, int(fact.get("row"))
    return next(
        ((e.actor, e.seq) for e in installation.audit.entries() if e.action in REQUESTED and e.resource == run), ("", 0)
    )


def sign_off(installation: Installation, session: Session, run: str, role: str, digest: str, meaning: str = MEANING) -> None:
    """A person's signature in a role: on the digest that the evidence was shown with, and nothing else.

    AccessDenied for whoever asked for the run, who signed it in another role, or has not just confirmed who they are.
    ReleaseRefused where the artefact or its evidence is not what the gate attested.
    """
    waiting = run_status(installation, run)
    if waiting.state != "signing" or role not in waiting.missing:
        raise ReleaseRefusedError(f"run {run} does not wait for a signature as {role}.")
    if role not in installation.people.roles(session.who):
        raise AccessDeniedError(f"you do not hold the role {role}.")
    fact = installation.facts.one("session", session.id)
    if fact is None or str(fact.get("stepped_up_until", "")) <= installation.facts.now():
        raise AccessDeniedError("a signature needs a fresh confirmation that it is you.")
    different = installation.policies.different_people
    if waiting.by == session.who or (
        waiting.by and installation.facts.of("grant", who=waiting.by) and not different(waiting.by, session.who)
    ):
        raise AccessDeniedError("whoever asked for a run does not sign its release.")
    if any(who == session.who or not different(who, session.who) for who in waiting.signed.values()):
        raise AccessDeniedError("you have signed in another role already. A second person signs.")
    if digest != waiting.digest:
        raise ReleaseRefusedError("this is not what the evidence was shown of. Read it again, then sign.")
    folder = installation.runs / run
    attestation = json.loads((folder / "attestation.json").read_text(encoding="utf-8"))
    require_untouched(folder, attestation)
    key = replace(signing_key(installation, session.who, role), identity="verified")
    with store.file_aside(folder / "signoffs" / f"{role}.json") as aside:
        aside.write_text(json.dumps(signoff(attestation, key, meaning)), encoding="utf-8")
    installation.audit.append(
        "signed", run, actor=session.who, role=role, key=key.fingerprint, identity="verified", digest=digest,
        how=str(fact.get("stepped_up_by", "")),
    )  # fmt: skip


def signing_key(installation: Installation, who: str, role: str) -> Key:
    """The key that a person signs with in a role, made when it is first needed."""
    name = f"{who}.{role}"
    if name in installation.keys.names():
        return installation.keys.get(name)
    made = installation.keys.create(name, role)
    installation.audit.append("key.made", name, actor=who, role=role, key=made.fingerprint)
    return made


def reject_run(installation: Installation, session: Session, run: str, reason: str) -> None:
    """A signer's no, with a reason: the run stays inside."""
    waiting = run_status(installation, run)
    if waiting.state not in ("signing", "signed") or not set(waiting.roles) & set(installation.people.roles(session.who)):
        raise ReleaseRefusedError(f"run {run} does not wait for you.")
    if len(reason.strip()) < 10:
        raise DescriptionError("say why, in a sentence: whoever asked for the run reads it.")
    with store.file_aside(installation.runs / run / "rejected.json") as aside:
        aside.write_text(json.dumps({"reason": reason.strip()[:1_000], "by": session.who}), encoding="utf-8")
    installation.audit.append("rejected", run, "refused", actor=session.who)
