"""FHIR R4 over HTTP (R4, RESTful API): addresses, headers and status codes around the flows."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from functools import partial
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from galenic import store
from galenic.custody import fhir
from galenic.custody.fhir import FhirRepository, FhirResponse, RequestContext, operation_outcome, outcome_issue
from galenic.errors import (
    AccessDeniedError,
    ConflictError,
    GalenicError,
    GoneError,
    InputError,
    InvalidResourceError,
    NotFoundError,
    RecordError,
)
from galenic.server.authentication import BodyTooLargeError, NotSignedInError, bearer, body_of, request_context
from galenic.server.capability import capability
from galenic.server.endpoints.bulk import BulkEndpoint, in_thread
from galenic.server.scopes import require_scope

JSON = "application/fhir+json; fhirVersion=4.0"
TAKES = ("application/fhir+json", "application/json", "application/json-patch+json")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}$")
FORMATS = ("json", "application/json", "application/fhir+json", "application/fhir json")
PLAIN = ("", "identity")  # a packed body would have to be unpacked to know how large it is
THREADS = 12  # at once; more only wait for one another
Given = list[tuple[str, str]]
Work = Callable[[RequestContext], FhirResponse]


def status_of(error: GalenicError) -> tuple[int, str]:
    """(HTTP status, issue type) of an error."""
    for kind, found in (
        (NotSignedInError, (401, "login")),
        (BodyTooLargeError, (413, "too-long")),
        (InvalidResourceError, (422, "invalid")),
        (GoneError, (410, "deleted")),
        (NotFoundError, (404, "not-found")),
        (ConflictError, (412, "conflict")),
        (AccessDeniedError, (403, "forbidden")),
        (RecordError, (400, "invalid")),
        (InputError, (400, "invalid")),
    ):
        if isinstance(error, kind):
            return found
    return 500, "exception"


def refusal(error: GalenicError, request_id: str = "") -> Response:
    """An error as an OperationOutcome; of our own failures only that there was one, and its number in the log."""
    status, code = status_of(error)
    if isinstance(error, InvalidResourceError) and error.issues:
        body = operation_outcome(*(outcome_issue(level, kind, text, where) for level, kind, where, text in error.issues))
    elif status == 500:
        store.telemetry.log("error", "a request failed", error=type(error).__name__, request=request_id)
        body = operation_outcome(outcome_issue("fatal", code, f"the request failed here. It is noted as {request_id}."))
    else:
        body = operation_outcome(outcome_issue("error", code, str(error)))
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(body, status, headers, JSON)


class FhirEndpoint:
    """The FHIR door of one data set. base: the address that clients know the server by."""

    def __init__(self, repository: FhirRepository, base: str) -> None:
        self.repository, self.base = repository, base
        self.threads = ThreadPoolExecutor(THREADS, "fhir")

    def routes(self) -> list[Route]:
        """Every address."""
        kind, own = "/fhir/{kind:str}", "/fhir/{kind:str}/{own:str}"
        return [
            *BulkEndpoint(self.repository, self.base, partial(in_thread, self.threads)).routes(),
            Route("/fhir/metadata", self.metadata, methods=["GET"]),
            Route("/fhir/", self.bundle, methods=["POST"]),
            Route("/fhir", self.bundle, methods=["POST"]),
            Route("/fhir/AuditEvent", self.audit_events, methods=["GET"]),
            Route("/fhir/AuditEvent/{own:str}", self.audit_event, methods=["GET"]),
            Route("/fhir/$validate", self.validate, methods=["POST"]),
            Route(f"{kind}/$validate", self.validate, methods=["POST"]),
            Route(f"{kind}/_search", self.search, methods=["POST"]),
            Route("/fhir/Patient/{own:str}/$everything", self.everything, methods=["GET"]),
            Route(f"{own}/_history/{{number:str}}", self.version, methods=["GET"]),
            Route(f"{own}/_history", self.history, methods=["GET"]),
            Route(own, self.one, methods=["GET", "PUT", "PATCH", "DELETE"]),
            Route(kind, self.many, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    async def _serve(self, request: Request, scope: tuple[str, str], work: Work) -> Response:
        """Sign-in, scope and format are asked before anything else; then the work, in a thread of its own."""
        _acceptable(request)
        answer = await asyncio.get_running_loop().run_in_executor(self.threads, self._work, request, scope, work)
        return _response(request, answer)

    def _work(self, request: Request, scope: tuple[str, str], work: Work) -> FhirResponse:
        caller = bearer(self.repository.installation, request)
        require_scope(caller.scopes, *scope)
        return work(request_context(request, caller, self.base))

    async def metadata(self, request: Request) -> Response:
        """What the server is and does (CapabilityStatement); nobody's data, so nobody need sign in."""
        _acceptable(request)
        return Response(capability(self.base), media_type=JSON)

    async def one(self, request: Request) -> Response:
        """read, update, patch, delete."""
        kind, own = _kind(request), _own(request)
        _not_the_chain(kind, request)
        match = _version(request.headers.get("if-match"))
        if request.method in ("GET", "HEAD"):
            return await self._serve(request, (kind, "r"), lambda a: fhir.read(self.repository, a, kind, own))
        if request.method == "DELETE":
            return await self._serve(request, (kind, "d"), lambda a: fhir.delete(self.repository, a, kind, own, if_match=match))
        raw = await _sent(request)
        work = fhir.patch if request.method == "PATCH" else fhir.update
        return await self._serve(request, (kind, "u"), lambda a: work(self.repository, a, kind, own, raw, if_match=match))

    async def many(self, request: Request) -> Response:
        """search, create, and the conditional forms of update and delete."""
        kind, query = _kind(request), request.url.query
        _not_the_chain(kind, request)
        if request.method in ("GET", "HEAD"):
            given = parse_qsl(query, keep_blank_values=True)
            return await self._serve(request, (kind, "s"), self._searching(request, kind, given))
        if request.method == "DELETE":
            return await self._serve(request, (kind, "d"), lambda a: fhir.delete_where(self.repository, a, kind, query))
        raw = await _sent(request)
        if request.method == "POST":
            condition = request.headers.get("if-none-exist", "")
            return await self._serve(
                request, (kind, "c"), lambda a: fhir.create(self.repository, a, kind, raw, if_none_exist=condition)
            )
        match = _version(request.headers.get("if-match"))
        return await self._serve(
            request, (kind, "u"), lambda a: fhir.update_where(self.repository, a, kind, query, raw, if_match=match)
        )

    def _searching(self, request: Request, kind: str, given: Given) -> Work:
        lenient = "handling=lenient" in request.headers.get("prefer", "")
        return lambda a: fhir.search(self.repository, a, kind, given, lenient=lenient)

    async def search(self, request: Request) -> Response:
        """search by POST: the parameters are in the body, and stay out of logs of addresses."""
        kind = _kind(request)
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise RecordError("_search takes application/x-www-form-urlencoded.")
        try:
            text = (await body_of(request, 2**20)).decode()
        except UnicodeDecodeError:
            raise RecordError("the parameters are not UTF-8.") from None
        given = parse_qsl(request.url.query, keep_blank_values=True) + parse_qsl(text, keep_blank_values=True)
        return await self._serve(request, (kind, "s"), self._searching(request, kind, given))

    async def version(self, request: Request) -> Response:
        """vread."""
        kind, own, number = _kind(request), _own(request), str(request.path_params["number"])
        return await self._serve(request, (kind, "r"), lambda a: fhir.read_version(self.repository, a, kind, own, number))

    async def history(self, request: Request) -> Response:
        """The history of one resource."""
        kind, own = _kind(request), _own(request)
        return await self._serve(request, (kind, "r"), lambda a: fhir.read_history(self.repository, a, kind, own))

    async def audit_events(self, request: Request) -> Response:
        """The audit chain, searched; nobody writes it from outside."""
        given = parse_qsl(request.url.query, keep_blank_values=True)
        return await self._serve(request, ("AuditEvent", "s"), lambda a: fhir.search_audit_events(self.repository, a, given))

    async def audit_event(self, request: Request) -> Response:
        """One row of the audit chain."""
        own = _own(request)
        return await self._serve(request, ("AuditEvent", "r"), lambda a: fhir.read_audit_event(self.repository, a, own))

    async def everything(self, request: Request) -> Response:
        """Patient/$everything."""
        own, given = _own(request), parse_qsl(request.url.query, keep_blank_values=True)
        return await self._serve(request, ("Patient", "r"), lambda a: fhir.patient_everything(self.repository, a, own, given))

    async def bundle(self, request: Request) -> Response:
        """batch and transaction."""
        raw = await _sent(request)
        return await self._serve(request, ("*", ""), lambda a: fhir.process_bundle(self.repository, a, raw))

    async def validate(self, request: Request) -> Response:
        """$validate; it reads nothing, but only callers are served."""
        kind = _kind(request) if "kind" in request.path_params else None
        raw = await _sent(request)
        return await self._serve(request, (kind or "*", ""), lambda _a: fhir.validate(kind, raw))


