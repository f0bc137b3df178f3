"""Signatures of people on runs, by the keys of the command line or in the console, and the rule that two people sign."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from galenic.errors import AccessDeniedError, OptionError, ReleaseRefusedError
from galenic.installation import Installation
from galenic.release.attestation import MEANING
from galenic.release.run import Run, Signature
from galenic.release.status import run_status
from galenic.security import Key, Session

SHORTEST_REASON, LONGEST_REASON = 10, 1_000  # characters of a rejection


@dataclass(frozen=True)
class Signer:
    """A person about to sign, known by the signed-in account, or by the public key where no identity was verified."""

    account: str = ""
    public_key: str = ""


def require_second_person(run: Run, signer: Signer) -> None:
    """AccessDeniedError where the signer requested the run, or has signed it in another role.

    Accounts are compared as people. Keys of the command line can only be compared as keys.
    """
    if signer.account and _requested_by(run, signer.account):
        raise AccessDeniedError("whoever asked for a run does not sign its release.")
    if any(_is_signer(run, signature, signer) for signature in run.signatures):
        raise AccessDeniedError("you have signed in another role already. A second person signs.")


def _is_signer(run: Run, signature: Signature, signer: Signer) -> bool:
    if signer.public_key:
        return signature.public_key == signer.public_key
    return not run.installation.policies.different_people(signature.account, signer.account)


def _requested_by(run: Run, account: str) -> bool:
    """Whether the requester is the same person; a requester without any role is known by name only."""
    requester = run.request.requester
    if not requester or requester == account:
        return requester == account
    has_role = bool(run.installation.facts.of("grant", who=requester))
    return has_role and not run.installation.policies.different_people(requester, account)


def sign_with_key(installation: Installation, run_id: str, key_name: str) -> str:
    """Adds the signature of a key in its role, while no accounts exist. Returns the role.

    ReleaseRefusedError if the role has signed already or the policy does not ask for it, AccessDeniedError if the key has.
    """
    if installation.people.any():
        raise ReleaseRefusedError("people sign in this installation's console, where it is checked who they are: galenic serve")
    run = Run.open(installation, run_id)
    run.require_attestation()
    key, policy = installation.keys.get(key_name), run.policy
    if key.role not in policy.roles:
        raise ReleaseRefusedError(f"policy {policy.name!r} asks for {' and '.join(policy.roles)}, not for a {key.role}.")
    if key.role in {s.role for s in run.signatures}:
        raise ReleaseRefusedError(f"run {run_id} is signed as {key.role} already. The other roles: {', '.join(policy.roles)}.")
    _sign(run, Signer(public_key=key.public), lambda: key, MEANING)
    installation.audit.append("signed", run_id, role=key.role, key=key.fingerprint, identity=key.identity)
    return key.role


def sign_off(installation: Installation, session: Session, run_id: str, role: str, digest: str, meaning: str = MEANING) -> None:
    """Adds the signature of a signed-in person in a role, on the digest that the evidence was shown with.

    AccessDeniedError for the requester, a person who signed in another role, or one without a fresh proof of identity.
    ReleaseRefusedError where the artifact or its evidence differs from the attestation.
    """
    status = run_status(installation, run_id)
    if status.state != "signing" or role not in status.missing:
        raise ReleaseRefusedError(f"run {run_id} does not wait for a signature as {role}.")
    if role not in installation.people.roles(session.who):
        raise AccessDeniedError(f"you do not hold the role {role}.")
    fact = installation.facts.one("session", session.id)
    if fact is None or str(fact.get("stepped_up_until", "")) <= installation.facts.now():
        raise AccessDeniedError("a signature needs a fresh confirmation that it is you.")
    if digest != status.digest:
        raise ReleaseRefusedError("this is not what the evidence was shown of. Read it again, then sign.")
    key = _sign(
        Run(installation, run_id), Signer(account=session.who), lambda: _verified_key(installation, session, role), meaning
    )
    installation.audit.append(
        "signed",
        run_id,
        actor=session.who,
        role=role,
        key=key.fingerprint,
        identity="verified",
        digest=digest,
        how=str(fact.get("stepped_up_by", "")),
    )


def _verified_key(installation: Installation, session: Session, role: str) -> Key:
    return replace(signing_key(installation, session.who, role), identity="verified")


def _sign(run: Run, signer: Signer, key_of: Callable[[], Key], meaning: str) -> Key:
    """Writes a signature, if the signer is a second person and the run is unchanged; only then is a key made."""
    require_second_person(run, signer)
    run.require_unchanged()
    key = key_of()
    run.add_signature(key, meaning)
    return key


def signing_key(installation: Installation, account: str, role: str) -> Key:
    """Key that an account signs with in a role, made at its first use."""
    name = f"{account}.{role}"
    if name in installation.keys.names():
        return installation.keys.get(name)
    made = installation.keys.create(name, role)
    installation.audit.append("key.made", name, actor=account, role=role, key=made.fingerprint)
    return made


def reject_run(installation: Installation, session: Session, run_id: str, reason: str) -> None:
    """Rejects a run for good, with a reason, by a person in a role that the policy asks for."""
    status = run_status(installation, run_id)
    if status.state not in ("signing", "signed") or not set(status.roles) & set(installation.people.roles(session.who)):
        raise ReleaseRefusedError(f"run {run_id} does not wait for you.")
    if len(reason.strip()) < SHORTEST_REASON:
        raise OptionError("say why, in a sentence: whoever asked for the run reads it.")
    Run(installation, run_id).reject(reason.strip()[:LONGEST_REASON], session.who)
    installation.audit.append("rejected", run_id, "refused", actor=session.who)
