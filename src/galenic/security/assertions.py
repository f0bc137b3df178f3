"""Client authentication by a JWT signed with the client's own key (RFC 7523; SMART App Launch 2.0, backend services)."""

import json
import time
from typing import Any

from galenic.errors import AccessDeniedError, ConfigurationError, MissingExtraError
from galenic.security.facts import Fact
from galenic.security.gate import Gate
from galenic.store import use_once

ALGORITHMS = ["RS384", "ES384"]  # SMART App Launch 2.0, 5.1.3
LONGEST = 300  # seconds that an assertion may be valid
SKEW = 30  # s of tolerated clock difference
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def checked_jwks(text: str) -> dict[str, Any]:
    """JSON Web Key Set of public keys, each with a kid. Raise ConfigurationError if it is invalid, or contains a private key."""
    try:
        found = json.loads(text)
        keys = found["keys"]
        if not keys or not all(isinstance(k, dict) and k.get("kid") and k.get("kty") in ("RSA", "EC") for k in keys):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigurationError(
            'the key set is not valid. Expected a JSON Web Key Set: {"keys": [...]}, with RSA or EC keys that each have a kid.'
        ) from None
    if any(PRIVATE & set(k) for k in keys):
        raise ConfigurationError(
            "this key set contains private keys. Register only the public keys, and replace these private keys."
        )
    if len({k["kid"] for k in keys}) != len(keys):
        raise ConfigurationError("two keys of the set have the same kid. Give each its own.")
    return dict(found)


def client_of(gate: Gate, assertion: str, audience: str, kind: str = "grant", *, address: str = "") -> Fact:
    """Grant of the client, or registration of the application (kind "app"), that an assertion proves. Raise AccessDeniedError,
    always with the same message, if it is invalid. address: network address of the request."""
    try:
        return _client(gate, assertion, audience, kind)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        gate.audit.refusals.add("client.refused", "token", address, why=type(error).__name__)
        raise AccessDeniedError("the client assertion is not valid.") from None


def _client(gate: Gate, assertion: str, audience: str, kind: str) -> Fact:
    try:
        from joserfc import errors, jwt  # noqa: PLC0415
        from joserfc.jwk import KeySet  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("systems with keys of their own need the package joserfc", "server") from None
    if len(assertion) > 8_000 or assertion.count(".") != 2:
        raise ValueError("form")
    said = _unchecked(assertion)
    state, now = {"grant": "given", "app": "registered"}[kind], gate.facts.now()
    grants = [f for f in gate.facts.of(kind, who=str(said.get("iss", ""))) if f.get("jwks") and f.stands(state, now)]
    if not grants:
        raise ValueError("client")
    keys = KeySet.import_key_set(json.loads(str(grants[0].get("jwks"))))
    try:
        token = jwt.decode(assertion, keys, algorithms=ALGORITHMS)
    except errors.JoseError as error:
        raise ValueError(type(error).__name__) from None
    if {"jku", "jwk", "x5u", "x5c"} & set(token.header) or not token.header.get("kid"):
        raise ValueError("header")  # only a registered key is used, never one inside the assertion
    claims, at = token.claims, int(time.time())
    expires, number = claims.get("exp"), claims.get("jti")
    if claims.get("iss") != claims.get("sub") or claims.get("aud") not in (audience, [audience]):
        raise ValueError("claims")
    if not isinstance(expires, int) or not at - SKEW < expires <= at + LONGEST + SKEW or claims.get("nbf", at) > at + SKEW:
        raise ValueError("time")
    if not isinstance(number, str) or not 1 <= len(number) <= 200:
        raise ValueError("jti")
    if not use_once(gate.db, f"jti/{grants[0].who}/{number}", LONGEST + 2 * SKEW):
        raise ValueError("replay")
    return grants[0]


def _unchecked(assertion: str) -> dict[str, Any]:
    """Claims of an unverified assertion, used only to find the verification key."""
    import base64  # noqa: PLC0415

    part = assertion.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(found, dict):
        raise ValueError("claims")
    return found
