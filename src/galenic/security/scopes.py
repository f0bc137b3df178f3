"""SMART App Launch 2.0 scopes (section 2.0.4): coverage of resource types and permissions."""

import re

SCOPE = re.compile(r"(?P<context>patient|user|system)/(?P<type>[A-Z][A-Za-z]+|\*)\.(?P<permissions>c?r?u?d?s?|read|write|\*)\Z")
VERSION_1_PERMISSIONS = {"read": "rs", "write": "cud", "*": "cruds"}  # of SMART App Launch 1


def scopes_cover(scopes: frozenset[str], resource_type: str, permissions: str) -> bool:
    """True if SMART scopes cover all permissions (c r u d s) for a type; "*": for any type."""
    covered: set[str] = set()
    for text in scopes:
        match = SCOPE.match(text)
        if match and match["type"] in ("*", resource_type):
            covered |= set(VERSION_1_PERMISSIONS.get(match["permissions"], match["permissions"]))
    return set(permissions) <= covered


def invalid_scopes(scopes: str, context: str) -> list[str]:
    """Scopes that are malformed, have no permission, or belong to another context (system, user, patient)."""
    matches = [(text, SCOPE.match(text)) for text in scopes.split()]
    return [text for text, match in matches if match is None or match["context"] != context or not match["permissions"]]


def uncovered_scopes(scopes: str, most: str) -> list[str]:
    """Scopes that go beyond `most`."""
    own, beyond = frozenset(most.split()), []
    for text in scopes.split():
        match = SCOPE.match(text)
        if match is None or not scopes_cover(
            own, match["type"], VERSION_1_PERMISSIONS.get(match["permissions"], match["permissions"])
        ):
            beyond.append(text)
    return beyond
