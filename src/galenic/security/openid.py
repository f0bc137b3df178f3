"""Sign-in with an OpenID Connect identity provider (Core 1.0, code flow with PKCE): requests, and validation of ID tokens."""

import base64
import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidTag

from galenic.errors import AccessDeniedError, ConfigurationError, MissingExtraError, UnknownNameError
from galenic.security.credentials import Credentials
from galenic.security.facts import Fact, FactReader
from galenic.security.keys import NAME
from galenic.store import use_once

ALGORITHMS = [
    "RS256",
    "PS256",
    "ES256",
    "ES384",
    "EdDSA",
]  # only asymmetric ones: the verification key must not be able to sign
OPEN = 600  # seconds within which a sign-in must be completed
SKEW = 60  # s of tolerated clock difference
SEVERAL = frozenset({"mfa", "hwk", "sc"})  # values of amr (RFC 8176): several factors, or a hardware key


@dataclass(frozen=True)
class Provider:
    """Identity provider. client: client ID of this installation; mfa: True if its statement about a second factor is trusted."""

    name: str
    shown: str
    issuer: str
    client: str
    mfa: bool


@dataclass(frozen=True)
class IdTokenClaims:
    """Validated claims of an ID token. subject: permanent ID of the person at the provider; several: True if a second factor
    was used."""

    provider: Provider
    subject: str
    several: bool
    purpose: str
    next: str

    @property
    def label(self) -> str:
        """Label of a person's link to the provider."""
        return f"openid/{self.provider.name}"


