"""Sign-in by the site's identity provider: what is asked of it, and what its answer leads to."""

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
