"""Access policy: rules on actions, data and purposes for each role. Rules are data (TOML), indexed for speed, each with a
reason id."""

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from galenic.errors import ConfigurationError
from galenic.security.resource_types import RESOURCE_TYPES

ROLES = (
    "clinician",
    "nurse",
    "pharmacist",
    "researcher",
    "data-scientist",
    "privacy-officer",
    "security-officer",
    "ethics-board",
    "integration-engineer",
    "auditor",
    "patient",
    "service",
)
ACTIONS = (
    "access", "administer", "approve", "call", "erase", "export", "import", "index", "read", "reveal", "search", "train", "write",
)  # fmt: skip
TYPES = tuple(RESOURCE_TYPES)
LABELS = ("clinical", "research", "genetic", "psychiatric", "public")
FLAGS = ("care", "consent", "same_tenant", "same_region", "vendor", "qualified", "own")
ANYONE = "*"  # index key of rules without roles


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Access request that a policy decides. flags: facts that were looked up; assurance: 1 for one key, 2 if re-authenticated
    within the hour."""

    roles: frozenset[str]
    action: str
    type: str
    purpose: str
    label: str
    assurance: int = 1
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Obligations:
    """Obligations of an allowed decision. mask: withheld columns; floor: smallest count that may be shown; rows: restriction of
    rows (care, consent, own or none); watermark: copies have the number of the decision."""

    mask: frozenset[str] = frozenset()
    floor: int = 0
    rows: str = ""
    watermark: bool = False


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One rule. Empty sets mean any. needs: required flags; unless (forbid only): flags that disable it."""

    id: str
    effect: str
    roles: frozenset[str]
    actions: frozenset[str]
    types: frozenset[str]
    purposes: frozenset[str]
    labels: frozenset[str]
    needs: frozenset[str]
    lacks: frozenset[str]
    assurance: int
    below: int
    obligations: Obligations
    reason: str

    def holds(self, request: AccessRequest) -> bool:
        """True if the rule's conditions hold for a request with its action and type."""
        return (
            (not self.purposes or request.purpose in self.purposes)
            and (not self.labels or request.label in self.labels)
            and (not self.needs or self.needs <= request.flags)
            and not (self.lacks and self.lacks & request.flags)
            and request.assurance >= self.assurance
            and (not self.below or request.assurance < self.below)
            and (not self.roles or not self.roles.isdisjoint(request.roles))
        )


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """Decision and its rule. reason: the rule's id, or "no-permit"."""

    allowed: bool
    reason: str
    obligations: Obligations = field(default_factory=Obligations)


NO_PERMIT = AccessDecision(False, "no-permit")
NOTHING = Obligations()


class AccessPolicy:
    """Rules indexed by (action, type) → role. Forbid rules come first. If several permit rules apply, the obligations are those
    of the first in the file, so order them from the most to the least permissive."""

    def __init__(self, name: str, version: int, rules: Iterable[AccessRule], text: str = "") -> None:
        self.name, self.version, self.rules, self.text = name, version, tuple(rules), text
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        seen: set[str] = set()
        forbids: dict[tuple[str, str], list[tuple[AccessRule, AccessDecision]]] = {}
        permits: dict[tuple[str, str, str], list[tuple[int, AccessRule, AccessDecision]]] = {}
        for order, rule in enumerate(self.rules):
            if rule.id in seen:
                raise ConfigurationError(f"policy {name!r} has two rules with id {rule.id!r}. Give each rule its own id.")
            seen.add(rule.id)
            for action in rule.actions or ACTIONS:
                for kind in rule.types or TYPES:
                    if rule.effect == "forbid":
                        forbids.setdefault((action, kind), []).append((rule, AccessDecision(False, rule.id)))
                        continue
                    for role in rule.roles or (ANYONE,):
                        decision = AccessDecision(True, rule.id, rule.obligations)
                        permits.setdefault((action, kind, role), []).append((order, rule, decision))
        self._forbids, self._permits = forbids, permits
        self._flags: dict[tuple[str, str, frozenset[str]], frozenset[str]] = {}
        self._shared: dict[tuple[str, str, frozenset[str]], list[tuple[AccessRule, AccessDecision]]] = {}

    def decide(self, request: AccessRequest) -> AccessDecision:
        """Decision with its reason: the first forbid rule that applies, else the first permit rule that applies, else denied."""
        for rule, decision in self._forbids.get((request.action, request.type), ()):
            if rule.holds(request):
                return decision
        key = (request.action, request.type, request.roles)
        found = self._shared.get(key)
        if found is None:
            found = self._gather(key)
        for rule, decision in found:
            if rule.holds(request):
                return decision
        return NO_PERMIT

    def relevant_flags(self, action: str, kind: str, roles: frozenset[str]) -> frozenset[str]:
        """Flags that a decision for these roles can depend on; others need not be looked up."""
        key = (action, kind, roles)
        found = self._flags.get(key)
        if found is None:
            rules = [r for r, _ in self._forbids.get((action, kind), ())]
            rules += [r for r, _ in self._shared.get(key) or self._gather(key)]
            found = frozenset().union(*(r.needs | r.lacks for r in rules))
            if len(self._flags) < 100_000:
                self._flags[key] = found
        return found

    def _gather(self, key: tuple[str, str, frozenset[str]]) -> list[tuple[AccessRule, AccessDecision]]:
        action, kind, roles = key
        merged = {o: (r, v) for role in (ANYONE, *roles) for o, r, v in self._permits.get((action, kind, role), ())}
        found = [merged[o] for o in sorted(merged)]
        if len(self._shared) < 100_000:  # real sets of roles are few; an attacker could send many
            self._shared[key] = found
        return found


