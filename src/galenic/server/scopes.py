"""Scopes of SMART App Launch 2.0 (section 2.0.4): granting them, and describing them to a person."""

from galenic.security import SCOPE, VERSION_1_PERMISSIONS, scopes_cover

VERBS = {"c": "create", "r": "read", "u": "change", "d": "delete", "s": "search"}


def granted_scopes(requested: str, registered: str, context: str = "system") -> str:
    """The requested scopes of a context (system, user) that the client's registered scopes cover, as they were requested."""
    own = frozenset(registered.split())
    granted = []
    for text in dict.fromkeys(requested.split()):
        match = SCOPE.match(text)
        if match is None or match["context"] != context or not match["permissions"]:
            continue
        if scopes_cover(own, match["type"], VERSION_1_PERMISSIONS.get(match["permissions"], match["permissions"])):
            granted.append(text)
    return " ".join(granted)


def describe_scopes(scopes: str) -> list[str]:
    """Description of scopes for the person who is asked to allow them."""
    found = []
    for text in scopes.split():
        match = SCOPE.match(text)
        if match:
            permissions = VERSION_1_PERMISSIONS.get(match["permissions"], match["permissions"])
            records = "records of any type" if match["type"] == "*" else match["type"]
            found.append(f"{', '.join(VERBS[p] for p in permissions)}: {records}")
        elif text in ("offline_access", "online_access"):
            found.append("stay signed in for up to eight hours")
    return found
