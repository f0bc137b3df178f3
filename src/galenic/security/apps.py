"""Applications that read as a person who lets them (OAuth 2.0 code flow with PKCE: RFC 6749, RFC 7636, RFC 9700; SMART App Launch
2.0, standalone): codes that count once, access tokens, and refresh tokens of which each is used once."""

import hmac
import json
import re
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}$")  # RFC 7636, 4.1
CHALLENGE = re.compile(r"[A-Za-z0-9_\-]{43}$")  # of S256
REFUSED = "this code or token is not open: it was used, is over, or is another application's."


@dataclass(frozen=True)
class App:
    """An application. redirects: where it may be sent back to, letter by letter; scope: the most it may be given; public: it has
    no key of its own."""

    name: str
    shown: str
    redirects: tuple[str, ...]
    scope: str
    public: bool


@dataclass(frozen=True)
class TokenSet:
    """What an application is given."""

    access: str
    refresh: str
    scope: str
    seconds: int = ACCESS_SECONDS


class Apps:
    """The applications of one installation."""

    def __init__(self, people: UserDirectory) -> None:
        self.people, self.facts, self.gate = people, people.facts, people.gate

    def add(self, name: str, redirects: tuple[str, ...], scope: str, *, shown: str = "", jwks: str = "", by: str = "") -> None:
        """Registers an application. OptionError for an address to come back to that anybody could take."""
        if not NAME.match(name) or not redirects or not scope.strip():
            raise OptionError("an application needs a name, an address to come back to, and scopes.")
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
                raise OptionError("an address to come back to is https://…, whole and without fragment, or on this machine.")
        keys = json.dumps(checked_jwks(jwks)) if jwks else ""
        body = {"shown": shown or name, "redirects": list(redirects), "scope": scope, "jwks": keys}
        self.facts.put(Fact("app", name, "registered", name, body=tuple(sorted(body.items()))), actor=by)

    def get(self, name: str) -> App:
        """An application. AccessDenied if there is none."""
        fact = self.facts.one("app", name)
        if fact is None or fact.state != "registered":
            raise AccessDeniedError("there is no such application here.")
        got = fact.get
        return App(name, str(got("shown")), tuple(got("redirects")), str(got("scope")), not got("jwks"))

    def all(self) -> list[App]:
        """Every application."""
        return [self.get(f.key) for f in self.facts.of("app") if f.state == "registered"]

    def remove(self, name: str, *, by: str = "") -> None:
        """An application is none any more; what it was given counts no more."""
        self.get(name)
        self.facts.put(Fact("app", name, "removed", name), actor=by)
        for fact in self.facts.of("session"):
            if fact.get("app") == name and fact.state in ("open", "refresh", "code"):
                self.facts.put(replace(fact, state="ended"), quiet=True)
        self.gate.versions.refresh()

    def allowed_by(self, who: str) -> list[tuple[str, str, str]]:
        """(name, what people call it, scope) of the applications that read as somebody now."""
        now, found = self.facts.now(), {}
        for fact in self.facts.of("session", who=who):
            if fact.get("app") and fact.state in ("open", "refresh") and fact.until > now:
                found[str(fact.get("app"))] = str(fact.get("scope"))
        apps = {a.name: a for a in self.all()}
        return [(n, apps[n].shown, s) for n, s in sorted(found.items()) if n in apps]

    def revoke(self, who: str, name: str) -> int:
        """Takes back what somebody let an application do. Returns how many of its tokens count no more."""
        ended = 0
        for fact in self.facts.of("session", who=who):
            if fact.get("app") == name and fact.state in ("open", "refresh", "code"):
                self.facts.put(replace(fact, state="ended"), quiet=True)
                ended += 1
        self.gate.versions.refresh()
        self.gate.audit.append("app.revoked", name, actor=who, count=ended)
        return ended

    # what somebody lets an application do

    def allow(self, who: str, app: App, redirect: str, scope: str, challenge: str) -> str:
        """The code that the browser takes to the application."""
        if redirect not in app.redirects or not CHALLENGE.match(challenge):
            raise AccessDeniedError("the application is not known by this address, or brought no challenge (PKCE, S256).")
        code = secrets.token_urlsafe(32)
        body = {"app": app.name, "redirect": redirect, "scope": scope, "challenge": challenge}
        self._put(code, "code", who, CODE_SECONDS, body)
        self.gate.audit.append("app.allowed", app.name, actor=who, scope=scope)
        return code

    def redeem(self, app: App, code: str, redirect: str, verifier: str) -> TokenSet:
        """What a code stands for. One that is shown twice was stolen: what came of it counts no more."""
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
        """New tokens for a refresh token, which counts no more. One that is shown twice was stolen: the whole line ends."""
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
        end = until or (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        fact = Fact("session", token_name(secret), state, who, until=end, body=tuple(sorted(body.items())))
        self.facts.put(fact, quiet=True)
