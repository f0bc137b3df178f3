"""Release of artifacts: evidence, policy, decision, run folder, signatures, register, recall and verification."""

from galenic.release.artifact import ArtifactKind, Engine, RunContent, RunOutcome
from galenic.release.artifacts import ARTIFACTS
from galenic.release.attestation import MEANING, attest, payload_digest, recall_notice, sha256_file, signoff, statement_of
from galenic.release.card import CardFacts, render_card
from galenic.release.croissant import croissant_metadata
from galenic.release.deidentified import DeidentifiedRun, deidentify_run
from galenic.release.erasure import forget
from galenic.release.policy import SHIPPED, Decision, DecisionItem, PolicyRule, ReleasePolicy, decide, load_policy, parse_policy
from galenic.release.register import list_releases, recall_release, write_release
from galenic.release.run import Run, RunRequest, RunState, Signature, report_page
from galenic.release.signing import Signer, reject_run, require_second_person, sign_off, sign_with_key, signing_key
from galenic.release.status import RunStatus, run_status, run_statuses
from galenic.release.table_artifact import Preview, ResourceUsage, TableContent, sizes_of
from galenic.release.verification import check_release, trust_of, trust_of_release
from galenic.release.verify_release import Bad, verify

__all__ = [
    "ARTIFACTS",
    "MEANING",
    "SHIPPED",
    "ArtifactKind",
    "Bad",
    "CardFacts",
    "Decision",
    "DecisionItem",
    "DeidentifiedRun",
    "Engine",
    "PolicyRule",
    "Preview",
    "ReleasePolicy",
    "ResourceUsage",
    "Run",
    "RunContent",
    "RunOutcome",
    "RunRequest",
    "RunState",
    "RunStatus",
    "Signature",
    "Signer",
    "TableContent",
    "attest",
    "check_release",
    "croissant_metadata",
    "decide",
    "deidentify_run",
    "forget",
    "list_releases",
    "load_policy",
    "parse_policy",
    "payload_digest",
    "recall_notice",
    "recall_release",
    "reject_run",
    "render_card",
    "report_page",
    "require_second_person",
    "run_status",
    "run_statuses",
    "sha256_file",
    "sign_off",
    "sign_with_key",
    "signing_key",
    "signoff",
    "sizes_of",
    "statement_of",
    "trust_of",
    "trust_of_release",
    "verify",
    "write_release",
]
