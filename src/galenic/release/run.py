"""Run: the folder of one attempt to make an artifact, and its states. No other module knows the file names in it or writes them."""

import contextlib
import json
import re
import secrets
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from galenic import store
from galenic.errors import GalenicError, ReleaseRefusedError, StoreError, UnknownNameError
from galenic.installation import Installation
from galenic.release.artifact import RunContent, RunOutcome
from galenic.release.artifacts import ARTIFACTS, requested_actions
from galenic.release.attestation import (
    SigningPerson,
    attest,
    comment_digest,
    payload_digest,
    sha256_file,
    signoff,
    statement_of,
)
from galenic.release.card import decision_json
from galenic.release.details import details_entry, stored_details, titled
from galenic.release.policy import Decision, ReleasePolicy, decide, read_stored_policy
from galenic.release.signature import Signature, signature_of, signed_comment
from galenic.schema import NO_DETAILS, Report, RunDetails, from_json, to_json
from galenic.security import Fact, Key, person_of, pseudonym
from galenic.version import __version__

# made: nothing is decided yet. refused: by its policy. signing: accepted, and waits for signatures. rejected: by a signer.
# unreadable: a file of its folder is missing or damaged.
RunState = Literal["made", "refused", "signing", "signed", "rejected", "released", "recalled", "unreadable"]
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")

ARTIFACT, INTERNAL, MODEL, SIGNATURES = "artefact", "internal", "model", "signoffs"
COMMENTS = "comments"
SHEET, REPORT_PAGE, ATTESTATION, REJECTION = "sheet.json", "report.html", "attestation.json", "rejected.json"
EVIDENCE, DECISION, POLICY, CARD, VERIFIER = "evidence.json", "decision.json", "policy.toml", "card.html", "verify_release.py"


@dataclass(frozen=True)
class RunRequest:
    """Origin of a run: the requester, and the row of the audit chain at which the criteria were fixed (0: unknown)."""

    requester: str
    audit_row: int


