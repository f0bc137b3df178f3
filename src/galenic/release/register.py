"""Register of releases: write a release folder, recall a release, list releases."""

import json
import shutil
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import ReleaseRefusedError, StateError, UnknownNameError
from galenic.installation import Installation
from galenic.release.attestation import payload_digest, recall_notice
from galenic.release.details import titled
from galenic.release.finding_text import finding_text
from galenic.release.policy import ReleasePolicy, decide, load_policy
from galenic.release.run import ATTESTATION, Run
from galenic.release.verify_release import NotVerifiedError
from galenic.release.verify_release import verify as verify_folder
from galenic.schema import RunDetails
from galenic.security import Fact, FactReader, tell

SIGNOFFS = "signoffs.json"  # of a release folder: all signatures


def write_release(
    installation: Installation, run_id: str, target: Path, *, policy_name: str | None = None, actor: str = ""
) -> tuple[Path, list[str]]:
    """Writes the release folder, if evidence, policy and signatures allow it, and enters it in the register.

    policy_name: check the run against this policy instead of its own. actor: the signed-in person, if any. ReleaseRefusedError lists
    every reason.
    """
    run = Run.open(installation, run_id)
    attestation = run.require_attestation()
    if policy_name is not None:
        _require_same_policy(run, load_policy(policy_name))
    release_id = payload_digest(attestation)
    if run.state == "rejected":
        raise ReleaseRefusedError(f"run {run_id} was rejected: {run.rejection}. It stays inside.")
    with store.folder_aside(target) as aside:
        shutil.copytree(run.artifact_folder, aside, dirs_exist_ok=True)
        (aside / ATTESTATION).write_text(json.dumps(attestation), encoding="utf-8")
        (aside / SIGNOFFS).write_text(json.dumps([s.envelope for s in run.signatures]), encoding="utf-8")
        try:
            lines = verify_folder(aside)
        except NotVerifiedError as error:
            installation.audit.append("release", run_id, outcome="refused", reason=str(error))
            raise ReleaseRefusedError(
                f"run {run_id} may not leave: {error}. Sign with: galenic release sign {run_id} --key NAME"
            ) from None
        _register(run, release_id, actor or installation.actor)  # first: a folder that left without a row could not be recalled
    store.derive(
        installation.db, {"id": f"release/{run_id}", "kind": "release", "made_from": f"model/{run_id}", "place": "outside"}
    )
    installation.audit.append(
        "release", run_id, outcome="released", actor=actor or None, digest=release_id, policy=run.policy.digest
    )
    return target, lines


