"""Applications that act for a person with that person's permission (OAuth 2.0 code flow with PKCE: RFC 6749, RFC 7636, RFC 9700;
SMART App Launch 2.0, standalone): single-use codes, access tokens, and refresh tokens that are rotated at each use."""

import hmac
import json
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from galenic.errors import AccessDeniedError, OptionError
from galenic.security.assertions import checked_jwks
from galenic.security.facts import Fact
from galenic.security.grants import token_name
from galenic.security.keys import NAME
from galenic.security.people import PURPOSES, UserDirectory
from galenic.store import use_once

CODE_SECONDS, ACCESS_SECONDS, REFRESH_SECONDS = 60, 900, 8 * 3600
VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}\Z")  # RFC 7636, 4.1
CHALLENGE = re.compile(r"[A-Za-z0-9_\-]{43}\Z")  # of S256
REFUSED = "this code or token is not valid: it was used, has expired, or belongs to another application."


@dataclass(frozen=True)
class App:
    """A registered application. redirects: redirect URIs, compared exactly; scope: the most it may be granted; public: it has no key."""

    name: str
    shown: str
    redirects: tuple[str, ...]
    scope: str
    public: bool


@dataclass(frozen=True)
class TokenSet:
    """Tokens issued to an application."""

    access: str
    refresh: str
    scope: str
    seconds: int = ACCESS_SECONDS


