"""Client of an OpenID Connect identity provider: registration, start and end of a sign-in."""

from dataclasses import dataclass
from typing import Any

import orjson

from galenic.errors import AccessDeniedError, RecordError
from galenic.installation import Installation
from galenic.records import exchange
from galenic.security import IdTokenClaims, Provider, Session


@dataclass(frozen=True)
class ProviderSettings:
    """Registration of an identity provider. origins: further addresses of its token and key endpoints; internal: it is in the
    organization's own network; authority: PEM of the authority of its certificates; trust_mfa: its statement that it asked for a
    second factor is accepted."""

    issuer: str
    client: str
    secret: str
    display_name: str = ""
    origins: tuple[str, ...] = ()
    internal: bool = False
    authority: str = ""
    trust_mfa: bool = False


def add_provider(installation: Installation, name: str, provider: ProviderSettings) -> None:
    """Lets users sign in with an identity provider."""
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
    """(the provider's address that the browser goes to, the state that it stores meanwhile). back: the redirect address."""
    provider, _secret = installation.openid.get(name)
    address = str(_metadata(installation, session, provider)["authorization_endpoint"])
    return installation.openid.begin(provider, address, back, purpose, place)


def finish(
    installation: Installation, session: Session, name: str, back: str, state: str, parameters: dict[str, str]
) -> IdTokenClaims:
    """The verified claims about the person who came back from the provider. state: as `begin` returned it; parameters: of the
    address that the provider redirected to. AccessDeniedError if the sign-in failed."""
    started = installation.openid.resume(state, parameters.get("state", ""))
    provider, secret = installation.openid.get(name)
    if started["provider"] != name or parameters.get("iss", provider.issuer) != provider.issuer:
        raise AccessDeniedError("this sign-in was begun with another provider. Begin again.")  # mix-up (RFC 9207)
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
    """The metadata of a provider (OpenID Connect Discovery 1.0, 4)."""
    with installation.gate.open(session, "call", f"outside/{provider.name}", "sign-in") as grant:
        metadata = _object(exchange.call(grant, f"{provider.issuer}/.well-known/openid-configuration"), provider)
    endpoints = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    missing = [n for n in endpoints if not isinstance(metadata.get(n), str)]
    if missing or str(metadata.get("issuer", "")).rstrip("/") != provider.issuer:
        raise AccessDeniedError(f"{provider.shown} is not who it was declared to be, or says too little of itself.")
    exchange.origin_of(metadata["authorization_endpoint"])
    return metadata


def _object(reply: exchange.Reply, provider: Provider) -> dict[str, Any]:
    try:
        value = orjson.loads(reply.body) if reply.status == 200 else None
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise RecordError(f"{provider.shown} answered with what cannot be used (status {reply.status}). Begin again.")
    return value