def _register(run: Run, release_id: str, actor: str) -> None:
    """Enters a release in the register, where the same bytes that leave again are found. ReleaseRefusedError for a run that was
    rejected or recalled, decided in the same transaction."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    row = {
        "id": release_id,
        "state": "live",
        "population": run.population,
        "policy": run.policy.name,
        "run": run.id,
        "released_at": now,
    }

    def write(transaction: store.FactRows) -> None:
        outcome = {"run": run.id, "outcome": "released", "account": "", "at": now}
        if store.set_outcome(transaction, outcome) != "released" or run.rejection:
            raise ReleaseRefusedError(f"run {run.id} was rejected. It stays inside.")
        found = store.register_release(transaction, row)
        if found["state"] == "recalled":
            raise ReleaseRefusedError(f"run {run.id} was recalled: {found['reason']}. It does not leave again.")

    key, body = f"release/{run.id}", (("at", now), *asdict(run.details).items())

    def plan(facts: FactReader) -> list[Fact]:
        return [] if facts.one("job", key) else [Fact("job", key, "released", actor, body=body)]

    run.installation.facts.change(plan, quiet=True, also=write)


def _require_same_policy(run: Run, other: ReleasePolicy) -> None:
    """ReleaseRefusedError where a run was decided by another policy, with the reasons of this one if it refuses the run."""
    if other.digest == run.policy.digest or other.same_criteria(run.policy):
        return
    decision = decide(run.report, other)
    word = "accepted" if decision.accepted else "refused"
    run.installation.audit.append("reconsidered", run.id, outcome=word, policy=other.digest)
    reasons = [
        f"{text.label} ({i.finding}) {i.outcome}, expected {text.format_limit(i.threshold)}"
        for i in decision.refusals
        if (text := finding_text(i.finding))
    ]
    if other.identity == "verified" and {s.identity for s in run.signatures} != {"verified"}:
        reasons.append("the signers' identities are not verified, and this policy requires verified people")
    if reasons:
        run.installation.ledger.count_refusal(run.population)
        run.installation.audit.append("release", run.id, outcome="refused", policy=other.digest)
        raise ReleaseRefusedError(f"policy {other.name!r} refuses run {run.id}: " + "; ".join(reasons) + ".")
    raise ReleaseRefusedError(
        f"run {run.id} was decided by another policy than {other.name!r}; criteria are fixed before a run. "
        f"Run again with --release-policy {other.name}."
    )


def recall_release(installation: Installation, run_id: str, reason: str, notice: Path, *, actor: str = "") -> Path:
    """Recalls a release, by its run or its own id: marks it in the register, writes a signed notice for every recipient, and tells
    each account that downloaded the release."""
    row = next((r for r in store.list_releases(installation.db) if run_id in (r["run"], r["id"])), None)
    if row is None or not reason.strip():
        raise UnknownNameError(
            f"there is no release of run {run_id!r}, or no reason was given. List releases with: galenic release list"
        )
    if not store.recall_release(installation.db, row["id"], reason, datetime.now(UTC).isoformat(timespec="seconds")):
        raise StateError(f"the release of run {run_id!r} is recalled already.")
    text = json.dumps(recall_notice(row["id"], reason, installation.keys.gate()))
    for place in {notice, _notice_place(installation, row["run"])}:
        with store.file_aside(place) as aside:
            aside.write_text(text, encoding="utf-8")
    installation.audit.append("recalled", row["run"], actor=actor or None, reason=reason, digest=row["id"])
    title = _released_details(installation, row["run"])["title"]
    for account in downloaded_by(installation, row["run"]):
        tell(
            installation.facts,
            account,
            f"“{title}” was recalled: {reason} You downloaded it. Stop using it, and tell everybody "
            "who received it from you. The page of the release has a signed notice for them.",
        )
    return notice


def _notice_place(installation: Installation, run_id: str) -> Path:
    return installation.home / "recalls" / f"{run_id}.json"


def read_recall_notice(installation: Installation, run_id: str) -> str:
    """Signed notice of a recalled release (JSON), for its recipients; signed again where the file is lost. UnknownNameError if it is not
    recalled."""
    row = next((r for r in store.list_releases(installation.db) if r["run"] == run_id and r["state"] == "recalled"), None)
    if row is None:
        raise UnknownNameError(f"run {run_id!r} has no recalled release.")
    place = _notice_place(installation, run_id)
    if not place.is_file():
        with store.file_aside(place) as aside:
            notice = recall_notice(row["id"], str(row["reason"]), installation.keys.gate())
            aside.write_text(json.dumps(notice), encoding="utf-8")
    return place.read_text(encoding="utf-8")


def downloaded_by(installation: Installation, run_id: str) -> tuple[str, ...]:
    """Accounts that downloaded a release, in the order of their first download."""
    rows = (e for e in installation.audit.entries() if e.action == "release.downloaded" and e.resource == run_id)
    return tuple(dict.fromkeys(e.actor for e in rows))


def list_releases(installation: Installation) -> list[dict[str, Any]]:
    """Every release, live and recalled: rows of the register with title, intended use, recipient and the person who released it. These
    are kept when the run is deleted; a release of an earlier version has a title only, and nobody's name."""
    return [{**row, **_released_details(installation, str(row["run"]))} for row in store.list_releases(installation.db)]


def _released_details(installation: Installation, run_id: str) -> dict[str, str]:
    fact = installation.facts.one("job", f"release/{run_id}")
    if fact is not None:
        return {"released_by": fact.who, **{f.name: str(fact.get(f.name, "")) for f in fields(RunDetails)}}
    run = Run(installation, run_id)
    return {"released_by": "", **asdict(run.details if run.stored else titled(RunDetails(), run_id))}
