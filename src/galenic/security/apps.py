"""Applications that act for a person with that person's permission (OAuth 2.0 code flow with PKCE: RFC 6749, RFC 7636, RFC 9700;
SMART App Launch 2.0, standalone): single-use codes, access tokens, and refresh tokens that are rotated at each use."""

import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from urllib.parse import urlsplit

from galenic.errors import AccessDeniedError, OptionError, StateError
from galenic.security.assertions import checked_jwks
from galenic.security.facts import Fact, FactReader
from galenic.security.grants import token_name
from galenic.security.keys import NAME
from galenic.security.people import PURPOSES, UserDirectory
from galenic.security.standing import roles_of

CODE_SECONDS, ACCESS_SECONDS, REFRESH_SECONDS = 60, 900, 8 * 3600
VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}\Z")  # RFC 7636, 4.1
CHALLENGE = re.compile(r"[A-Za-z0-9_\-]{43}\Z")  # of S256
REFUSED = "this code or token is not valid: it was already used, has expired, or belongs to another application."


@dataclass(frozen=True)
class App:
    """Registered application. redirects: redirect URIs, compared exactly; scope: maximum scope; public: True if it has no key."""

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
        """Registers an application. Raise OptionError for an unsafe redirect URI."""
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
        """Application with that id. Raise AccessDeniedError if there is none."""
        fact = self.facts.one("app", name)
        if fact is None or fact.state != "registered":
            raise AccessDeniedError(
                "the redirect URI is not valid. Expected a complete https:// URL without a fragment, or a URL on this machine."
            )
        got = fact.get
        return App(name, str(got("shown")), tuple(got("redirects")), str(got("scope")), not got("jwks"))

    def all(self) -> list[App]:
        """All registered applications."""
        return [self.get(f.key) for f in self.facts.of("app") if f.state == "registered"]

    def remove(self, name: str, *, by: str = "") -> None:
        """Removes an application and ends its tokens."""
        self.get(name)
        self.facts.put(Fact("app", name, "removed", name), actor=by)
        self._end(lambda fact: fact.get("app") == name)

    def allowed_by(self, who: str) -> list[tuple[str, str, str]]:
        """(name, display name, scope) of the applications that a person currently allows."""
        now, found = self.facts.now(), {}
        for fact in self.facts.of("session", who=who):
            if fact.get("app") and fact.state in ("open", "refresh") and fact.until > now:
                found[str(fact.get("app"))] = str(fact.get("scope"))
        apps = {a.name: a for a in self.all()}
        return [(n, apps[n].shown, s) for n, s in sorted(found.items()) if n in apps]

    def revoke(self, who: str, name: str) -> int:
        """Withdraws a person's permission from an application. Returns the number of ended tokens."""
        ended = self._end(lambda fact: fact.get("app") == name, who)
        self.gate.audit.append("app.revoked", name, actor=who, count=ended)
        return ended

    # permissions that people give to applications

    def allow(self, who: str, app: App, redirect: str, scope: str, challenge: str) -> str:
        """Authorization code that the browser takes to the application."""
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
        """Tokens for an authorization code. A code that is used twice was stolen, so its tokens are ended."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

        fact = self.facts.one("session", token_name(code))
        if fact is None or fact.get("app") != app.name or fact.state not in ("code", "used"):
            raise AccessDeniedError(REFUSED)
        right = VERIFIER.match(verifier) and hmac.compare_digest(
            create_s256_code_challenge(verifier), str(fact.get("challenge"))
        )
        right = right and fact.get("redirect") == redirect and fact.until > self.facts.now()
        return self._exchange(fact, app, fact.key, right=bool(right))

    def refresh(self, app: App, token: str) -> TokenSet:
        """New tokens for a refresh token, which can be used only once. A second use means that it was stolen, so all its
        descendants are ended."""
        fact = self.facts.one("session", token_name(token))
        if fact is None or fact.get("app") != app.name or fact.state not in ("refresh", "used") or fact.get("family") is None:
            raise AccessDeniedError(REFUSED)
        return self._exchange(fact, app, str(fact.get("family")), right=fact.until > self.facts.now())

    def _exchange(self, fact: Fact, app: App, family: str, *, right: bool) -> TokenSet:
        """Marks a code or refresh token as used and writes its tokens in one transaction. If it was used twice at the same
        time, its tokens exist and can be ended."""
        tokens = TokenSet(secrets.token_urlsafe(32), _secret_if_offline(fact), str(fact.get("scope")))
        used = replace(fact, state="used")

        def plan(facts: FactReader) -> list[Fact]:
            if facts.one("session", fact.key) != fact:
                raise StateError(REFUSED)
            person = facts.one("person", fact.who)
            if not right or person is None or person.state != "active":
                return [used]
            return [used, *self._token_facts(facts, tokens, app, fact, family)]

        if fact.state == "used":
            self._stolen(fact)
        if right:
            self.gate.audit.append("session.opened", fact.who, actor=fact.who, how=f"application {app.name}")
        try:
            written = self.facts.change(plan, quiet=True)
        except StateError:
            self._stolen(fact)
        if len(written) == 1:
            raise AccessDeniedError(REFUSED)
        return tokens

    def _token_facts(self, facts: FactReader, tokens: TokenSet, app: App, fact: Fact, family: str) -> list[Fact]:
        roles = sorted(roles_of(facts, fact.who))
        about = {
            "app": app.name,
            "family": family,
            "how": f"application {app.name}",
            "purposes": " ".join(dict.fromkeys(p for r in roles for p in PURPOSES.get(r, ()))) or "none",
            "scope": " ".join(s for s in tokens.scope.split() if "/" in s),
        }
        until = self.facts.clock.after(ACCESS_SECONDS)
        access = Fact("session", token_name(tokens.access), "open", fact.who, until=until, body=tuple(sorted(about.items())))
        if not tokens.refresh:
            return [access]
        end = fact.until if fact.state == "refresh" else self.facts.clock.after(REFRESH_SECONDS)
        body = (("app", app.name), ("family", family), ("scope", tokens.scope))
        return [access, Fact("session", token_name(tokens.refresh), "refresh", fact.who, until=end, body=body)]

    def _end(self, which: Callable[[Fact], bool], who: str = "") -> int:
        """Ends the sessions and tokens that match, of one person or of all. Returns their number."""

        def plan(facts: FactReader) -> list[Fact]:
            every = facts.of("session", who=who) if who else facts.of("session")
            return [replace(f, state="ended") for f in every if f.state in ("open", "refresh", "code") and which(f)]

        ended = self.facts.change(plan, quiet=True)
        self.gate.versions.refresh()
        return len(ended)

    def _stolen(self, fact: Fact) -> NoReturn:
        family = str(fact.get("family") or fact.key)
        self._end(lambda one: one.get("family") == family, fact.who)
        self.gate.versions.refresh()
        self.gate.audit.append("session.replayed", fact.who, "denied", actor=fact.who, app=str(fact.get("app")))
        raise AccessDeniedError(REFUSED)

    def _put(self, secret: str, state: str, who: str, seconds: int, body: dict[str, Any]) -> None:
        end = self.facts.clock.after(seconds)
        fact = Fact("session", token_name(secret), state, who, until=end, body=tuple(sorted(body.items())))
        self.facts.put(fact, quiet=True)


def _secret_if_offline(fact: Fact) -> str:
    """Secret of a refresh token, if the scope requests one."""
    return secrets.token_urlsafe(32) if {"offline_access", "online_access"} & set(str(fact.get("scope")).split()) else ""
