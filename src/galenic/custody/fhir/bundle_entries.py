"""Entries of a batch or transaction Bundle: parsing, and errors that name the entry."""

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from galenic.custody.fhir.messages import RequestContext, Resource
from galenic.errors import AccessDeniedError, ConflictError, GoneError, InvalidResourceError, NotFoundError, RecordError

MOST_ENTRIES = 10_000
TARGET = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?:/(?P<id>[A-Za-z0-9\-.]{1,64}))?(?:\?(?P<query>.*))?\Z")
METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
READING = ("GET", "HEAD")
PERMISSIONS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}
PLACED = (AccessDeniedError, ConflictError, GoneError, NotFoundError, RecordError)


@dataclass(frozen=True, slots=True)
class TransactionEntry:
    """One parsed entry of a Bundle. query: after the ? of its url; url: its fullUrl."""

    number: int
    method: str
    resource_type: str
    id: str
    query: str
    request: Resource
    resource: Resource | None
    url: str

    @property
    def if_match(self) -> int | None:
        """The version that the entry expects."""
        return parse_etag(self.request.get("ifMatch"))

    @property
    def if_none_exist(self) -> str:
        """The condition of a conditional create."""
        given = str(self.request.get("ifNoneExist", ""))
        return given.partition("?")[2] or given

    @property
    def condition(self) -> str:
        """The condition that decides which resource the entry is about; empty for none."""
        return self.if_none_exist if self.method == "POST" else "" if self.id else self.query

    @property
    def patch(self) -> bytes:
        """The JSON Patch of the entry, which a Bundle holds as a Binary (R4, HTTP, 3.1.0.11.2)."""
        try:
            return base64.b64decode(str((self.resource or {}).get("data", "")), validate=True)
        except binascii.Error:
            raise RecordError("a patch in a Bundle must be a Binary with a JSON Patch in base64 as its data.") from None

    @property
    def place(self) -> str:
        """Position in the Bundle as FHIRPath."""
        return f"Bundle.entry[{self.number}]"

    def invalid(self, message: str, code: str, element: str, text: str) -> InvalidResourceError:
        """An error about an element of the entry."""
        return invalid(message, code, f"{self.place}{element}", text)


@contextmanager
def naming(entry: TransactionEntry) -> Iterator[None]:
    """Adds the position of an entry to errors that do not name one."""
    try:
        yield
    except InvalidResourceError:
        raise
    except PLACED as error:
        raise type(error)(f"{entry.place}: {error}") from None


def invalid(message: str, code: str, expression: str, text: str) -> InvalidResourceError:
    """An error about one element of the Bundle."""
    return InvalidResourceError(message, (("error", code, expression, text),))


def parse_entries(given: Any, base: str) -> list[TransactionEntry]:
    """Entries of a Bundle. Raise InvalidResourceError if there are too many, or if one has no executable request."""
    if not isinstance(given, list):
        raise invalid("Bundle.entry must be a list.", "structure", "Bundle.entry", "must be a list.")
    if len(given) > MOST_ENTRIES:
        text = f"has {len(given):,} entries; a Bundle may have at most {MOST_ENTRIES:,}. Send several Bundles."
        raise invalid("the Bundle has too many entries. Split it.", "too-long", "Bundle.entry", text)
    return [_parse_entry(i, one, base) for i, one in enumerate(given)]


def _parse_entry(number: int, one: Any, base: str) -> TransactionEntry:
    place = f"Bundle.entry[{number}]"
    request = one.get("request") if isinstance(one, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("url"), str) or request.get("method") not in METHODS:
        raise invalid("an entry has no request. Add it.", "required", f"{place}.request", "must have an R4 method and a url.")
    method, url = request["method"], request["url"].removeprefix(f"{base}/").lstrip("/")
    match = TARGET.match(url)
    if match is None:
        if method in READING:
            return TransactionEntry(number, method, "", "", url, request, None, "")
        expected = "is not a URL that can be executed. Expected Type, Type/id or Type?search."
        raise invalid("the url of an entry is invalid. Correct it.", "invalid", f"{place}.request.url", expected)
    resource = one.get("resource")
    if method in ("POST", "PUT") and not isinstance(resource, dict):
        raise invalid("an entry has no resource. Add it.", "required", f"{place}.resource", "is missing.")
    resource_id, query = match["id"] or "", match["query"] or ""
    return TransactionEntry(number, method, match["type"], resource_id, query, request, resource, str(one.get("fullUrl", "")))


def parse_etag(etag: object) -> int | None:
    """Version that an entity tag names (W/"3"), or None. Raise RecordError for an invalid tag."""
    if not etag:
        return None
    match = re.fullmatch(r'\s*(?:W/)?"?(\d{1,9})"?\s*', str(etag))
    if match is None:
        raise RecordError('If-Match is not a version. Expected W/"3", as in the ETag header.')
    return int(match[1])


def require_scope(context: RequestContext, entry: TransactionEntry) -> None:
    """Raise AccessDeniedError unless the caller's scopes cover an entry."""
    permission = PERMISSIONS.get(entry.method, "r" if entry.id else "s")
    if entry.resource_type and not context.covers(entry.resource_type, permission):
        raise AccessDeniedError(f"the token's scopes do not cover {entry.place}. Needed: {entry.resource_type}.{permission}.")