@dataclass(frozen=True)
class Run:
    """One run of an installation. kind, criteria and requested details are known while it is made; a stored run is opened by its id."""

    installation: Installation
    id: str
    kind: str = ""
    criteria: ReleasePolicy | None = None
    requested: RunDetails = NO_DETAILS

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        installation: Installation,
        kind: str,
        policy: ReleasePolicy,
        *,
        requester: str = "",
        details: RunDetails | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> Iterator["Run"]:
        """A new run with its criteria on the audit chain. An error of Galenic within the block is audited as its end.

        kind: a name in ARTIFACTS. requester: the signed-in person, if any. details: title, intended use and recipient. detail: further
        facts of the audit row.
        """
        run = cls(
            installation, f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}", kind, policy, details or RunDetails()
        )
        action = ARTIFACTS[kind].action
        row = installation.audit.append(
            f"{action}.requested", run.id, actor=requester or None, policy=policy.digest, **(detail or {})
        )
        if requester:
            body = (("policy", policy.digest), ("row", row))
            installation.facts.put(Fact("job", f"run/{run.id}", "requested", requester, body=body), quiet=True)
        try:
            yield run
        except GalenicError as error:
            installation.audit.append(f"{action}.ended", run.id, outcome=type(error).__name__)
            raise

    @classmethod
    def open(cls, installation: Installation, run_id: str) -> "Run":
        """A stored run. UnknownNameError if there is none."""
        run = cls(installation, run_id)
        if not run.stored:
            latest = sorted(p.name for p in installation.runs.glob("2*"))[-3:] if installation.runs.is_dir() else []
            raise UnknownNameError(f"there is no run {run_id!r}. The latest are {latest or 'none yet'}. Name one of them.")
        return run

    @classmethod
    def all(cls, installation: Installation) -> Iterator["Run"]:
        """Every run with a folder, newest first. Other files and folders among them are passed over."""
        folders = sorted(installation.runs.iterdir(), reverse=True) if installation.runs.is_dir() else []
        return (cls(installation, f.name) for f in folders if RUN_ID.fullmatch(f.name))

    # places

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.installation.run(self.id)

    @property
    def artifact_folder(self) -> Path:
        """Files that may leave; absent where the run was refused."""
        return self.folder / ARTIFACT

    @property
    def released_folder(self) -> Path:
        """The release within the installation that downloads are made of; absent before the first one."""
        return self.installation.home / "released" / self.id

    @property
    def model_folder(self) -> Path:
        """Fitted model, which stays inside."""
        return self.folder / MODEL

    @property
    def report_page(self) -> Path:
        """Evidence for the signers (HTML)."""
        return report_page(self.folder)

    # contents

    @property
    def stored(self) -> bool:
        """Whether the folder was written."""
        return (self.folder / INTERNAL / SHEET).is_file()

    @property
    def sheet(self) -> dict[str, Any]:
        """The signers' sheet: report, decision and facts of the artifact kind."""
        return _read_json(self.folder / INTERNAL / SHEET)

    @property
    def details(self) -> RunDetails:
        """Title, intended use and recipient; a title of its own where the requester gave none."""
        return stored_details(self.sheet, self.id, self.population)

    @property
    def report(self) -> Report:
        """All findings."""
        return from_json(self.sheet["report"])

    @property
    def public_decision(self) -> dict[str, Any] | None:
        """The decision as it leaves with the artifact; None where the run was refused."""
        place = self.artifact_folder / DECISION
        return _read_json(place) if place.is_file() else None

    @property
    def policy(self) -> ReleasePolicy:
        """Policy that the run is or was decided by. UnknownNameError for a stored run that was refused: it keeps only the name."""
        return self.criteria or read_stored_policy(self.artifact_folder / POLICY)

    @property
    def attestation(self) -> dict[str, Any] | None:
        """Envelope of the gate over the artifact; None where the run was refused."""
        place = self.folder / ATTESTATION
        return _read_json(place) if place.is_file() else None

    def require_attestation(self) -> dict[str, Any]:
        """Envelope of the gate. ReleaseRefusedError where the run was refused."""
        attestation = self.attestation
        if attestation is None:
            raise ReleaseRefusedError(f"run {self.id} was refused by its policy and stays inside. Read {self.report_page}.")
        return attestation

    @property
    def digest(self) -> str:
        """sha256 of the attested payload, which signatures refer to; empty where the run was refused."""
        attestation = self.attestation
        return payload_digest(attestation) if attestation else ""

    @property
    def population(self) -> str:
        """Population as attested. Of a refused run as its sheet has it, empty where an earlier version refused it."""
        attestation = self.attestation
        if attestation is None:
            return str(self.sheet.get("about", {}).get("population", "")) if self.stored else ""
        return str(statement_of(attestation)["predicate"].get("population") or "")

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """Signatures so far, by role."""
        return tuple(signature_of(_read_json(p)) for p in sorted((self.folder / SIGNATURES).glob("*.json")))

    def comment_of(self, signature: Signature) -> str:
        """Comment of a signer, which stays in the installation; empty where there is none. StoreError if it differs from the signed one."""
        if not signature.comment_digest:
            return ""
        stored = _read_json(self.folder / COMMENTS / f"{signature.role}.json")
        return signed_comment(signature, stored)

    @property
    def rejection(self) -> str:
        """Reason of the signer who rejected the run; empty where nobody did."""
        place = self.folder / REJECTION
        return str(_read_json(place)["reason"]) if place.is_file() else ""

    @property
    def request(self) -> RunRequest:
        """Requester and audit row."""
        fact = self.installation.facts.one("job", f"run/{self.id}")
        if fact is not None:
            return RunRequest(fact.who, int(fact.get("row")))
        actions = requested_actions()
        rows = (e for e in self.installation.audit.entries() if e.action in actions and e.resource == self.id)
        return next((RunRequest(e.actor, e.seq) for e in rows), RunRequest("", 0))

    @property
    def registered(self) -> dict[str, Any] | None:
        """Row of the register; None where the run was not released."""
        return next((r for r in store.list_releases(self.installation.db) if r["run"] == self.id), None)

    @property
    def state(self) -> RunState:
        """State of the run."""
        return self.state_with(self.registered)

    def state_with(self, registered: Mapping[str, Any] | None) -> RunState:
        """State of the run, given its row of the register."""
        if registered is not None:
            return "recalled" if registered["state"] == "recalled" else "released"
        if not self.stored:
            return "made"
        if self.attestation is None:
            return "refused"
        if self.rejection:
            return "rejected"
        return "signed" if set(self.policy.roles) <= {s.role for s in self.signatures} else "signing"

    # changes of state

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """An empty folder for files of the run before its decision; it is removed when the block ends."""
        with store.scratch_folder(self.folder) as folder:
            yield folder

    def decide_and_write(self, content: RunContent) -> tuple[Path, Decision]:
        """Decides, counts a refused attempt, writes the folder at once or not at all, and audits. A refused run has no artifact."""
        kind, decision = ARTIFACTS[self.kind], decide(content.report, self.policy)
        details = titled(self.requested, self.id, self.kind, content.population)
        outcome = RunOutcome(self.id, self.policy, decision, self._refused_attempts(content, decision), details)
        with store.folder_aside(self.folder) as aside:
            about = details_entry(details, self.kind, content.population)
            sheet = _write_internal(aside / INTERNAL, content, outcome, {"about": about, **kind.sheet(content)})
            (aside / INTERNAL / REPORT_PAGE).write_text(kind.signers_report(content, outcome), encoding="utf-8")
            kind.save_model(content, aside / MODEL)
            if decision.accepted:
                _write_artifact(aside / ARTIFACT, content, outcome, kind.card(content, outcome))
                kind.write(content, outcome, aside / ARTIFACT)
                predicate = {**_predicate(content, outcome, sha256_file(sheet)), "requester": self._requester_pseudonym()}
                envelope = attest(aside / ARTIFACT, predicate, self.installation.keys.gate())
                (aside / ATTESTATION).write_text(json.dumps(envelope), encoding="utf-8")
                (aside / SIGNATURES).mkdir()
        word = "accepted" if decision.accepted else "refused"
        refused = [i.finding for i in decision.refusals]
        self.installation.audit.append("decision", self.id, outcome=word, policy=self.policy.digest, refused=refused)
        return self.folder, decision

    def _refused_attempts(self, content: RunContent, decision: Decision) -> int:
        """Refused attempts on the population, this one included."""
        if content.budget is None:
            return 0
        ledger, population = self.installation.ledger, content.budget.population
        return ledger.statement(population).refusals if decision.accepted else ledger.count_refusal(population)

    def require_unchanged(self) -> None:
        """ReleaseRefusedError where the signers' sheet or a file of the artifact differs from the attestation."""
        statement = statement_of(self.require_attestation())
        attested = {self.artifact_folder / s["name"]: s["digest"]["sha256"] for s in statement["subject"]}
        attested[self.folder / INTERNAL / SHEET] = statement["predicate"]["internal_sheet"]
        changed = [path.name for path, digest in attested.items() if not path.is_file() or sha256_file(path) != digest]
        if changed:
            raise ReleaseRefusedError(f"{', '.join(changed)} changed since the run was attested. Do not sign; run again.")

    def pseudonym_of(self, account: str) -> str:
        """Keyed pseudonym of the person behind an account, for the signed statements of this run; unlinkable to those of other runs."""
        person = person_of(self.installation.facts, account) or f"account {account}"
        return pseudonym(self.installation.gate.identity_key(), f"run {self.id}", person)

    def _requester_pseudonym(self) -> str:
        fact = self.installation.facts.one("job", f"run/{self.id}")
        return self.pseudonym_of(fact.who) if fact is not None else ""  # without an account nobody is known to have asked

    def add_signature(self, key: Key, person: SigningPerson, comment: str = "") -> None:
        """Writes a signature in the role of the key, and its comment. Whether the person may sign is checked in `signing`, under its
        lock."""
        if comment:
            salt = secrets.token_hex(32)
            person = replace(person, comment_digest=comment_digest(salt, comment))
            with store.file_aside(self.folder / COMMENTS / f"{key.role}.json") as aside:
                aside.write_text(json.dumps({"salt": salt, "comment": comment}), encoding="utf-8")
        envelope = signoff(self.require_attestation(), key, person)
        with store.file_aside(self.folder / SIGNATURES / f"{key.role}.json") as aside:
            aside.write_text(json.dumps(envelope), encoding="utf-8")

    def reject(self, reason: str, signer: str) -> None:
        """Writes a rejection."""
        with store.file_aside(self.folder / REJECTION) as aside:
            aside.write_text(json.dumps({"reason": reason, "by": signer}), encoding="utf-8")

    def discard(self) -> None:
        """Deletes the folder and the copy that downloads are made of, where a right to its data ended or a patient was erased; may
        be repeated. StoreError if something is left. Callers audit the reason."""
        for folder in (self.folder, self.released_folder):
            _delete(folder)

    def drop_model(self) -> None:
        """Deletes the fitted model, and nothing else; may be repeated. StoreError if something is left."""
        _delete(self.model_folder)


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise StoreError(f"{folder} could not be deleted. Delete it by hand, and repeat the command.")


