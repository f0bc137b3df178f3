"""SMART App Launch 2.0 scopes (section 2.0.4): whether those of a token cover an interaction."""

import re

from galenic.errors import AccessDeniedError

SCOPE = re.compile(r"(?P<of>patient|user|system)/(?P<kind>[A-Z][A-Za-z]+|\*)\.(?P<may>c?r?u?d?s?|read|write|\*)$")
OLD = {"read": "rs", "write": "cud", "*": "cruds"}  # of version 1


def valid_scope(text: str) -> bool:
    """Whether a scope is one of SMART's for resources, without parameters, and asks for something."""
    match = SCOPE.match(text)
    return match is not None and bool(match["may"])


def covers(scopes: frozenset[str], kind: str, may: str) -> bool:
    """Whether the scopes of a token cover every letter (c r u d s) for the type; kind "*": for any type."""
    covered: set[str] = set()
    for text in scopes:
        match = SCOPE.match(text)
        if match and match["kind"] in ("*", kind):
            covered |= set(OLD.get(match["may"], match["may"]))
    return set(may) <= covered


def granted(asked: str, registered: str, of: str = "system") -> str:
    """The scopes of a request that those of a client cover, each in the words of the request. of: whose scopes (system, user)."""
    own = frozenset(registered.split())
    found = []
    for text in dict.fromkeys(asked.split()):
        match = SCOPE.match(text)
        if match and match["of"] == of and match["may"] and covers(own, match["kind"], OLD.get(match["may"], match["may"])):
            found.append(text)
    return " ".join(found)


def require_scope(scopes: frozenset[str], kind: str, may: str) -> None:
    """AccessDenied unless the scopes of a token cover the interaction."""
    if not covers(scopes, kind, may):
        raise AccessDeniedError(f"the token's scopes do not cover this. Needed: {kind}.{may} of patient, user or system.")


VERBS = {"c": "create", "r": "read", "u": "change", "d": "delete", "s": "search"}


def in_words(scope: str) -> list[str]:
    """Scopes as somebody reads them who is to allow them."""
    found = []
    for text in scope.split():
        match = SCOPE.match(text)
        if match:
            letters = OLD.get(match["may"], match["may"])
            what = "records of any kind" if match["kind"] == "*" else match["kind"]
            found.append(f"{', '.join(VERBS[x] for x in letters)}: {what}")
        elif text in ("offline_access", "online_access"):
            found.append("go on for up to eight hours without asking again")
    return found
