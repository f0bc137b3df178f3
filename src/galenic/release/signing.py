"""Signatures of people on runs, by the keys of the command line or in the console, and the rule that two people sign."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from galenic import store
from galenic.errors import AccessDeniedError, OptionError, ReleaseRefusedError, StateError
from galenic.installation import Installation
from galenic.release.attestation import SigningPerson
from galenic.release.run import Run
from galenic.release.signature import Signature
from galenic.release.status import run_status
from galenic.schema import plain_line
from galenic.security import Fact, FactReader, Key, Session, has_stepped_up, is_active, roles_of

SHORTEST_REASON, LONGEST_REASON = 10, 1_000  # characters of a rejection
SIGNED_BEFORE = "you have already signed in another role. A second person must sign."


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
        raise AccessDeniedError("the requester of a run cannot sign its release. Two other people sign.")
    if any(_is_signer(run, signature, signer) for signature in run.signatures):
        raise AccessDeniedError(SIGNED_BEFORE)


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

    def plan(facts: FactReader) -> list[Fact]:
        if facts.of("person"):
            raise ReleaseRefusedError(
                "people sign in this installation's console, where it is checked who they are: galenic serve"
            )
        return []

    plan(installation.facts)
    run = Run.open(installation, run_id)
    run.require_attestation()
    key, policy = installation.keys.get(key_name), run.policy
    if key.role not in policy.roles:
        raise ReleaseRefusedError(f"policy {policy.name!r} asks for {' and '.join(policy.roles)}, not for a {key.role}.")
    if key.role in {s.role for s in run.signatures}:
        raise ReleaseRefusedError(f"run {run_id} is signed as {key.role} already. The other roles: {', '.join(policy.roles)}.")
    _sign(run, Signer(public_key=key.public), lambda: key, plan=plan)
    installation.audit.append("signed", run_id, role=key.role, key=key.fingerprint, identity=key.identity)
    return key.role


def sign_off(installation: Installation, session: Session, run_id: str, role: str, digest: str, comment: str = "") -> None:
    """Adds the signature of a signed-in person in a role, on the digest that the evidence was shown with.

    comment: for the other signers and auditors. It stays in the installation; the signed statement and the audit log have its digest.

    AccessDeniedError for the requester, a person who signed in another role, or one without a fresh proof of identity.
    ReleaseRefusedError where the artifact or its evidence differs from the attestation.
    """
    status = run_status(installation, run_id)
    if status.state != "signing" or role not in status.missing:
        raise ReleaseRefusedError(f"run {run_id} is not waiting for a signature as {role}.")

    def plan(facts: FactReader) -> list[Fact]:
        if role not in roles_of(facts, session.who) or not is_active(facts, session.who):
            raise AccessDeniedError(f"you do not hold the role {role}.")
        if not has_stepped_up(facts, session.id, session.who):
            raise AccessDeniedError("a signature needs a recent confirmation of your identity. Confirm, then sign again.")
        return []

    plan(installation.facts)
    comment = plain_line(comment, "comment", LONGEST_REASON)
    if digest != status.digest:
        raise ReleaseRefusedError("the run has changed since the evidence was shown. Read the evidence again, then sign.")
    run, fact = Run(installation, run_id), installation.facts.one("session", session.id)
    key = _sign(
        run,
        Signer(account=session.who),
        lambda: replace(signing_key(installation, session.who, role), identity="verified"),
        plan=plan,
        comment=comment,
    )
    digests = {"digest": digest, "comment_sha256": next(s.comment_digest for s in run.signatures if s.role == role)}
    how = str(fact.get("stepped_up_by", "")) if fact else ""
    about = {"role": role, "key": key.fingerprint, "identity": "verified", "how": how}
    installation.audit.append("signed", run_id, actor=session.who, **about, **digests)


def _sign(
    run: Run, signer: Signer, key_of: Callable[[], Key], *, plan: Callable[[FactReader], list[Fact]], comment: str = ""
) -> Key:
    """Writes a signature, if the signer is a second person and the run is unchanged; only then is a key made.

    One transaction checks the plan again, reserves the role and the person on this run, and writes the file.
    """
    require_second_person(run, signer)
    run.require_unchanged()
    key = key_of()
    person = run.pseudonym_of(signer.account) if signer.account else ""
    about = SigningPerson(person, _shown_name(run, signer))
    before = [_reservation(run, s.role, s.person or _known_as(run, s), s.account) for s in run.signatures]
    own = _reservation(run, key.role, person or key.fingerprint, signer.account or key.name)

    def write(transaction: store.FactRows) -> None:
        outcome = store.outcome_of(transaction, run.id)
        if outcome or run.rejection:
            raise ReleaseRefusedError(f"run {run.id} was {outcome or 'rejected'} and takes no more signatures.")
        for row in before:
            store.add_sign_off(transaction, row)
        if not store.add_sign_off(transaction, own):
            if own["person"] in {r["person"] for r in store.sign_offs_of(transaction, run.id)}:
                raise AccessDeniedError(SIGNED_BEFORE)
            raise ReleaseRefusedError(f"run {run.id} is signed as {key.role} already.")
        run.add_signature(key, about, comment)

    run.installation.facts.change(plan, quiet=True, also=write)
    return key


def _shown_name(run: Run, signer: Signer) -> str:
    """Name of an account's owner, for recipients; empty for a key without an account."""
    account = run.installation.people.get(signer.account) if signer.account else None
    return account.shown if account else ""


def _reservation(run: Run, role: str, person: str, account: str) -> store.Row:
    return {"run": run.id, "role": role, "person": person, "account": account, "at": _now()}


def _known_as(run: Run, signature: Signature) -> str:
    """The person of a signature that was made before signatures named people."""
    if signature.identity == "verified":
        return run.pseudonym_of(signature.account)
    return str(signature.envelope["signatures"][0]["keyid"])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def signing_key(installation: Installation, account: str, role: str) -> Key:
    """Key that an account signs with in a role, made at its first use."""
    name = f"{account}.{role}"
    if name in installation.keys.names():
        return installation.keys.get(name)
    try:
        made = installation.keys.create(name, role)
    except StateError:  # another request of the same person made it
        return installation.keys.get(name)
    installation.audit.append("key.made", name, actor=account, role=role, key=made.fingerprint)
    return made


def reject_run(installation: Installation, session: Session, run_id: str, reason: str) -> None:
    """Rejects a run for good, with a reason, by a person in a role that the policy asks for."""
    status = run_status(installation, run_id)
    refusal = ReleaseRefusedError(f"run {run_id} is not waiting for your signature.")

    def plan(facts: FactReader) -> list[Fact]:
        if not set(status.roles) & roles_of(facts, session.who) or not is_active(facts, session.who):
            raise refusal
        return []

    def write(transaction: store.FactRows) -> None:
        outcome = {"run": run_id, "outcome": "rejected", "account": session.who, "at": _now()}
        if store.outcome_of(transaction, run_id) or store.set_outcome(transaction, outcome) != "rejected":
            raise refusal
        Run(installation, run_id).reject(reason.strip()[:LONGEST_REASON], session.who)

    plan(installation.facts)
    if status.state not in ("signing", "signed"):
        raise refusal
    if len(reason.strip()) < SHORTEST_REASON:
        raise OptionError(
            f"the reason is shorter than {SHORTEST_REASON} characters. Give the reason in one sentence: the requester reads it."
        )
    installation.facts.change(plan, quiet=True, also=write)
    installation.audit.append("rejected", run_id, "refused", actor=session.who)