class Apps:
    """The applications of one installation."""

    def __init__(self, people: UserDirectory) -> None:
        self.people, self.facts, self.gate = people, people.facts, people.gate

    def add(self, name: str, redirects: tuple[str, ...], scope: str, *, shown: str = "", jwks: str = "", by: str = "") -> None:
        """Registers an application. OptionError for a redirect URI that others could receive."""
        if not NAME.match(name) or not redirects or not scope.strip():
            raise OptionError("an application needs a name, a redirect URI and scopes.")
        for one in redirects:
            parts = urlsplit(one)
            local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
            if (
                not (parts.scheme == "https" or local)
                or not parts.hostname
                or parts.fragment
                or "*" in one
                or "@" in parts.netloc
            ):
                raise OptionError("a redirect URI is a complete https:// address without fragment, or on this machine.")
        keys = json.dumps(checked_jwks(jwks)) if jwks else ""
        body = {"shown": shown or name, "redirects": list(redirects), "scope": scope, "jwks": keys}
        self.facts.put(Fact("app", name, "registered", name, body=tuple(sorted(body.items()))), actor=by)

    def get(self, name: str) -> App:
        """An application. AccessDeniedError if there is none."""
        fact = self.facts.one("app", name)
        if fact is None or fact.state != "registered":
            raise AccessDeniedError("there is no such application here.")
        got = fact.get
        return App(name, str(got("shown")), tuple(got("redirects")), str(got("scope")), not got("jwks"))

    def all(self) -> list[App]:
        """All registered applications."""
        return [self.get(f.key) for f in self.facts.of("app") if f.state == "registered"]

    def remove(self, name: str, *, by: str = "") -> None:
        """Removes an application and ends its tokens."""
        self.get(name)
        self.facts.put(Fact("app", name, "removed", name), actor=by)
        for fact in self.facts.of("session"):
            if fact.get("app") == name and fact.state in ("open", "refresh", "code"):
                self.facts.put(replace(fact, state="ended"), quiet=True)
        self.gate.versions.refresh()

    def allowed_by(self, who: str) -> list[tuple[str, str, str]]:
        """(name, display name, scope) of the applications that a person allows now."""
        now, found = self.facts.now(), {}
        for fact in self.facts.of("session", who=who):
            if fact.get("app") and fact.state in ("open", "refresh") and fact.until > now:
                found[str(fact.get("app"))] = str(fact.get("scope"))
        apps = {a.name: a for a in self.all()}
        return [(n, apps[n].shown, s) for n, s in sorted(found.items()) if n in apps]

    def revoke(self, who: str, name: str) -> int:
        """Withdraws a person's permission from an application. Returns how many tokens were ended."""
        ended = 0
        for fact in self.facts.of("session", who=who):
            if fact.get("app") == name and fact.state in ("open", "refresh", "code"):
                self.facts.put(replace(fact, state="ended"), quiet=True)
                ended += 1
        self.gate.versions.refresh()
        self.gate.audit.append("app.revoked", name, actor=who, count=ended)
        return ended

    # permissions that people give to applications

    def allow(self, who: str, app: App, redirect: str, scope: str, challenge: str) -> str:
        """The authorization code that the browser takes to the application."""
        if redirect not in app.redirects or not CHALLENGE.match(challenge):
            raise AccessDeniedError(
                "the redirect URI is not registered for the application, or the challenge (PKCE, S256) is missing."
            )
        code = secrets.token_urlsafe(32)
        body = {"app": app.name, "redirect": redirect, "scope": scope, "challenge": challenge}
        self._put(code, "code", who, CODE_SECONDS, body)
        self.gate.audit.append("app.allowed", app.name, actor=who, scope=scope)
        return code

    def redeem(self, app: App, code: str, redirect: str, verifier: str) -> TokenSet:
        """Tokens for an authorization code. A code that is used twice was stolen: the tokens that it gave are ended."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

        fact = self.facts.one("session", token_name(code))
        if fact is None or fact.get("app") != app.name or fact.state not in ("code", "used"):
            raise AccessDeniedError(REFUSED)
        if fact.state == "used" or not use_once(self.gate.db, f"code/{fact.key}", 2 * CODE_SECONDS):
            self._stolen(fact)
        right = VERIFIER.match(verifier) and hmac.compare_digest(
            create_s256_code_challenge(verifier), str(fact.get("challenge"))
        )
        self.facts.put(replace(fact, state="used"), quiet=True)
        if not right or fact.get("redirect") != redirect or fact.until <= self.facts.now():
            raise AccessDeniedError(REFUSED)
        return self._give(fact.who, app, str(fact.get("scope")), fact.key)

    def refresh(self, app: App, token: str) -> TokenSet:
        """New tokens for a refresh token, which is used up. One that is used twice was stolen: all its descendants are ended."""
        fact = self.facts.one("session", token_name(token))
        if fact is None or fact.get("app") != app.name or fact.state not in ("refresh", "used") or fact.get("family") is None:
            raise AccessDeniedError(REFUSED)
        if fact.state == "used" or not use_once(self.gate.db, f"refresh/{fact.key}", REFRESH_SECONDS):
            self._stolen(fact)
        self.facts.put(replace(fact, state="used"), quiet=True)
        if fact.until <= self.facts.now():
            raise AccessDeniedError(REFUSED)
        return self._give(fact.who, app, str(fact.get("scope")), str(fact.get("family")), fact.until)

    def _stolen(self, fact: Fact) -> None:
        family = str(fact.get("family") or fact.key)
        for one in self.facts.of("session", who=fact.who):
            if one.get("family") == family and one.state in ("open", "refresh"):
                self.facts.put(replace(one, state="ended"), quiet=True)
        self.gate.versions.refresh()
        self.gate.audit.append("session.replayed", fact.who, "denied", actor=fact.who, app=str(fact.get("app")))
        raise AccessDeniedError(REFUSED)

    def _give(self, who: str, app: App, scope: str, family: str, until: str = "") -> TokenSet:
        person = self.people.get(who)
        if person is None or person.state != "active":
            raise AccessDeniedError(REFUSED)
        access, refresh = secrets.token_urlsafe(32), ""
        purposes = " ".join(dict.fromkeys(p for r in person.roles for p in PURPOSES.get(r, ()))) or "none"
        resources = " ".join(s for s in scope.split() if "/" in s)
        about = (("app", app.name), ("family", family), ("purposes", purposes), ("scope", resources))
        self.gate.begin(who, how=f"application {app.name}", seconds=ACCESS_SECONDS, name=token_name(access), about=about)
        if {"offline_access", "online_access"} & set(scope.split()):
            refresh = secrets.token_urlsafe(32)
            self._put(refresh, "refresh", who, REFRESH_SECONDS, {"app": app.name, "family": family, "scope": scope}, until)
        return TokenSet(access, refresh, scope)

    def _put(self, secret: str, state: str, who: str, seconds: int, body: dict[str, Any], until: str = "") -> None:
        end = until or self.facts.clock.after(seconds)
        fact = Fact("session", token_name(secret), state, who, until=end, body=tuple(sorted(body.items())))
        self.facts.put(fact, quiet=True)