def report_page(folder: Path) -> Path:
    """Evidence for the signers (HTML) in the folder of a run."""
    return folder / INTERNAL / REPORT_PAGE


def _write_internal(folder: Path, content: RunContent, outcome: RunOutcome, entries: Mapping[str, Any]) -> Path:
    """Writes the signers' sheet, salted so that its digest can be opened but not guessed."""
    folder.mkdir()
    data = {
        "salt": secrets.token_hex(32),
        "report": to_json(content.report),
        "decision": decision_json(outcome.decision, inside=True),
        **entries,
    }
    _write_json(folder / SHEET, data)
    return folder / SHEET


def _write_artifact(folder: Path, content: RunContent, outcome: RunOutcome, card: str) -> None:
    """Writes the files that every artifact has."""
    folder.mkdir()
    _write_json(folder / EVIDENCE, to_json(content.evidence))
    _write_json(folder / DECISION, decision_json(outcome.decision, inside=False))
    (folder / POLICY).write_text(outcome.policy.text, encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")
    (folder / VERIFIER).write_bytes((Path(__file__).parent / VERIFIER).read_bytes())


def _predicate(content: RunContent, outcome: RunOutcome, sheet_digest: str) -> dict[str, Any]:
    policy, engine = outcome.policy, content.engine
    return {
        "release": outcome.id,
        "policy": {"name": policy.name, "version": policy.version, "digest": policy.digest},
        "engine": {"name": engine.name, "version": engine.version, "galenic": __version__},
        "population": content.population,
        "internal_sheet": sheet_digest,
        "details": asdict(outcome.details),
    }


def _read_json(path: Path) -> dict[str, Any]:
    """StoreError if the file is missing, damaged or no JSON object."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read ({type(error).__name__}). Put the run's folder back as it was, or move it out of the runs."
        ) from None


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
