"""FHIR R4 over HTTP (R4, RESTful API): URLs, headers and status codes for the interactions of the repository."""

import asyncio
import re
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from galenic import store
from galenic.custody import fhir
from galenic.custody.fhir import FhirResponse, IndexBehindError, RequestContext, operation_outcome, outcome_issue
from galenic.errors import (
    AccessDeniedError,
    ConflictError,
    GalenicError,
    GoneError,
    InputError,
    InvalidResourceError,
    NotFoundError,
    RecordError,
    TooCostlyError,
)
from galenic.server.authentication import (
    BodyTooLargeError,
    NotAcceptableError,
    NotSignedInError,
    TokenAccounts,
    authenticate,
    body_of,
    require_json,
    require_json_format,
)
from galenic.server.binary_content import MEDIA_TYPE, binary_of, content_of, wants_content
from galenic.server.capability import JSON, NOT_SERVED, CapabilityPart, resource_capability
from galenic.server.endpoints.endpoint import ServedRepository
from galenic.server.fair_pool import FairPool, TooManyWaitingError
from galenic.server.unroutable import (
    OPERATION,
    MethodNotAllowedError,
    OperationNotSupportedError,
    UnknownPath,
    refuse_path,
)

TAKES = ("application/fhir+json", "application/json", "application/json-patch+json")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
PLAIN = ("", "identity")  # a compressed body would have to be decompressed to learn its size
FORM = "application/x-www-form-urlencoded"


class UnsupportedMediaTypeError(InputError):
    """The URL does not accept this media type (415)."""


OPERATIONS = "http://hl7.org/fhir/OperationDefinition"
STATUS: tuple[tuple[type[GalenicError], int, str], ...] = (  # the first that matches
    (NotSignedInError, 401, "login"),
    (IndexBehindError, 503, "transient"),
    (BodyTooLargeError, 413, "too-long"),
    (InvalidResourceError, 422, "invalid"),
    (GoneError, 410, "deleted"),
    (OperationNotSupportedError, 404, "not-supported"),
    (NotFoundError, 404, "not-found"),
    (ConflictError, 412, "conflict"),
    (TooCostlyError, 503, "too-costly"),
    (TooManyWaitingError, 429, "throttled"),
    (AccessDeniedError, 403, "forbidden"),
    (MethodNotAllowedError, 405, "not-supported"),
    (UnsupportedMediaTypeError, 415, "not-supported"),
    (NotAcceptableError, 406, "not-supported"),
    (InputError, 400, "invalid"),
)
AUDIT_EVENT = {
    "type": "AuditEvent",
    "profile": "http://hl7.org/fhir/StructureDefinition/AuditEvent",
    "documentation": "Audit log of this installation (read-only).",
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "searchParam": [
        {"name": "action", "type": "token"},
        {"name": "date", "type": "date"},
        {"name": "outcome", "type": "token"},
        {"name": "_id", "type": "token"},
    ],
}
Work = Callable[[RequestContext], FhirResponse]


def status_of(error: GalenicError) -> tuple[int, str]:
    """(HTTP status, issue type) for an error."""
    return next(((status, code) for kind, status, code in STATUS if isinstance(error, kind)), (500, "exception"))


def refusal(error: GalenicError, request_id: str = "") -> Response:
    """OperationOutcome for an error. For an internal error it contains only the id of the request in the log."""
    status, code = status_of(error)
    if isinstance(error, InvalidResourceError) and error.issues:
        body = operation_outcome(*(outcome_issue(level, kind, text, where) for level, kind, where, text in error.issues))
    elif status == 500:
        store.telemetry.log("error", "a request failed", error=type(error).__name__, request=request_id)
        body = operation_outcome(
            outcome_issue("fatal", code, f"an error occurred on the server. Find it in the server log by its id: {request_id}.")
        )
    else:
        body = operation_outcome(outcome_issue("error", code, str(error)))
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, MethodNotAllowedError):
        headers["Allow"] = ", ".join(error.allowed)
    return Response(body, status, headers, JSON)


