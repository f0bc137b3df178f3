"""The application: every door, behind the same headers, the same errors and the same log."""

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
from galenic.errors import GalenicError, InternalError
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
from galenic.server.openapi import openapi
from galenic.version import __version__

SAID: dict[type[GalenicError], int] = {
    UnsupportedMediaTypeError: 415,
    NotAcceptableError: 406,
    MethodNotAllowedError: 405,
    TooManyExportsError: 429,
    RateLimitError: 429,
}
LARGEST_FORM, LARGEST_TABLE = 2**20, 2**28  # bytes of a form, of a table that is brought in
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
    """What every request passes: a number of its own, safe headers, the log; and an answer without detail where we fail."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number, started, status = secrets.token_hex(8), time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                extra = [h for h in HEADERS if h[0] not in own]
                message["headers"] = [*message["headers"], *extra, (b"x-request-id", number.encode())]
            await send(message)

        scope["galenic.request"] = number
        await self.app(scope, receive, sending)
        store.telemetry.REQUESTS.labels(scope["method"], str(status // 100)).observe(time.perf_counter() - started)


async def _fails(request: Request, error: Exception) -> Response:
    """An error that somebody foresaw."""
    assert isinstance(error, GalenicError)
    number = str(request.scope.get("galenic.request", ""))
    answer = refusal(error, number)
    answer.status_code = next((s for kind, s in SAID.items() if isinstance(error, kind)), answer.status_code)
    if answer.status_code == 429:
        answer.headers["Retry-After"] = "10"
    return answer


async def _broke(request: Request, error: Exception) -> Response:
    """An error that nobody foresaw: its kind and the request's number go to the log, and nothing of it to the client."""
    number = str(request.scope.get("galenic.request", ""))
    store.telemetry.log("error", "a request failed", error=type(error).__name__, request=number)
    return refusal(InternalError("an error that nobody foresaw"), number)


def make_app(repository: FhirRepository, base: str, console: Console | None = None) -> ASGIApp:
    """The application for one installation. base: its address, as clients write it."""
    app = FastAPI(title="Galenic", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    console_app(console or Console(repository.installation, repository, base), app)
    described = Route("/openapi.json", lambda _request: Response(openapi(base), media_type="application/json"))
    app.router.routes.insert(0, described)
    served = ServedRepository(repository, base)
    endpoints = [endpoint(served) for endpoint in ENDPOINTS.values()]
    metadata = metadata_route(f"{base}/fhir", lambda: tuple(e.capability() for e in endpoints))
    doors = Dispatcher(app, [metadata, *(route for e in endpoints for route in e.routes())])
    return RequestMiddleware(ServerErrorMiddleware(doors, handler=_broke))


class BodyLimit:
    """A body up to so many bytes; what comes after them is not read."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive, self.left = receive, most

    async def __call__(self) -> Message:
        """ASGI's receive."""
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            raise BodyTooLargeError("more was sent than this page takes.")
        return message


class Dispatcher:
    """FHIR past the framework, which costs as much as the work itself; everything else through it."""

    def __init__(self, app: ASGIApp, routes: list[Route]) -> None:
        self.app, self.fhir = app, Router(routes=routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not (scope["path"] + "/").startswith(("/fhir/", "/auth/")):
            await self._page(scope, receive, send)
            return
        try:
            await self.fhir(scope, receive, send)
        except GalenicError as error:
            await (await _fails(Request(scope), error))(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = LARGEST_TABLE if scope["path"] == "/data/bring" else LARGEST_FORM
        said = next((v for n, v in scope["headers"] if n == b"content-length"), b"0")
        if not said.isdigit() or int(said) > most:
            await PlainTextResponse("More was sent than this page takes.", 413)(scope, receive, send)
            return
        await self.app(scope, BodyLimit(receive, most), send)
