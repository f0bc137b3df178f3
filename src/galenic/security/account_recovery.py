"""Recovery of accounts whose owners lost a password."""

import secrets
from datetime import UTC, datetime, timedelta

from galenic.errors import UnknownNameError
from galenic.security.facts import FactStore
from galenic.security.grants import Session
from galenic.security.people import UserDirectory
from galenic.security.sign_in_limits import digest_of

RESET_HOURS = 1


class AccountRecovery:
    """Recovers accounts of one installation."""

    def __init__(self, people: UserDirectory) -> None:
        self.people = people
        self.facts: FactStore = people.facts

    def reset(self, by: Session, name: str) -> str:
        """The secret by which a person who forgot the password sets a new one; the second factor is still required. Sessions end."""
        self.people.require_administrator(by)
        fact = self.facts.one("person", name)
        if fact is None or fact.state != "active" or name == by.who:
            raise UnknownNameError(
                "there is no such person, or it is you: ask another security officer to reset your password."
            )
        secret = secrets.token_urlsafe(24)
        until = (datetime.now(UTC) + timedelta(hours=RESET_HOURS)).isoformat(timespec="seconds")
        self.people.write(name, fact.label, str(fact.get("shown")), "active", {"invitation": digest_of(secret), "until": until})
        self.people.credentials.drop(name, "password")
        self.people.end_sessions(name)
        self.people.audit.append("person.reset", name, actor=by.who)
        return secret
