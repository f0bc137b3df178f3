"""Evidence, policy and signatures, or it stays inside: decision, card, attestation, register, recall, verification."""

from galenic.release.attestation import MEANING, attest, payload_digest, recall_notice, sha256_file, signoff, statement_of
from galenic.release.card import Facts, card, decision_json
from galenic.release.croissant import croissant
from galenic.release.forget import forget
from galenic.release.policy import SHIPPED, Decision, Item, Policy, Rule, decide, load_policy, parse_policy
from galenic.release.verify_release import Bad, verify

__all__ = [
    "MEANING",
    "SHIPPED",
    "Bad",
    "Decision",
    "Facts",
    "Item",
    "Policy",
    "Rule",
    "attest",
    "card",
    "croissant",
    "decide",
    "decision_json",
    "forget",
    "load_policy",
    "parse_policy",
    "payload_digest",
    "recall_notice",
    "sha256_file",
    "signoff",
    "statement_of",
    "verify",
]
