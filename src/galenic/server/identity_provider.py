"""Sign-in by the site's identity provider: what is asked of it, and what its answer leads to."""

from typing import Any

import orjson

from galenic.errors import AccessDeniedError, RecordError
from galenic.installation import Installation
from galenic.records import exchange
from galenic.security import IdTokenClaims, Provider, Session


def add_provider(
    installation: Installation, name: str, issuer: str, client: str, secret: str, *, shown: str = "", origins: tuple[str, ...] = (),
    internal: bool = False, authority: str = "", mfa: bool = False,
) -> None:  # fmt: skip
    """Lets people sign in with a provider. origins: further addresses that it has for tokens and keys; internal: it lies in the
    house's own network; authority: PEM of its certificates' authority; mfa: its word on a second factor is taken."""
    exchange.declare(
        installation.facts, name, (issuer, *origins), by=installation.actor, internal=internal, authority=authority
    )
    installation.openid.add(Provider(name, shown, issuer, client, mfa), secret, by=installation.actor)


def begin(installation: Installation, session: Session, name: str, back: str, purpose: str, place: str) -> tuple[str, str]:
    """(where the browser goes, what it keeps meanwhile)."""
    provider, _secret = installation.openid.get(name)
    return installation.openid.begin(
        provider, str(_metadata(installation, session, provider)["authorization_endpoint"]), back, purpose, place
    )


def finish(
    installation: Installation, session: Session, name: str, back: str, kept: str, given: dict[str, str]
) -> IdTokenClaims:
    """Who came back from the provider. given: parameters of the address that the browser came to."""
    found = installation.openid.resume(kept, given.get("state", ""))
    provider, secret = installation.openid.get(name)
    if found["provider"] != name or given.get("iss", provider.issuer) != provider.issuer:
        raise AccessDeniedError("this sign-in was begun with another provider. Begin again.")  # mix-up (RFC 9207)
    if "code" not in given:
        raise AccessDeniedError(f"{provider.shown} did not sign you in.")
    metadata = _metadata(installation, session, provider)
    form = {
        "grant_type": "authorization_code", "code": given["code"], "redirect_uri": back, "client_id": provider.client,
        "client_secret": secret, "code_verifier": found["verifier"],
    }  # fmt: skip
    with installation.gate.open(session, "call", f"outside/{name}", "sign-in") as handle:
        tokens = _object(exchange.call(handle, str(metadata["token_endpoint"]), form), provider)
        keys = _object(exchange.call(handle, str(metadata["jwks_uri"])), provider)
    return installation.openid.validate(provider, found, str(tokens.get("id_token")), keys, str(tokens.get("access_token", "")))


def _metadata(installation: Installation, session: Session, provider: Provider) -> dict[str, Any]:
    """What a provider says of itself (OpenID Connect Discovery 1.0, 4)."""
    with installation.gate.open(session, "call", f"outside/{provider.name}", "sign-in") as handle:
        found = _object(exchange.call(handle, f"{provider.issuer}/.well-known/openid-configuration"), provider)
    missing = [n for n in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not isinstance(found.get(n), str)]
    if missing or str(found.get("issuer", "")).rstrip("/") != provider.issuer:
        raise AccessDeniedError(f"{provider.shown} is not who it was declared to be, or says too little of itself.")
    exchange.origin_of(found["authorization_endpoint"])
    return found


def _object(reply: exchange.Reply, provider: Provider) -> dict[str, Any]:
    try:
        found = orjson.loads(reply.body) if reply.status == 200 else None
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise RecordError(f"{provider.shown} answered with what can not be used (status {reply.status}). Begin again.")
    return found