def _kind(request: Request) -> str:
    from galenic.records.fhir import r4  # noqa: PLC0415

    kind = str(request.path_params["kind"])
    if kind not in r4().resources:
        raise NotFoundError("the address names no resource type of R4.")
    return kind


def _own(request: Request) -> str:
    own = str(request.path_params["own"])
    if not ID.match(own):
        raise RecordError("the address names no id. Expected 1 to 64 letters, digits, - and . (R4, datatypes, id).")
    return own


def _version(etag: str | None) -> int | None:
    from galenic.custody.fhir import parse_etag  # noqa: PLC0415

    return parse_etag(etag)


async def _sent(request: Request) -> bytes:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "").lower() not in PLAIN:
        raise UnsupportedMediaTypeError("a packed body is not read here. Send it as it is, without Content-Encoding.")
    patch = request.method == "PATCH"
    if said not in TAKES or patch != (said == "application/json-patch+json"):
        expected = "application/json-patch+json" if patch else "application/fhir+json"
        raise UnsupportedMediaTypeError(
            f"the body is said to be of another type than is read here. Expected Content-Type: {expected}."
        )
    return await body_of(request)


def _not_the_chain(kind: str, request: Request) -> None:
    """AuditEvents are rows of the chain: none is made, changed or deleted from outside."""
    if kind == "AuditEvent" and request.method not in ("GET", "HEAD"):
        raise MethodNotAllowedError("AuditEvents are written by the audit chain alone.")


