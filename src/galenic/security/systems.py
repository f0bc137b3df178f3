"""Systems that use the server: a separate kind of account, which two people add or widen, and access tokens within the approved
access."""

import json
import secrets
from dataclasses import dataclass, replace

from galenic.errors import AccessDeniedError, GalenicError, OptionError, StateError, UnknownNameError
from galenic.security.assertions import checked_jwks
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.grants import Session, token_name
from galenic.security.people import ADMINISTERS, APPROVERS, UserDirectory, known_purposes, require_free_name
from galenic.security.scopes import invalid_scopes, uncovered_scopes
from galenic.security.standing import are_different_people, has_stepped_up, is_active, roles_of
from galenic.security.system_access import DAY, ROLE, SystemAccess

SHORTEST_TOKEN, LONGEST_TOKEN = 60, 366 * DAY  # s
COMMAND_LINE = "command line: "


@dataclass(frozen=True)
class System:
    """System with its access. approved_by: the second person, empty if the command line added it."""

    name: str
    role: str
    access: SystemAccess
    proposed_by: str = ""
    approved_by: str = ""


class Systems:
    """The systems of one installation."""

    def __init__(self, people: UserDirectory) -> None:
        self.people, self.gate = people, people.gate
        self.facts: FactStore = people.facts

    def get(self, name: str) -> System:
        """System with that name. Raise UnknownNameError if there is none, or if it is an account of a person, a key or the
        server itself."""
        found = next((s for s in self.all() if s.name == name), None)
        if found is None:
            raise UnknownNameError(f"there is no system named {name!r}. A token is issued to a system, never to a person.")
        return found

    def all(self) -> list[System]:
        """Systems that may use the server, by name."""
        people = {f.key for f in self.facts.of("person")}
        now = self.facts.now()
        grants = [f for f in self.facts.of("grant") if f.get("client") == "yes" and f.stands("given", now)]
        return [_system(f) for f in grants if f.who not in people and not f.who.startswith("galenic-")]

    def checked(self, name: str, access: SystemAccess) -> SystemAccess:
        """Access with its keys in normal form. Raise OptionError if it is invalid."""
        invalid = invalid_scopes(access.scope, "system")
        if invalid or not access.scope.split():
            raise OptionError(
                f"the scopes {', '.join(invalid) or 'of ' + name} are not valid. Expected for example system/Observation.rs."
            )
        self._check_purposes(access.purposes)
        if not SHORTEST_TOKEN <= access.longest <= LONGEST_TOKEN:
            raise OptionError("the longest lifetime of a token must be from one minute to 366 days.")
        return replace(access, jwks=json.dumps(checked_jwks(access.jwks)) if access.jwks else "")

    def _check_purposes(self, purposes: tuple[str, ...]) -> None:
        known = known_purposes(self.gate.policies.active())
        unknown = sorted(set(purposes) - known)
        if unknown or not purposes:
            raise OptionError(
                f"the purposes {', '.join(unknown) or '(none)'} are unknown. Expected some of {', '.join(sorted(known))}."
            )

    # added by one person, while there are no accounts

    def add(self, name: str, access: SystemAccess, by: str) -> None:
        """Adds or changes a system on the command line. Raise StateError if there are accounts of people, who decide in the
        console."""
        if self.people.any():
            raise StateError(
                "this installation has accounts of people: two of them must add or change a system, in the console under "
                "Systems. Tokens of an approved system can be issued here: galenic clients token NAME"
            )
        self.register(name, access, proposed_by=f"{COMMAND_LINE}{by}")

    def register(self, name: str, access: SystemAccess, *, proposed_by: str, approved_by: str = "") -> None:
        """Writes a system on behalf of the people who decided."""
        access = self.checked(name, access)

        def plan(facts: FactReader) -> list[Fact]:
            return [*_registered(facts, name, access, proposed_by, approved_by), *_ended(facts, name, access)]

        self._record_ended(name, self.facts.change(plan, actor=proposed_by))

    def _record_ended(self, name: str, written: list[Fact]) -> None:
        count = sum(f.kind == "session" for f in written)
        if count:
            self.gate.audit.append("session.ended", name, actor=name, count=count)

    # decided by two people

    def propose(self, by: Session, name: str, access: SystemAccess) -> str:
        """Proposes to add or change a system. Returns the key of the proposal, which is only for exactly this access."""
        self.people.require_administrator(by)
        access = self.checked(name, access)
        key = f"{name}/{secrets.token_hex(8)}"
        body = tuple(sorted(access.body(name).items()))

        def plan(facts: FactReader) -> list[Fact]:
            _require_system_name(facts, name)
            return [Fact("system-change", key, "proposed", by.who, purpose=name, body=body)]

        self.facts.change(plan, actor=by.who)
        return key

    def proposals(self) -> list[tuple[Fact, SystemAccess]]:
        """Changes of systems that wait for a second person, with the proposed access."""
        return [(f, SystemAccess.of(f)) for f in self.facts.of("system-change") if f.state == "proposed"]

    def approve(self, by: Session, key: str) -> None:
        """Activates a proposed change, as the second person. Tokens that go beyond it end in the same step."""

        def plan(facts: FactReader) -> list[Fact]:
            fact = _decided(facts, by, key)
            if not is_active(facts, fact.who) or ADMINISTERS not in roles_of(facts, fact.who):
                raise StateError(
                    "the person who proposed this is no longer a security officer. Reject it, and propose it again."
                )
            if not are_different_people(facts, fact.who, by.who):
                raise AccessDeniedError(
                    "a system needs two people: the person who proposed it cannot approve it, from any account."
                )
            access = SystemAccess.of(fact)
            registered = _registered(facts, fact.purpose, access, fact.who, by.who)
            return [replace(fact, state="approved"), *registered, *_ended(facts, fact.purpose, access)]

        written = self.facts.change(plan, actor=by.who)
        self._record_ended(written[0].purpose, written)

    def reject(self, by: Session, key: str) -> None:
        """Rejects a proposed change."""
        self.facts.change(lambda facts: [replace(_decided(facts, by, key), state="rejected")], actor=by.who)

    def remove(self, by: Session, name: str) -> None:
        """Removes a system; its tokens end. One person can do this, because it gives no access."""
        self.people.require_administrator(by)
        self.get(name)

        def plan(facts: FactReader) -> list[Fact]:
            given = [f for f in facts.of("grant", who=name) if f.state == "given"]
            vendors = [f for f in facts.of("vendor", who=name) if f.state == "cleared"]
            ended = [replace(f, state="withdrawn") for f in [*given, *vendors]]
            return [*ended, *_ended(facts, name, None)]

        self._record_ended(name, self.facts.change(plan, actor=by.who))

    # tokens

    def issue_token(
        self, name: str, *, by: str, how: str, seconds: int, scope: str = "", purposes: tuple[str, ...] = ()
    ) -> str:
        """New access token of a system, within the approved access; only its digest is stored. by: the issuer, who is named in
        the audit log with the token's session; scope and purposes: all approved ones by default."""
        system = self.get(name)
        scope, purposes = scope or system.access.scope, purposes or system.access.purposes
        self._check_purposes(purposes)
        invalid = invalid_scopes(scope, "system")
        if invalid or not scope.split():
            raise OptionError(
                f"the scopes {', '.join(invalid) or 'of a token'} are not valid. Expected for example system/Observation.rs."
            )
        beyond = uncovered_scopes(scope, system.access.scope) + sorted(set(purposes) - set(system.access.purposes))
        if beyond:
            raise OptionError(
                f"system {name} is not approved for {', '.join(beyond)}. It has {system.access.scope} for "
                f"{', '.join(system.access.purposes)}. Two people can approve more."
            )
        if not SHORTEST_TOKEN <= seconds <= system.access.longest:
            raise OptionError(
                f"a token of {name} is valid for one minute to {system.access.longest / 3600:g} hours. Two people can "
                "approve more."
            )
        secret = secrets.token_urlsafe(32)
        session, until = token_name(secret), self.facts.clock.after(seconds)
        self.gate.audit.append(
            "token.issued", name, actor=by, session=session, how=how, scope=scope, purposes=" ".join(purposes), until=until
        )
        about = (("issued_by", by), ("purposes", " ".join(purposes)), ("scope", scope), ("seconds", seconds))
        try:
            self.gate.begin(name, how=how, seconds=seconds, name=session, about=about)
        except GalenicError:  # two people have just reduced the access of the system
            self.gate.audit.append("token.issued", name, "lost", actor=by, session=session)
            raise
        return secret


