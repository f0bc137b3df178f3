"""The web application: all endpoints and pages behind the same headers, error responses, limits and log."""

import secrets
import time

from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galenic import store
from galenic.custody.fhir import FhirRepository
from galenic.errors import GalenicError, InternalError, TooCostlyError
from galenic.jobs import TooManyExportsError
from galenic.server.authentication import BodyTooLargeError, NotAcceptableError
from galenic.server.capability import metadata_route
from galenic.server.console import Console, console_app
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
from galenic.version import __version__

STATUS: dict[type[GalenicError], int] = {
    UnsupportedMediaTypeError: 415,
    NotAcceptableError: 406,
    MethodNotAllowedError: 405,
    TooManyExportsError: 429,
    RateLimitError: 429,
    TooManyWaitingError: 429,
    TooCostlyError: 503,
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
    """Gives each request an id, adds security headers to its response, and measures its duration."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
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
            await send(message)

        scope["galenic.request"] = request_id
        await self.app(scope, receive, send_with_headers)
        store.telemetry.REQUESTS.labels(scope["method"], str(status // 100)).observe(time.perf_counter() - started)


async def _expected_error(request: Request, error: Exception) -> Response:
    """The response to one of our own errors."""
    assert isinstance(error, GalenicError)
    response = refusal(error, str(request.scope.get("galenic.request", "")))
    response.status_code = next((s for kind, s in STATUS.items() if isinstance(error, kind)), response.status_code)
    if response.status_code in RETRY_AFTER:
        response.headers["Retry-After"] = RETRY_AFTER[response.status_code]
    return response


async def _unexpected_error(request: Request, error: Exception) -> Response:
    """The response to a bug: its type and the request's id are logged, and the client learns nothing about it."""
    request_id = str(request.scope.get("galenic.request", ""))
    store.telemetry.log("error", "a request failed", error=type(error).__name__, request=request_id)
    return refusal(InternalError("an unexpected error"), request_id)


def make_app(repository: FhirRepository, base: str, console: Console | None = None) -> ASGIApp:
    """The application for one installation. base: its address, as clients write it."""
    app = FastAPI(title="Galenic", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    console_app(console or Console(repository.installation, repository, base), app)
    description = Route("/openapi.json", lambda _request: Response(openapi(base), media_type="application/json"))
    app.router.routes.insert(0, description)
    served = ServedRepository(repository, base)
    endpoints = [endpoint(served) for endpoint in ENDPOINTS.values()]
    metadata = metadata_route(f"{base}/fhir", lambda: tuple(e.capability() for e in endpoints))
    dispatcher = Dispatcher(app, [metadata, *(route for e in endpoints for route in e.routes())])
    return RequestMiddleware(ServerErrorMiddleware(dispatcher, handler=_unexpected_error))


class BodyLimit:
    """An ASGI receive function that reads a body up to a number of bytes."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.receive, self.left = receive, limit

    async def __call__(self) -> Message:
        """The next part of the body. BodyTooLargeError beyond the limit."""
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            raise BodyTooLargeError("more was sent than this page takes.")
        return message


class Dispatcher:
    """Sends requests to endpoints past FastAPI, which costs as much time as the work itself, and all others through it."""

    def __init__(self, app: ASGIApp, routes: list[Route]) -> None:
        self.app, self.endpoints = app, Router(routes=routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not (scope["path"] + "/").startswith(("/fhir/", "/auth/")):
            await self._page(scope, receive, send)
            return
        try:
            await self.endpoints(scope, receive, send)
        except GalenicError as error:
            response = await _expected_error(Request(scope), error)
            await response(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = LARGEST_TABLE if scope["path"] == "/data/bring" else LARGEST_FORM
        length = next((v for n, v in scope["headers"] if n == b"content-length"), b"0")
        if not length.isdigit() or int(length) > limit:
            await PlainTextResponse("More was sent than this page takes.", 413)(scope, receive, send)
            return
        await self.app(scope, BodyLimit(receive, limit), send)
