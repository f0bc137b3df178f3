"""Releases wait here for people: what a run's evidence says, who may sign it, and who did."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import AccessDenied, DescriptionError, ReleaseRefused
from galenic.flows.house import House
from galenic.flows.leave import load_policy_of, require_untouched
from galenic.release import MEANING, payload_digest, signoff, statement_of
from galenic.security import Key, Session

REQUESTED = ("synthesize.requested", "deidentify.requested")


@dataclass(frozen=True)
class Waiting:
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


def runs_of(house: House) -> Iterator[Waiting]:
    """Every run, newest first."""
    released = {r["run"]: r for r in store.all_releases(house.db)}
    for folder in sorted(house.runs.glob("2*"), reverse=True) if house.runs.is_dir() else ():
        if (folder / "internal" / "sheet.json").is_file():
            yield _waiting(house, folder, released.get(folder.name))


def run_of(house: House, run: str) -> Waiting:
    """One run. DescriptionError if there is none."""
    folder = house.runs / run
    if "/" in run or not (folder / "internal" / "sheet.json").is_file():
        raise DescriptionError("there is no such run.")
    released = next((r for r in store.all_releases(house.db) if r["run"] == run), None)
    return _waiting(house, folder, released)


def _waiting(house: House, folder: Path, released: dict[str, Any] | None) -> Waiting:
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
    asked = _asked(house, run)
    population = statement_of(attestation)["predicate"].get("population", "") if attestation else ""
    digest = payload_digest(attestation) if attestation else ""
    return Waiting(run, state, policy.name, str(population or ""), digest, tuple(policy.roles), signed, *asked, why=why)


def _asked(house: House, run: str) -> tuple[str, int]:
    """(who asked for a run, the row of the audit chain that fixed its criteria)."""
    fact = house.facts.one("job", f"run/{run}")
    if fact is not None:
        return fact.who, int(fact.get("row"))
    return next(((e.actor, e.seq) for e in house.audit.entries() if e.action in REQUESTED and e.resource == run), ("", 0))


def sign_off(house: House, session: Session, run: str, role: str, digest: str, meaning: str = MEANING) -> None:
    """A person's signature in a role: on the digest that the evidence was shown with, and nothing else.

    AccessDenied for whoever asked for the run, who signed it in another role, or has not just confirmed who they are.
    ReleaseRefused where the artefact or its evidence is not what the gate attested.
    """
    waiting = run_of(house, run)
    if waiting.state != "signing" or role not in waiting.missing:
        raise ReleaseRefused(f"run {run} does not wait for a signature as {role}.")
    if role not in house.people.roles(session.who):
        raise AccessDenied(f"you do not hold the role {role}.")
    fact = house.facts.one("session", session.id)
    if fact is None or str(fact.get("stepped_up_until", "")) <= house.facts.now():
        raise AccessDenied("a signature needs a fresh confirmation that it is you.")
    different = house.policies.different_people
    if waiting.by == session.who or (
        waiting.by and house.facts.of("grant", who=waiting.by) and not different(waiting.by, session.who)
    ):
        raise AccessDenied("whoever asked for a run does not sign its release.")
    if any(who == session.who or not different(who, session.who) for who in waiting.signed.values()):
        raise AccessDenied("you have signed in another role already. A second person signs.")
    if digest != waiting.digest:
        raise ReleaseRefused("this is not what the evidence was shown of. Read it again, then sign.")
    folder = house.runs / run
    attestation = json.loads((folder / "attestation.json").read_text(encoding="utf-8"))
    require_untouched(folder, attestation)
    key = replace(key_of(house, session.who, role), identity="verified")
    with store.file_aside(folder / "signoffs" / f"{role}.json") as aside:
        aside.write_text(json.dumps(signoff(attestation, key, meaning)), encoding="utf-8")
    house.audit.append(
        "signed", run, actor=session.who, role=role, key=key.fingerprint, identity="verified", digest=digest,
        how=str(fact.get("stepped_up_by", "")),
    )  # fmt: skip


def key_of(house: House, who: str, role: str) -> Key:
    """The key that a person signs with in a role, made when it is first needed."""
    name = f"{who}.{role}"
    if name in house.keys.names():
        return house.keys.get(name)
    made = house.keys.create(name, role)
    house.audit.append("key.made", name, actor=who, role=role, key=made.fingerprint)
    return made


def reject(house: House, session: Session, run: str, reason: str) -> None:
    """A signer's no, with a reason: the run stays inside."""
    waiting = run_of(house, run)
    if waiting.state not in ("signing", "signed") or not set(waiting.roles) & set(house.people.roles(session.who)):
        raise ReleaseRefused(f"run {run} does not wait for you.")
    if len(reason.strip()) < 10:
        raise DescriptionError("say why, in a sentence: whoever asked for the run reads it.")
    with store.file_aside(house.runs / run / "rejected.json") as aside:
        aside.write_text(json.dumps({"reason": reason.strip()[:1_000], "by": session.who}), encoding="utf-8")
    house.audit.append("rejected", run, "refused", actor=session.who)