def shipped_policy() -> AccessPolicy:
    """Policy of a new installation."""
    return parse_policy(files("galenic.security").joinpath("policy.toml").read_text(encoding="utf-8"))


def read_policy(place: Path) -> AccessPolicy:
    """A policy from a TOML file."""
    try:
        return parse_policy(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"policy {place} cannot be read ({type(error).__name__}). Expected a TOML file.") from None


def parse_policy(text: str) -> AccessPolicy:
    """Policy from TOML: name, version, then [[permit]] and [[forbid]] rules. Raise ConfigurationError that names the wrong
    rule."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError; a number of 5,000 digits; deeply nested tables
        raise ConfigurationError(f"the policy is not valid TOML: {error}. Correct that line.") from None
    unknown = sorted(set(data) - {"name", "version", "permit", "forbid"})
    if unknown or not isinstance(data.get("name"), str) or type(data.get("version")) is not int:
        raise ConfigurationError(
            "the policy needs a name, an integer version, and [[permit]] or [[forbid]] rules; unexpected: "
            f"{unknown or 'nothing else'}."
        )
    try:
        rules = [_rule(effect, row) for effect in ("forbid", "permit") for row in data.get(effect, [])]
    except (TypeError, AttributeError):
        raise ConfigurationError(
            "a rule has a value of an unexpected type. Compare with the active policy: galenic policy show"
        ) from None
    return AccessPolicy(data["name"], data["version"], rules, text)


SETS = {"roles": ROLES, "actions": ACTIONS, "types": TYPES, "labels": LABELS, "needs": FLAGS, "lacks": FLAGS}


def _rule(effect: str, row: dict[str, Any]) -> AccessRule:
    name = str(row.get("id", ""))
    known = {*SETS, "id", "purposes", "assurance", "below", "mask", "floor", "rows", "watermark", "reason"}
    unknown = sorted(set(row) - known)
    if not name or unknown or not row.get("reason"):
        raise ConfigurationError(f"rule {name or '(no id)'!r} needs an id and a reason, and has unknown keys {unknown}.")
    for key, allowed in SETS.items():
        unknown_values = [v for v in row.get(key, []) if v not in allowed]
        if unknown_values:
            raise ConfigurationError(
                f"rule {name!r}: {key} has unknown values {unknown_values}. Expected some of {', '.join(allowed)}."
            )
    if row.get("rows", "") not in ("", "care", "consent", "own"):
        raise ConfigurationError(f"rule {name!r}: rows must be care, consent or own.")
    sets = {key: frozenset(row.get(key, [])) for key in (*SETS, "purposes")}
    limits = {key: row.get(key, 0) for key in ("assurance", "below", "floor")}
    if any(type(v) is not int or not 0 <= v <= 1000 for v in limits.values()):
        raise ConfigurationError(f"rule {name!r}: assurance, below and floor must be integers of 0 or more.")
    extra = Obligations(frozenset(row.get("mask", [])), limits["floor"], row.get("rows", ""), bool(row.get("watermark", False)))
    if effect == "forbid" and extra != NOTHING:
        raise ConfigurationError(f"rule {name!r} is a forbid rule; only a permit rule can have obligations. Remove them.")
    return AccessRule(
        name, effect, sets["roles"], sets["actions"], sets["types"], sets["purposes"], sets["labels"], sets["needs"],
        sets["lacks"], limits["assurance"], limits["below"], extra, str(row["reason"]),
    )  # fmt: skip
