"""History of accounts in the audit log, which remains after facts are replaced or deleted."""

from galenic.security.audit import AuditedActions, AuditLog
from galenic.security.facts import FactReader

SIGNED_IN = "session.opened"
SET_UP = "person.set-up"  # written after the first account is stored
RESCUED = ("person.reset", "person.recovery", "person.recovered")
SECOND_FACTORS = frozenset({"totp", "passkey", "recovery"})


class AccountHistory:
    """Account history of one installation, from the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self.audit = audit
        self._accounts = AuditedActions(audit, "fact.person")
        self._used = AuditedActions(audit, SIGNED_IN, SET_UP, "fact.credential")

    def any_account(self) -> bool:
        """True if there ever was an account. An interrupted set-up can leave rows of a change that was never stored: more rows
        than that of the password show that a first account existed."""
        last = {row.resource: row.outcome for row in self._accounts.all()}
        names = {name for name, outcome in last.items() if outcome != "lost"}
        return bool(names) and any(_account_in(row.action, row.resource) in names for row in self._used.all())

    def is_unused(self, name: str) -> bool:
        """True if nobody ever signed in to the account, no second factor of it was registered, and nobody reset or recovered
        it."""
        head = self.audit.head()[0]
        for row in self.audit.entries_of((SIGNED_IN, *RESCUED, "fact.credential"), 0, head):
            if row.resource == name or (row.outcome == "active" and _factor_of(row.resource, name)):
                return False
        return True

    def approvers(self, roles: frozenset[str]) -> frozenset[str]:
        """Accounts that were active and held one of the roles at any time."""
        self.audit.require_intact()  # deleted rows could have named one
        people, users, given = set(), set(), set()
        for row in self.audit.entries_of(("fact.person", "fact.grant", SIGNED_IN), 0, self.audit.head()[0]):
            name, _, role = row.resource.partition("/")
            if row.action == "fact.person":
                people.add(name)
            elif row.action == SIGNED_IN:
                users.add(name)
            elif row.outcome == "given" and role in roles:
                given.add(name)
        return frozenset(people & users & given)


def _account_in(action: str, resource: str) -> str:
    """Account that a row shows to be active, or empty: a password is stored together with the account."""
    if action != "fact.credential":
        return resource
    name, _, kind = resource.partition("/")
    return "" if kind == "password" else name


def _factor_of(resource: str, name: str) -> bool:
    owner, _, kind = resource.partition("/")
    return owner == name and kind.partition("/")[0] in SECOND_FACTORS


def former_approvers(facts: FactReader, roles: frozenset[str]) -> frozenset[str]:
    """Accounts that hold or held one of the roles, according to their facts, except unused invitations."""
    held = {f.who for f in facts.of("grant") if f.label in roles}
    return frozenset(p.key for p in facts.of("person") if p.key in held and p.state != "invited" and p.get("joined") != "no")