class MethodNotAllowedError(InputError):
    """The method is none that the address takes (405)."""


class UnsupportedMediaTypeError(InputError):
    """The body is of a type that is not read (415)."""


class NotAcceptableError(InputError):
    """No form of the answer is one that the client takes (406)."""


def _acceptable(request: Request) -> None:
    wanted = request.query_params.get("_format") or request.headers.get("accept", "*/*")
    if ("xml" in wanted and "json" not in wanted and "*/*" not in wanted) or "turtle" in wanted:
        raise NotAcceptableError("answers are JSON. Ask for application/fhir+json.")


def _response(request: Request, answer: FhirResponse) -> Response:
    headers = dict(answer.headers)
    if answer.version:
        headers["ETag"] = f'W/"{answer.version}"'
        headers["Last-Modified"] = formatdate(answer.updated / 1e6, usegmt=True)
    if answer.location:
        headers["Location"] = answer.location
    if answer.decision:
        headers["X-Galenic-Decision"] = str(answer.decision)
    body, prefer = answer.body, request.headers.get("prefer", "")
    if request.method in ("POST", "PUT", "PATCH") and answer.location:
        if "return=minimal" in prefer:
            body = b""
        elif "return=OperationOutcome" in prefer:
            body = operation_outcome(outcome_issue("information", "informational", "done."))
    none_match = request.headers.get("if-none-match")
    if request.method in ("GET", "HEAD") and answer.version and none_match == headers["ETag"]:
        return Response(b"", 304, headers)
    return Response(body, answer.status, headers, JSON if body else None)