class FhirEndpoint:
    """The FHIR REST interface of one data set."""

    def __init__(self, served: ServedRepository) -> None:
        self.repository, self.threads, self.base = served.repository, served.threads, f"{served.url}/fhir"
        self.searches, self.bundles = served.searches, served.bundles
        self._accounts = TokenAccounts()

    def routes(self) -> list[Route]:
        """Routes of the FHIR endpoint."""
        by_type, by_id = "/fhir/{resource_type:str}", "/fhir/{resource_type:str}/{resource_id:str}"
        return [
            Route("/fhir/", self.bundle, methods=["POST"]),
            Route("/fhir", self.bundle, methods=["POST"]),
            Route("/fhir/AuditEvent", self.audit_events, methods=["GET"]),
            Route("/fhir/$validate", self.validate, methods=["POST"]),
            Route(by_type, self.type_level, methods=["GET", "POST", "PUT", "DELETE"]),
            Route("/fhir/AuditEvent/{resource_id:str}", self.audit_event, methods=["GET"]),
            Route(f"{by_type}/$validate", self.validate, methods=["POST"]),
            Route(f"{by_type}/_search", self.search, methods=["POST"]),
            Route(by_id, self.instance, methods=["GET", "PUT", "PATCH", "DELETE"]),
            Route("/fhir/Patient/{resource_id:str}/$everything", self.everything, methods=["GET"]),
            Route(f"{by_id}/_history/{{number:str}}", self.version, methods=["GET"]),
            Route(f"{by_id}/_history", self.history, methods=["GET"]),
            Route("/fhir/{path:path}", UnknownPath()),
            Route("/fhir", UnknownPath()),
        ]

    @staticmethod
    def capability() -> CapabilityPart:
        """Types, interactions and operations."""
        from galenic.records.fhir import r4  # noqa: PLC0415

        return CapabilityPart(
            resources=(AUDIT_EVENT, *(resource_capability(t) for t in sorted(r4().resources) if t not in NOT_SERVED)),
            interactions=("transaction", "batch"),
            operations=(
                ("everything", f"{OPERATIONS}/Patient-everything"),
                ("validate", f"{OPERATIONS}/Resource-validate"),
            ),
        )

    async def _serve(self, request: Request, needed: tuple[str, str], work: Work) -> Response:
        """Checks format, token and scopes (type, permissions), then works in a thread."""
        native = needed == ("Binary", "r") and wants_content(request)
        if not native:
            require_json(request)
        answer = await asyncio.get_running_loop().run_in_executor(self.threads, self._work, request, needed, work)
        is_binary = native and answer.status == 200 and not request.url.path.endswith("/_history")
        return _response(request, *content_of(answer)) if is_binary else _response(request, answer)

    def _work(self, request: Request, needed: tuple[str, str], work: Work) -> FhirResponse:
        return work(authenticate(self.repository.installation, request, self.base, needed))

    async def _serve_fairly(self, pool: FairPool, request: Request, needed: tuple[str, str], work: Work) -> Response:
        """As `_serve`, for work that may take long: runs in a thread pool that clients share, until the client disconnects."""
        require_json(request)
        limit = store.QueryLimit()

        def limited() -> FhirResponse:
            limit.require()
            with self.repository.index.limited(limit):
                return self._work(request, needed, work)

        client = await self._client(request, needed)
        return _response(request, await pool.run(client, limited, limit, lambda: _left(request)))

    async def _client(self, request: Request, needed: tuple[str, str]) -> str:
        """Account that a thread is requested for. The account of a known token is remembered, because it never changes. The
        validity of the token is checked when the work begins."""
        client = self._accounts.of(request)
        if client is None:
            installation, loop = self.repository.installation, asyncio.get_running_loop()
            context = await loop.run_in_executor(self.threads, authenticate, installation, request, self.base, needed)
            client = self._accounts.remember(request, context.session.who)
        return client

    async def instance(self, request: Request) -> Response:
        """Read, update, patch, delete."""
        resource_type, resource_id = _resource_type(request), _resource_id(request)
        _require_writable(resource_type, request)
        if_match = fhir.parse_etag(request.headers.get("if-match"))
        if request.method in ("GET", "HEAD"):
            return await self._serve(
                request, (resource_type, "r"), lambda c: fhir.read(self.repository, c, resource_type, resource_id)
            )
        if request.method == "DELETE":
            return await self._serve(
                request,
                (resource_type, "d"),
                lambda c: fhir.delete(self.repository, c, resource_type, resource_id, if_match=if_match),
            )
        raw = await _resource_body(request)
        write = fhir.patch if request.method == "PATCH" else fhir.update
        return await self._serve(
            request,
            (resource_type, "u"),
            lambda c: write(self.repository, c, resource_type, resource_id, raw, if_match=if_match),
        )

    async def type_level(self, request: Request) -> Response:
        """Search, create, and conditional update and delete."""
        resource_type = _resource_type(request)
        _require_writable(resource_type, request)
        if request.method in ("GET", "HEAD"):
            return await self._search(request, resource_type, parse_qsl(request.url.query, keep_blank_values=True))
        if request.method == "DELETE":
            query = request.url.query
            return await self._serve_fairly(
                self.bundles,
                request,
                (resource_type, "d"),
                lambda c: fhir.delete_where(self.repository, c, resource_type, query),
            )
        return await (self._create if request.method == "POST" else self._update_where)(request, resource_type)

    async def _create(self, request: Request, resource_type: str) -> Response:
        raw, condition = await _resource_body(request), request.headers.get("if-none-exist", "")
        needed = (resource_type, "c")

        def work(context: RequestContext) -> FhirResponse:
            return fhir.create(self.repository, context, resource_type, raw, if_none_exist=condition)

        if condition:
            return await self._serve_fairly(self.bundles, request, needed, work)
        return await self._serve(request, needed, work)

    async def _update_where(self, request: Request, resource_type: str) -> Response:
        raw, query = await _resource_body(request), request.url.query
        if_match = fhir.parse_etag(request.headers.get("if-match"))
        return await self._serve_fairly(
            self.bundles,
            request,
            (resource_type, "u"),
            lambda c: fhir.update_where(self.repository, c, resource_type, query, raw, if_match=if_match),
        )

    async def _search(self, request: Request, resource_type: str, given: list[tuple[str, str]]) -> Response:
        lenient = _is_lenient(request)
        for name, value in given:
            if name == "_format" and value:
                require_json_format(value)
        return await self._serve_fairly(
            self.searches,
            request,
            (resource_type, "s"),
            lambda c: fhir.search(self.repository, c, resource_type, given, lenient=lenient),
        )

    async def search(self, request: Request) -> Response:
        """Search by POST, so that the parameters do not appear in logs of URLs."""
        resource_type = _resource_type(request)
        if not request.headers.get("content-type", "").startswith(FORM):
            raise RecordError(f"_search needs the Content-Type {FORM}. Set it.")
        try:
            text = (await body_of(request, 2**20)).decode()
        except UnicodeDecodeError:
            raise RecordError("the parameters are not valid UTF-8. Encode them as UTF-8.") from None
        given = parse_qsl(request.url.query, keep_blank_values=True) + parse_qsl(text, keep_blank_values=True)
        return await self._search(request, resource_type, given)

    async def version(self, request: Request) -> Response:
        """Read one version (vread)."""
        resource_type, resource_id, number = _resource_type(request), _resource_id(request), str(request.path_params["number"])
        return await self._serve(
            request,
            (resource_type, "r"),
            lambda c: fhir.read_version(self.repository, c, resource_type, resource_id, number),
        )

    async def history(self, request: Request) -> Response:
        """The history of one resource."""
        resource_type, name = _resource_type(request), f"{_resource_type(request)}/{_resource_id(request)}"
        given, lenient = parse_qsl(request.url.query, keep_blank_values=True), _is_lenient(request)
        return await self._serve_fairly(
            self.searches,
            request,
            (resource_type, "r"),
            lambda c: fhir.read_history(self.repository, c, name, given, lenient=lenient),
        )

    async def audit_events(self, request: Request) -> Response:
        """Search of the audit log."""
        given = parse_qsl(request.url.query, keep_blank_values=True)
        return await self._serve_fairly(
            self.searches, request, ("AuditEvent", "s"), lambda c: fhir.search_audit_events(self.repository, c, given)
        )

    async def audit_event(self, request: Request) -> Response:
        """One row of the audit log."""
        resource_id = _resource_id(request)
        return await self._serve(request, ("AuditEvent", "r"), lambda c: fhir.read_audit_event(self.repository, c, resource_id))

    async def everything(self, request: Request) -> Response:
        """Patient/$everything."""
        patient_id, given = _resource_id(request), parse_qsl(request.url.query, keep_blank_values=True)
        return await self._serve_fairly(
            self.searches, request, ("Patient", "r"), lambda c: fhir.patient_everything(self.repository, c, patient_id, given)
        )

    async def bundle(self, request: Request) -> Response:
        """batch and transaction."""
        raw = await _resource_body(request)
        return await self._serve_fairly(
            self.bundles, request, ("*", ""), lambda c: fhir.process_bundle(self.repository, c, raw)
        )

    async def validate(self, request: Request) -> Response:
        """$validate; it reads no records, but needs an access token."""
        resource_type = _resource_type(request) if "resource_type" in request.path_params else None
        raw = await _resource_body(request)
        profiles = [p for p in request.query_params.getlist("profile") if p]
        return await self._serve_fairly(
            self.bundles, request, (resource_type or "*", ""), lambda _context: fhir.validate(resource_type, raw, profiles)
        )