class OpenId:
    """Identity providers of one installation."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials, self.facts = credentials, credentials.facts

    def add(self, provider: Provider, secret: str, *, by: str) -> None:
        """Registers a provider; its client secret is stored encrypted."""
        if not NAME.match(provider.name) or not provider.client:
            raise ConfigurationError(
                "the identity provider needs a name of letters and digits, and the client ID that it issued."
            )
        body = {
            "shown": provider.shown or provider.name,
            "issuer": provider.issuer.rstrip("/"),
            "client": provider.client,
            "mfa": "yes" if provider.mfa else "no",
            "sealed": self._seal(secret.encode(), f"provider {provider.name}"),
        }
        self.facts.put(Fact("provider", provider.name, "active", body=tuple(sorted(body.items()))), actor=by)

    def all(self) -> list[Provider]:
        """All active providers."""
        return [self._provider(f) for f in self.facts.of("provider") if f.state == "active"]

    def get(self, name: str) -> tuple[Provider, str]:
        """(a provider, its secret)."""
        fact = self.facts.one("provider", name)
        if fact is None or fact.state != "active":
            raise UnknownNameError("this identity provider is not registered here.")
        return self._provider(fact), self._open(str(fact.get("sealed")), f"provider {name}").decode()

    def _provider(self, fact: Fact) -> Provider:
        got = fact.get
        return Provider(fact.key, str(got("shown")), str(got("issuer")), str(got("client")), got("mfa") == "yes")

    def _seal(self, raw: bytes, about: str) -> str:
        nonce = os.urandom(12)
        return base64.urlsafe_b64encode(nonce + self.credentials.sealing().encrypt(nonce, raw, about.encode())).decode()

    def _open(self, text: str, about: str) -> bytes:
        try:
            raw = base64.urlsafe_b64decode(text)
            return self.credentials.sealing().decrypt(raw[:12], raw[12:], about.encode())
        except (InvalidTag, ValueError):
            raise AccessDeniedError("this sign-in was started in another browser, or took too long. Start again.") from None

    # one sign-in

    def begin(self, provider: Provider, endpoint: str, back: str, purpose: str, place: str) -> tuple[str, str]:
        """(URL for the browser, state that the browser stores). endpoint: of the provider; back: redirect URI; purpose:
        "sign-in", "link/NAME" or "invitation/SECRET"; place: page to show afterwards."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        kept = {"provider": provider.name, "state": state, "nonce": nonce, "verifier": verifier, "purpose": purpose,
                "place": place, "until": int(time.time()) + OPEN}  # fmt: skip
        query = {
            "response_type": "code", "client_id": provider.client, "redirect_uri": back, "scope": "openid", "state": state,
            "nonce": nonce, "code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        if purpose != "sign-in":
            query["prompt"] = "login"
        mark = "&" if "?" in endpoint else "?"
        return f"{endpoint}{mark}{urlencode(query)}", self._seal(json.dumps(kept).encode(), "openid sign-in")

    def resume(self, kept: str, state: str) -> dict[str, Any]:
        """State of a sign-in that this browser started; it can be used once. Raise AccessDeniedError if it has expired, belongs
        to another browser, or was used."""
        found: dict[str, Any] = json.loads(self._open(kept, "openid sign-in"))
        if not secrets.compare_digest(found["state"].encode(), state.encode()) or found["until"] < time.time():
            raise AccessDeniedError("this sign-in was started in another browser, or took too long. Start again.")
        if not use_once(self.credentials.db, f"openid/{state}", OPEN):
            raise AccessDeniedError("this sign-in was already completed. Start again.")
        return found

    def validate(
        self, provider: Provider, kept: dict[str, Any], token: str, keys: dict[str, Any], access: str
    ) -> IdTokenClaims:
        """Validated claims of an ID token (OpenID Connect Core 1.0, 3.1.3.7). Raise AccessDeniedError, always with the same
        message, if it is invalid."""
        try:
            from authlib.oidc.core import CodeIDToken  # noqa: PLC0415
            from joserfc import errors, jwt  # noqa: PLC0415
            from joserfc.jwk import KeySet  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(f"sign-in by an identity provider needs the package {error.name}", "server") from None
        try:
            usable = [k for k in keys["keys"] if k.get("kty") in ("RSA", "EC", "OKP") and k.get("use", "sig") == "sig"]
            found = jwt.decode(token, KeySet.import_key_set({"keys": usable}), algorithms=ALGORITHMS)
            options: Any = {"iss": {"essential": True, "value": provider.issuer}, "aud": {"essential": True, "value": provider.client},
                            "nonce": {"essential": True}}  # fmt: skip
            params = {"nonce": kept["nonce"], "client_id": provider.client, "access_token": access}
            claims = CodeIDToken(found.claims, found.header, options, params)
            claims.validate(now=int(time.time()), leeway=SKEW)
            subject = claims["sub"]
            if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
                raise ValueError("sub")
        except (errors.JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.credentials.facts.audit.refusals.add("session.refused", provider.name, "", why=type(error).__name__)
            raise AccessDeniedError(
                f"the ID token of {provider.shown} is not valid. Start again, or inform the security officer."
            ) from None
        several = provider.mfa and bool(SEVERAL & set(claims.get("amr") or ()))
        return IdTokenClaims(provider, subject, several, str(kept["purpose"]), str(kept["place"]))

    # linked accounts

    def person(self, known: IdTokenClaims) -> str | None:
        """Account that is linked to a person at the provider, or None."""
        return _linked_account(self.facts, known)

    def link(self, who: str, known: IdTokenClaims) -> None:
        """Links an account, for its signed-in owner. Raise AccessDeniedError if the person at the provider is linked to another
        account."""
        self.facts.change(lambda facts: [link_fact(facts, who, known)], actor=who)


def _linked_account(facts: FactReader, known: IdTokenClaims) -> str | None:
    for fact in facts.of("credential", label="openid"):
        if fact.state == "active" and (fact.get("issuer"), fact.get("subject")) == (known.provider.issuer, known.subject):
            return fact.who
    return None


def link_fact(facts: FactReader, who: str, known: IdTokenClaims) -> Fact:
    """Fact that links an account to a person at the provider. Raise AccessDeniedError if the person is linked to another
    account."""
    if _linked_account(facts, known) not in (None, who):
        raise AccessDeniedError("this account of the identity provider is linked to another person here.")
    body = {"issuer": known.provider.issuer, "subject": known.subject, "made_at": time.strftime("%Y-%m-%d", time.gmtime())}
    return Fact("credential", f"{who}/{known.label}", "active", who, label="openid", body=tuple(sorted(body.items())))
