"""Web application: all endpoints and pages share security headers, error responses, limits and the log."""

import secrets
import time
from collections.abc import Callable
from functools import partial

from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galenic import store
from galenic.custody.fhir import FhirRepository
from galenic.errors import GalenicError, InternalError, TooCostlyError
from galenic.jobs import TooManyExportsError
from galenic.server.authentication import LARGEST_BODY, NotAcceptableError, authenticate
from galenic.server.capability import metadata_route
from galenic.server.console import IMPORTERS, Console, console_app
from galenic.server.endpoints import (
    ENDPOINTS,
    MethodNotAllowedError,
    RateLimitError,
    ServedRepository,
    UnsupportedMediaTypeError,
    refusal,
)
from galenic.server.fair_pool import TooManyWaitingError
from galenic.server.openapi import openapi
from galenic.server.proxies import TrustedProxies
from galenic.server.request_bodies import BodyAllowance, ServerBusyError, SlowBodyError
from galenic.server.request_limits import STRANGER, UPLOAD, RequestLimits, send_in_parts
from galenic.version import __version__

STATUS: dict[type[GalenicError], int] = {
    UnsupportedMediaTypeError: 415,
    NotAcceptableError: 406,
    MethodNotAllowedError: 405,
    TooManyExportsError: 429,
    RateLimitError: 429,
    TooManyWaitingError: 429,
    TooCostlyError: 503,
    ServerBusyError: 503,
    SlowBodyError: 408,
}
RETRY_AFTER = {429: "10", 503: "2"}  # seconds
LARGEST_FORM, LARGEST_TABLE = 2**20, 2**28  # bytes of a form, of an uploaded table
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class RequestMiddleware:
    """Gives each request an id and the client's address, adds security headers to its response, and measures its duration."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self.app, self.proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, started, status = secrets.token_hex(8), time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                extra = [h for h in HEADERS if h[0] not in present]
                message["headers"] = [*message["headers"], *extra, (b"x-request-id", request_id.encode())]
            await send_in_parts(message, send)

        scope["galenic.request"] = request_id
        if scope.get("client"):
            peer, port = scope["client"]
            scope["client"] = self.proxies.client(peer, scope["headers"]), port
        await self.app(scope, receive, send_with_headers)
        store.telemetry.REQUESTS.labels(scope["method"], str(status // 100)).observe(time.perf_counter() - started)


async def _expected_error(request: Request, error: Exception) -> Response:
    """The response to one of our own errors."""
    assert isinstance(error, GalenicError)
    response = refusal(error, str(request.scope.get("galenic.request", "")))
    response.status_code = next((s for kind, s in STATUS.items() if isinstance(error, kind)), response.status_code)
    if not (request.url.path + "/").startswith(("/fhir/", "/auth/")):
        response = PlainTextResponse(str(error), response.status_code)
    if response.status_code in RETRY_AFTER:
        response.headers["Retry-After"] = RETRY_AFTER[response.status_code]
    return response


async def _unexpected_error(request: Request, error: Exception) -> Response:
    """Response to an unexpected error. Its type and the request's id are logged; the client gets no details."""
    request_id = str(request.scope.get("galenic.request", ""))
    store.telemetry.log("error", "a request failed", error=type(error).__name__, request=request_id)
    return refusal(InternalError("unexpected error"), request_id)


def make_app(
    repository: FhirRepository, base: str, console: Console | None = None, proxies: TrustedProxies | None = None
) -> ASGIApp:
    """Application for one installation. base: public URL; proxies: trusted proxies, whose headers name the client."""
    app = FastAPI(title="Galenic", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    console = console or Console(repository.installation, repository, base)
    console_app(console, app)
    description = Route("/openapi.json", lambda _request: Response(openapi(base), media_type="application/json"))
    app.router.routes.insert(0, description)
    served = ServedRepository(repository, base)
    endpoints = [endpoint(served) for endpoint in ENDPOINTS.values()]
    metadata = metadata_route(f"{base}/fhir", lambda: tuple(e.capability() for e in endpoints))
    routes = [metadata, *(route for e in endpoints for route in e.routes())]
    dispatcher = Dispatcher(app, routes, partial(_allowance, console))
    return RequestMiddleware(ServerErrorMiddleware(dispatcher, handler=_unexpected_error), proxies or TrustedProxies())


class Dispatcher:
    """Sends requests for endpoints directly to them, bypassing FastAPI's overhead, and all others to FastAPI."""

    def __init__(self, app: ASGIApp, routes: list[Route], allowance: Callable[[Scope], BodyAllowance]) -> None:
        self.app, self.endpoints = app, Router(routes=routes, redirect_slashes=False)
        self.limited = RequestLimits(self._route, allowance)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.limited(scope, receive, send)
        except ClientDisconnect:  # the client disconnected while it sent the body: there is nobody to answer
            return
        except GalenicError as error:
            await (await _expected_error(Request(scope), error))(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_endpoint = (scope["path"] + "/").startswith(("/fhir/", "/auth/"))
        await (self.endpoints if is_endpoint else self.app)(scope, receive, send)


def _allowance(console: Console, scope: Scope) -> BodyAllowance:
    """Limits on the request body for the client of a request. NotSignedInError or AccessDeniedError if this client may not send
    a body."""
    request = Request(scope)
    if (scope["path"] + "/").startswith("/fhir/"):
        return BodyAllowance(authenticate(console.installation, request, console.base).session.who, LARGEST_BODY)
    if scope["path"] == UPLOAD:
        return BodyAllowance(console.require_user(request, *IMPORTERS).session.who, LARGEST_TABLE)
    user = console.current_user(request)
    return BodyAllowance(user.session.who, LARGEST_FORM) if user is not None else STRANGER
