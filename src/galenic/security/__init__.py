"""Access control: accounts, policy, the access check, grants, keys, the audit log, and the facts that decisions need."""

from galenic.security.account_recovery import AccountRecovery
from galenic.security.apps import App, Apps, TokenSet
from galenic.security.assertions import checked_jwks, client_of
from galenic.security.audit import AuditEntry, AuditLog, canonical
from galenic.security.audit_proof import ProvedEntry, check_audit_proof
from galenic.security.audited_budgets import AuditedBudgets
from galenic.security.cedar import from_cedar, to_cedar
from galenic.security.client_networks import limits_of, networks_of, source_of
from galenic.security.credentials import Credentials, Passkey
from galenic.security.erasure_requests import ErasureRequest, ErasureRequests
from galenic.security.event_labels import event_label, event_labels
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.fhir_audit_event import to_audit_event
from galenic.security.gate import Gate
from galenic.security.grants import Grant, Session, token_name
from galenic.security.invitations import Invitations
from galenic.security.keys import GATE, NAME, Key, KeyRing
from galenic.security.keytree import BUILDS, KeyTree, opens, subkey
from galenic.security.merkle import root_from_proof
from galenic.security.network_sandbox import block_network
from galenic.security.notices import mark_read, tell
from galenic.security.openid import IdTokenClaims, OpenId, Provider, link_fact
from galenic.security.outside_changes import changed_facts
from galenic.security.people import (
    ADMINISTERS,
    APPROVERS,
    PURPOSES,
    User,
    UserDirectory,
    grant_fact,
    known_purposes,
    require_another_administrator,
)
from galenic.security.person_id import comparable as comparable_id
from galenic.security.person_id import display_name
from galenic.security.policy import (
    ACTIONS,
    FLAGS,
    LABELS,
    ROLES,
    TYPES,
    AccessDecision,
    AccessPolicy,
    AccessRequest,
    AccessRule,
    Obligations,
    parse_policy,
    read_policy,
    shipped_policy,
)
from galenic.security.policy_store import PolicyStore, Replay
from galenic.security.receipt import ReceiptSubject, receipt_subject, require_subject, sign_receipt, verify_receipt
from galenic.security.resource_types import RESOURCE_TYPES, ResourceType
from galenic.security.role_changes import RoleChanges
from galenic.security.root import Escrow, RootFile, RootInToken, RootInVault, root_keeper
from galenic.security.scopes import SCOPE, VERSION_1_PERMISSIONS, invalid_scopes, scopes_cover
from galenic.security.session_activity import SessionActivity
from galenic.security.staff_systems import StaffSystems
from galenic.security.standing import are_different_people, has_stepped_up, is_active, person_of, pseudonym, roles_of
from galenic.security.system_access import EVERYTHING, SystemAccess, access_of
from galenic.security.systems import COMMAND_LINE, System, Systems
from galenic.security.witness import Witness

__all__ = [
    "ACTIONS",
    "ADMINISTERS",
    "APPROVERS",
    "BUILDS",
    "COMMAND_LINE",
    "EVERYTHING",
    "FLAGS",
    "GATE",
    "LABELS",
    "NAME",
    "PURPOSES",
    "RESOURCE_TYPES",
    "ROLES",
    "SCOPE",
    "TYPES",
    "VERSION_1_PERMISSIONS",
    "AccessDecision",
    "AccessPolicy",
    "AccessRequest",
    "AccessRule",
    "AccountRecovery",
    "App",
    "Apps",
    "AuditEntry",
    "AuditLog",
    "AuditedBudgets",
    "Credentials",
    "ErasureRequest",
    "ErasureRequests",
    "Escrow",
    "Fact",
    "FactReader",
    "FactStore",
    "Gate",
    "Grant",
    "IdTokenClaims",
    "Invitations",
    "Key",
    "KeyRing",
    "KeyTree",
    "Obligations",
    "OpenId",
    "Passkey",
    "PolicyStore",
    "ProvedEntry",
    "Provider",
    "ReceiptSubject",
    "Replay",
    "ResourceType",
    "RoleChanges",
    "RootFile",
    "RootInToken",
    "RootInVault",
    "Session",
    "SessionActivity",
    "StaffSystems",
    "System",
    "SystemAccess",
    "Systems",
    "TokenSet",
    "User",
    "UserDirectory",
    "Witness",
    "access_of",
    "are_different_people",
    "block_network",
    "canonical",
    "changed_facts",
    "check_audit_proof",
    "checked_jwks",
    "client_of",
    "comparable_id",
    "display_name",
    "event_label",
    "event_labels",
    "from_cedar",
    "grant_fact",
    "has_stepped_up",
    "invalid_scopes",
    "is_active",
    "known_purposes",
    "limits_of",
    "link_fact",
    "mark_read",
    "networks_of",
    "opens",
    "parse_policy",
    "person_of",
    "pseudonym",
    "read_policy",
    "receipt_subject",
    "require_another_administrator",
    "require_subject",
    "roles_of",
    "root_from_proof",
    "root_keeper",
    "scopes_cover",
    "shipped_policy",
    "sign_receipt",
    "source_of",
    "subkey",
    "tell",
    "to_audit_event",
    "to_cedar",
    "token_name",
    "verify_receipt",
]
