"""Authentication of FHIR requests by access token, and reading of request bodies."""

import re
from collections import OrderedDict
from dataclasses import replace

from starlette.requests import Request

from galenic.custody.fhir import RequestContext
from galenic.errors import GalenicError, InputError
from galenic.installation import Installation
from galenic.security import Fact, Session, access_of, token_name
from galenic.server.connections import mark_signed_in

LARGEST_BODY = 32 * 2**20
MOST_TOKENS = 1_000  # number of remembered tokens
JSON_FORMATS = ("json", "application/json", "application/fhir+json", "text/json")
BEARER = re.compile(r"Bearer ([A-Za-z0-9_\-.~+/]{20,200}=*)\Z")
PURPOSE = "x-galenic-purpose"
REASON = "x-galenic-why"


class TokenAccounts:
    """Accounts of recently seen access tokens, used only to share threads fairly. An entry does not mean that a token is valid."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, str] = OrderedDict()  # by the digest of the token

    def of(self, request: Request) -> str | None:
        """The account of the token of a request; None if it was not seen."""
        return self._accounts.get(token_name(request.headers.get("authorization", "")))

    def remember(self, request: Request, account: str) -> str:
        """Remembers the account of a valid token, and returns it."""
        self._accounts[token_name(request.headers.get("authorization", ""))] = account
        if len(self._accounts) > MOST_TOKENS:
            self._accounts.popitem(last=False)
        return account


class NotSignedInError(GalenicError):
    """The request has no valid session."""


class BodyTooLargeError(InputError):
    """The body is larger than the limit."""


class NotAcceptableError(InputError):
    """The client accepts none of the formats that the server can send (406)."""


def authenticate(
    installation: Installation, request: Request, base: str, needed: tuple[str, str] | None = None
) -> RequestContext:
    """Request context from the access token. needed: (type, permissions) that the token's scopes must cover. NotSignedInError
    without a valid token; AccessDeniedError if the scopes do not cover what is needed."""
    match = BEARER.match(request.headers.get("authorization", ""))
    found = installation.gate.session(token_name(match[1])) if match else None
    if found is None or not _is_token(installation, *found):
        raise NotSignedInError("missing, invalid or expired access token. Get one, and send it as: Authorization: Bearer …")
    mark_signed_in(request.scope)
    session, fact = found
    scopes = frozenset(str(fact.get("scope", "")).split())
    purposes = str(fact.get("purposes", "treatment")).split()
    access = access_of(installation.gate.cache.about("grant", session.who), installation.facts.now())
    if access is not None and not fact.get("app"):  # a system: never more than it may have now, whatever its token says
        scopes, purposes = access.common_scopes(scopes), [p for p in purposes if p in access.purposes]
    context = RequestContext(session, next(iter(purposes), ""), base, request.headers.get(REASON, ""), scopes)
    if needed is not None:
        context.require(*needed)
    purpose = request.headers.get(PURPOSE)
    if purpose is None:
        return context
    if purpose not in purposes:
        raise InputError(
            f"this session is not approved for the purpose in {PURPOSE}. It is approved for: {', '.join(purposes)}."
        )
    return replace(context, purpose=purpose)


def _is_token(installation: Installation, session: Session, fact: Fact) -> bool:
    """Whether a session is that of an access token: an application's, which its user allowed, or a system's, never a person's.
    A browser cookie that is sent as a token is refused, because it was probably stolen."""
    if fact.get("browser") == "yes":
        return False
    return bool(fact.get("app")) or not installation.gate.cache.about("person", session.who)


def address_of(request: Request) -> str:
    """The network address that a request comes from."""
    return request.client.host if request.client else ""


def require_json(request: Request) -> None:
    """NotAcceptableError if the client asks for a format other than JSON."""
    formats = [f for f in request.query_params.getlist("_format") if f]
    for given in formats:
        require_json_format(given)
    if formats:
        return
    wanted = request.headers.get("accept", "*/*")
    if ("xml" in wanted and "json" not in wanted and "*/*" not in wanted) or "turtle" in wanted:
        raise NotAcceptableError("only JSON responses are available. Request application/fhir+json.")


def require_json_format(given: str) -> None:
    """NotAcceptableError if _format (R4, HTTP, 3.1.0.1.11) names another format than JSON, or another version than R4."""
    media_type, *parameters = (part.strip().lower().replace(" ", "+") for part in given.split(";"))
    versions = [p.partition("=")[2] for p in parameters if p.startswith("fhirversion=")]
    if media_type not in JSON_FORMATS or any(v not in ("4.0", "4.0.1") for v in versions):
        raise NotAcceptableError("the format in _format is not available. Expected json or application/fhir+json.")


async def body_of(request: Request, limit: int = LARGEST_BODY) -> bytes:
    """The whole body. BodyTooLargeError as soon as it has more than `limit` bytes."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > limit:
        raise BodyTooLargeError(f"the body is larger than {limit:,} bytes. Send less at once.")
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLargeError(f"the body is larger than {limit:,} bytes. Send less at once.")
        parts.append(chunk)
    return b"".join(parts)
