"""Notices to the owner of an account about actions of others, shown in the console until the owner has read them."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime

from galenic.errors import UnknownNameError
from galenic.security.facts import Fact, FactStore


def tell(facts: FactStore, who: str, text: str) -> None:
    """Adds a notice for the owner of an account."""
    facts.put(notice(who, text))


def notice(who: str, text: str) -> Fact:
    """Fact of a notice, for a change that stores it."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Fact("notice", f"{who}/{secrets.token_hex(8)}", "unread", who, body=(("at", at), ("text", text)))


def mark_read(facts: FactStore, who: str, key: str) -> None:
    """Marks a notice as read by its owner. Raise UnknownNameError if it belongs to another account."""
    fact = facts.one("notice", key)
    if fact is None or fact.who != who:
        raise UnknownNameError("this notice does not exist, or is not addressed to you.")
    facts.put(replace(fact, state="read"), actor=who)
