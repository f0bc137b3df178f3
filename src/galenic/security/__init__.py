"""Who may do what, why, with whose consent: keys, policy, the gate, the audit chain, facts that decisions need, erasure keys."""

from galenic.security.apps import App, Apps, Given
from galenic.security.assertions import checked_jwks, client_of
from galenic.security.audit import AuditLog, Entry, canonical
from galenic.security.audit_event import audit_event
from galenic.security.cedar import from_cedar, to_cedar
from galenic.security.credentials import Credentials, Passkey
from galenic.security.facts import Fact, Facts
from galenic.security.gate import Gate, Pass, Session
from galenic.security.keys import GATE, NAME, Key, KeyRing
from galenic.security.keytree import BUILDS, KeyTree, opens
from galenic.security.merkle import root_from_proof
from galenic.security.openid import Known, OpenId, Provider
from galenic.security.passes import token_name
from galenic.security.people import People, Person
from galenic.security.policies import Policies, Replay
from galenic.security.policy import (
    ACTIONS,
    FLAGS,
    LABELS,
    ROLES,
    TYPES,
    Ask,
    Obligations,
    Policy,
    Rule,
    Verdict,
    parse_policy,
    read_policy,
    shipped_policy,
)
from galenic.security.receipt import sign_receipt, verify_receipt
from galenic.security.root import Escrow, RootFile, RootInToken, RootInVault, root_keeper
from galenic.security.witness import Witness

__all__ = [
    "ACTIONS",
    "BUILDS",
    "FLAGS",
    "GATE",
    "LABELS",
    "NAME",
    "ROLES",
    "TYPES",
    "App",
    "Apps",
    "Ask",
    "AuditLog",
    "Credentials",
    "Entry",
    "Escrow",
    "Fact",
    "Facts",
    "Gate",
    "Given",
    "Key",
    "KeyRing",
    "KeyTree",
    "Known",
    "Obligations",
    "OpenId",
    "Pass",
    "Passkey",
    "People",
    "Person",
    "Policies",
    "Policy",
    "Provider",
    "Replay",
    "RootFile",
    "RootInToken",
    "RootInVault",
    "Rule",
    "Session",
    "Verdict",
    "Witness",
    "audit_event",
    "canonical",
    "checked_jwks",
    "client_of",
    "from_cedar",
    "opens",
    "parse_policy",
    "read_policy",
    "root_from_proof",
    "root_keeper",
    "shipped_policy",
    "sign_receipt",
    "to_cedar",
    "token_name",
    "verify_receipt",
]
