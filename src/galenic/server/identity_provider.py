"""Client of an OpenID Connect identity provider: registration, beginning and end of a sign-in."""

from dataclasses import dataclass
from typing import Any

import orjson

from galenic.errors import AccessDeniedError, RecordError
from galenic.installation import Installation
from galenic.records import exchange
from galenic.security import IdTokenClaims, Provider, Session


@dataclass(frozen=True)
class ProviderSettings:
    """Registration of an identity provider. origins: further origins of its token and key endpoints; internal: True if it is in
    the internal network; authority: PEM of the CA of its certificates; trust_mfa: True if its statement about a second
    factor is accepted."""

    issuer: str
    client: str
    secret: str
    display_name: str = ""
    origins: tuple[str, ...] = ()
    internal: bool = False
    authority: str = ""
    trust_mfa: bool = False


def add_provider(installation: Installation, name: str, provider: ProviderSettings) -> None:
    """Registers an identity provider for sign-in."""
    exchange.declare(
        installation.facts,
        name,
        (provider.issuer, *provider.origins),
        by=installation.actor,
        internal=provider.internal,
        authority=provider.authority,
    )
    registered = Provider(name, provider.display_name, provider.issuer, provider.client, provider.trust_mfa)
    installation.openid.add(registered, provider.secret, by=installation.actor)


def begin(installation: Installation, session: Session, name: str, back: str, purpose: str, place: str) -> tuple[str, str]:
    """(URL of the provider for the redirect, state to store meanwhile). back: redirect URI."""
    provider, _secret = installation.openid.get(name)
    address = str(_metadata(installation, session, provider)["authorization_endpoint"])
    return installation.openid.begin(provider, address, back, purpose, place)


def finish(
    installation: Installation, session: Session, name: str, back: str, state: str, parameters: dict[str, str]
) -> IdTokenClaims:
    """Verified claims about the person who returned from the provider. state: as `begin` returned it; parameters: of the
    redirect URI. Raise AccessDeniedError if the sign-in failed."""
    started = installation.openid.resume(state, parameters.get("state", ""))
    provider, secret = installation.openid.get(name)
    if started["provider"] != name or parameters.get("iss", provider.issuer) != provider.issuer:
        raise AccessDeniedError("this sign-in was started with another provider. Start again.")  # mix-up (RFC 9207)
    if "code" not in parameters:
        raise AccessDeniedError(f"{provider.shown} did not sign you in.")
    metadata = _metadata(installation, session, provider)
    form = {
        "grant_type": "authorization_code",
        "code": parameters["code"],
        "redirect_uri": back,
        "client_id": provider.client,
        "client_secret": secret,
        "code_verifier": started["verifier"],
    }
    with installation.gate.open(session, "call", f"outside/{name}", "sign-in") as grant:
        tokens = _object(exchange.call(grant, str(metadata["token_endpoint"]), form), provider)
        keys = _object(exchange.call(grant, str(metadata["jwks_uri"])), provider)
    id_token, access_token = str(tokens.get("id_token")), str(tokens.get("access_token", ""))
    return installation.openid.validate(provider, started, id_token, keys, access_token)


def _metadata(installation: Installation, session: Session, provider: Provider) -> dict[str, Any]:
    """Metadata of a provider (OpenID Connect Discovery 1.0, 4)."""
    with installation.gate.open(session, "call", f"outside/{provider.name}", "sign-in") as grant:
        metadata = _object(exchange.call(grant, f"{provider.issuer}/.well-known/openid-configuration"), provider)
    endpoints = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    missing = [n for n in endpoints if not isinstance(metadata.get(n), str)]
    if missing or str(metadata.get("issuer", "")).rstrip("/") != provider.issuer:
        raise AccessDeniedError(
            f"{provider.shown} does not match its registration, or its metadata is incomplete. Contact the security officer."
        )
    exchange.origin_of(metadata["authorization_endpoint"])
    return metadata


def _object(reply: exchange.Reply, provider: Provider) -> dict[str, Any]:
    try:
        value = orjson.loads(reply.body) if reply.status == 200 else None
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise RecordError(f"{provider.shown} sent an unusable response (status {reply.status}). Start again.")
    return value