def _system(fact: Fact) -> System:
    return System(
        fact.who, fact.label, SystemAccess.of(fact), str(fact.get("proposed_by", "")), str(fact.get("approved_by", ""))
    )


def _ended(facts: FactReader, name: str, access: SystemAccess | None) -> list[Fact]:
    """Sessions of a system that go beyond its access, marked as ended; all of them without an access."""
    now = facts.now()
    opened = [f for f in facts.of("session", who=name) if f.stands("open", now)]
    return [replace(f, state="ended") for f in opened if access is None or not access.covers(f)]


def _decided(facts: FactReader, by: Session, key: str) -> Fact:
    fact = facts.one("system-change", key)
    if fact is None or fact.state != "proposed":
        raise StateError("this change is not proposed, or was already decided.")
    if not APPROVERS & roles_of(facts, by.who) or not has_stepped_up(facts, by.id, by.who):
        raise AccessDeniedError(
            "a change of a system is decided by a security or privacy officer who has just signed in again."
        )
    return fact


def _require_system_name(facts: FactReader, name: str) -> None:
    """Refuses a name that a person, a key or another system has. A system's own name is accepted for a change of it."""
    own = facts.of("grant", who=name)
    is_system = bool(own) and all(f.get("client") == "yes" for f in own) and facts.one("person", name) is None
    if not is_system or name.startswith("galenic"):  # the server itself is not a system that others can change
        require_free_name(facts, name)


def _registered(facts: FactReader, name: str, access: SystemAccess, proposed_by: str, approved_by: str) -> list[Fact]:
    """Facts of a system: its role with its access, and its vendor's agreement."""
    _require_system_name(facts, name)
    body = {**access.body(name), "proposed_by": proposed_by, "approved_by": approved_by}
    grant = Fact("grant", f"{name}/{ROLE}", "given", name, label=ROLE, body=tuple(sorted(body.items())))
    others = [f for f in facts.of("grant", who=name) if f.state == "given" and f.label != ROLE]  # of earlier versions
    return [grant, Fact("vendor", name, "cleared", name), *(replace(f, state="withdrawn") for f in others)]
