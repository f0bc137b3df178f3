"""Who is at the door: the session of a request, by the secret that it shows; and what a request may weigh."""

import re
from dataclasses import dataclass

from starlette.requests import Request

from galenic.custody.fhir import RequestContext
from galenic.errors import GalenicError, InputError
from galenic.installation import Installation
from galenic.security import Fact, Session, token_name
from galenic.server.scopes import covers

LARGEST_BODY = 32 * 2**20
BEARER = re.compile(r"Bearer ([A-Za-z0-9_\-.~+/]{20,200}=*)$")
PURPOSE = "x-galenic-purpose"


class NotSignedInError(GalenicError):
    """No session stands behind the request."""


class BodyTooLargeError(InputError):
    """The body is larger than any that is read."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the session, its fact, and what it may be used for."""

    session: Session
    fact: Fact

    @property
    def scopes(self) -> frozenset[str]:
        """SMART scopes of an access token; empty for a person in a browser."""
        return frozenset(str(self.fact.get("scope", "")).split())

    def may(self, kind: str, letters: str = "rs") -> bool:
        """Whether the scopes cover a type: to read and search, or by these letters."""
        return covers(self.scopes, kind, letters)

    def purpose(self, asked: str | None) -> str:
        """The purpose of a request: what it names, of those the session is for; else the first of them."""
        given = str(self.fact.get("purposes", "treatment")).split()
        if asked is not None and asked not in given:
            raise InputError(f"this session is not for the purpose that {PURPOSE} names. It is for: {', '.join(given)}.")
        return asked or given[0]


def bearer(installation: Installation, request: Request) -> Caller:
    """The caller by an access token. NotSignedIn where none stands."""
    match = BEARER.match(request.headers.get("authorization", ""))
    found = installation.gate.session(token_name(match[1])) if match else None
    if found is None or found[1].get("browser") == "yes":  # a cookie is its browser's: shown from elsewhere it was stolen
        raise NotSignedInError(
            "no access token that stands came with the request. Get one, and send it as: Authorization: Bearer …"
        )
    return Caller(*found)


def request_context(request: Request, caller: Caller, base: str) -> RequestContext:
    """What a flow is told of the caller."""
    purpose = caller.purpose(request.headers.get(PURPOSE))
    return RequestContext(caller.session, purpose, base, request.headers.get("x-galenic-why", ""), caller.may)


async def body_of(request: Request, most: int = LARGEST_BODY) -> bytes:
    """The whole body, up to `most` bytes; TooLarge as soon as there are more."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said) > most:
        raise BodyTooLargeError(f"the body is larger than {most:,} bytes. Send less at once.")
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise BodyTooLargeError(f"the body is larger than {most:,} bytes. Send less at once.")
        parts.append(chunk)
    return b"".join(parts)
