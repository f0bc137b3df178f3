"""Evidence, policy and signatures, or it stays inside: decision, card, attestation, register, recall, verification."""

from galenic.release.attestation import MEANING, attest, payload_digest, recall_notice, sha256_file, signoff, statement_of
from galenic.release.card import CardFacts, decision_json, render_card
from galenic.release.croissant import croissant_metadata
from galenic.release.deidentified import DeidentifiedRun, deidentify_run
from galenic.release.forget import forget
from galenic.release.policy import SHIPPED, Decision, DecisionItem, PolicyRule, ReleasePolicy, decide, load_policy, parse_policy
from galenic.release.register import (
    decide_again,
    list_releases,
    make_key,
    recall_release,
    sign_with_key,
    trust_of,
    trust_of_release,
    verify_release,
    write_release,
)
from galenic.release.run import Draft, Preview, ResourceUsage, decide_and_write, sizes_of
from galenic.release.signing import RunStatus, reject_run, run_status, run_statuses, sign_off, signing_key
from galenic.release.verify_release import Bad, verify

__all__ = [
    "MEANING",
    "SHIPPED",
    "Bad",
    "CardFacts",
    "Decision",
    "DecisionItem",
    "DeidentifiedRun",
    "Draft",
    "PolicyRule",
    "Preview",
    "ReleasePolicy",
    "ResourceUsage",
    "RunStatus",
    "attest",
    "croissant_metadata",
    "decide",
    "decide_again",
    "decide_and_write",
    "decision_json",
    "deidentify_run",
    "forget",
    "list_releases",
    "load_policy",
    "make_key",
    "parse_policy",
    "payload_digest",
    "recall_notice",
    "recall_release",
    "reject_run",
    "render_card",
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
    "verify_release",
    "write_release",
]
