"""Who did what: keys of the gate and of signers, and the audit chain."""

from galenic.security.audit import AuditLog, Entry, canonical
from galenic.security.keys import GATE, ROLES, Key, KeyRing

__all__ = ["GATE", "ROLES", "AuditLog", "Entry", "Key", "KeyRing", "canonical"]