def _is_lenient(request: Request) -> bool:
    """True if unknown parameters are to be ignored (R4, Search, 3.1.1.2)."""
    return "handling=lenient" in request.headers.get("prefer", "")


async def _left(request: Request) -> None:
    """Returns when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _resource_type(request: Request) -> str:
    from galenic.records.fhir import r4  # noqa: PLC0415

    resource_type = str(request.path_params["resource_type"])
    if resource_type not in r4().resources:
        refuse_path(request)
    return resource_type


def _resource_id(request: Request) -> str:
    resource_id = str(request.path_params["resource_id"])
    if resource_id.startswith(OPERATION):
        refuse_path(request)
    if not ID.match(resource_id):
        raise RecordError("the URL has no valid id. Expected 1 to 64 letters, digits, - and . (R4, datatypes, id).")
    return resource_id


async def _resource_body(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "").lower() not in PLAIN:
        raise UnsupportedMediaTypeError("compressed bodies are not accepted. Send it without Content-Encoding.")
    is_patch = request.method == "PATCH"
    if request.path_params.get("resource_type") == "Binary" and not is_patch and media_type not in TAKES:
        if not MEDIA_TYPE.match(media_type):
            raise UnsupportedMediaTypeError("the content has no type. Send it with a Content-Type header.")
        return binary_of(await body_of(request), request.headers, str(request.path_params.get("resource_id", "")))
    if media_type not in TAKES or is_patch != (media_type == "application/json-patch+json"):
        expected = "application/json-patch+json" if is_patch else "application/fhir+json"
        raise UnsupportedMediaTypeError(f"this type of content is not accepted here. Expected Content-Type: {expected}.")
    return await body_of(request)


def _require_writable(resource_type: str, request: Request) -> None:
    """Raise MethodNotAllowedError for a change of an AuditEvent, because these are rows of the audit log."""
    if resource_type == "AuditEvent" and request.method not in ("GET", "HEAD"):
        raise MethodNotAllowedError("only the audit log writes AuditEvents. Search them instead.", ("GET", "HEAD"))


def _response(request: Request, answer: FhirResponse, media_type: str = "") -> Response:
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
    return Response(body, answer.status, headers, (media_type or JSON) if body else None)
