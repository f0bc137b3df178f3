"""State of accounts: roles, re-authentication, and the people behind them; current, or within a change of facts."""

import hmac

from galenic.security.facts import FactReader
from galenic.security.person_id import comparable

OUT_OF_USE = frozenset({"left", "suspended"})  # states of accounts without any access


def roles_of(facts: FactReader, account: str) -> frozenset[str]:
    """Roles of an account or key; none for a person who is deactivated or suspended."""
    person = facts.one("person", account)
    if person is not None and person.state in OUT_OF_USE:
        return frozenset()
    now = facts.now()
    given = [f for f in facts.of("grant", who=account) if f.stands("given", now)]
    return frozenset(f.label for f in given if person is None or f.get("client") != "yes")  # a person never acts as a system


def is_active(facts: FactReader, account: str) -> bool:
    """True if an account is active. A key of the command line, without an account, is active while it has a role."""
    person = facts.one("person", account)
    return person.state == "active" if person is not None else bool(roles_of(facts, account))


def has_stepped_up(facts: FactReader, session: str, account: str) -> bool:
    """True if the session of an account is open and has re-authenticated a short time ago."""
    fact = facts.one("session", session)
    if fact is None or fact.who != account or not fact.stands("open", facts.now()):
        return False
    return str(fact.get("stepped_up_until", "")) > facts.now()


def person_of(facts: FactReader, account: str) -> str:
    """Identity of the person behind an account: from the account itself, or from a role given to a key; empty if unknown."""
    fact = facts.one("person", account)
    if fact is not None:
        return comparable(fact.label)
    return next((comparable(str(f.get("person"))) for f in facts.of("grant", who=account) if f.get("person")), "")


def are_different_people(facts: FactReader, a: str, b: str) -> bool:
    """True if two accounts or keys are known to belong to two people. A person with two accounts is one person."""
    people = [_people(facts, name) for name in (a, b)]
    return a != b and all(people) and not people[0] & people[1]


def _people(facts: FactReader, account: str) -> set[str]:
    own = facts.one("person", account)
    found = {comparable(str(f.get("person", ""))) for f in facts.of("grant", who=account)}
    return found | ({comparable(own.label)} if own is not None else set())


def pseudonym(key: bytes, about: str, person: str) -> str:
    """HMAC-SHA256 of a person's identity with a key of the installation, hexadecimal. about: context of use; the pseudonyms of
    one person in two contexts cannot be linked."""
    return hmac.digest(key, f"person\0{about}\0{person}".encode(), "sha256").hex()
