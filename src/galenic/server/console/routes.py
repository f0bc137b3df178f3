"""The console as one application: its pages, its files, and errors that a person can read."""

from pathlib import Path
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from galenic import store
from galenic.errors import AccessDenied, GalenicError, NotHere, OurFailure
from galenic.server.console.data import Data
from galenic.server.console.elsewhere import Elsewhere
from galenic.server.console.rules import Rules
from galenic.server.console.sign_in import SignIn
from galenic.server.console.signed import Console, Unconfirmed, to
from galenic.server.console.staff import Staff
from galenic.server.console.work import Work
from galenic.server.door import NotSignedIn, TooLarge

HEADINGS = {
    400: "That did not work",
    403: "Not for you",
    404: "Not here",
    413: "Too large",
    422: "Not understood",
    500: "Our failure",
}


def console_app(console: Console, app: FastAPI) -> None:
    """Adds the console to the application."""
    for pages in (SignIn(console), Elsewhere(console), Work(console), Data(console), Staff(console), Rules(console)):
        app.include_router(pages.routes())
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")

    async def foreseen(request: Request, error: Exception) -> Response:
        return refusal(console, request, error)

    for kind in (GalenicError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, foreseen)


def refusal(console: Console, request: Request, error: Exception) -> Response:
    """What a person, or a script of ours, is told."""
    if isinstance(error, NotSignedIn) and not _is_script(request):
        there = f"{request.url.path}?{request.url.query}" if request.url.query and request.method == "GET" else request.url.path
        return to(f"/sign-in?{urlencode({'next': there})}")
    if isinstance(error, Unconfirmed):
        return to(f"/confirm?{urlencode({'next': error.place})}")
    status, text = told(error, str(request.scope.get("galenic.request", "")))
    if _is_script(request):
        return JSONResponse({"detail": text}, status)
    signed = console.signed(request)
    return console.page(
        request, "error.html", status=status, signed=signed, heading=HEADINGS.get(status, "That did not work"), text=text
    )


def told(error: Exception, number: str) -> tuple[int, str]:
    """(status, words) of an error; of our own failures only that there was one, and its number in the log."""
    if isinstance(error, HTTPException):
        return error.status_code, {404: "There is no such page."}.get(
            error.status_code, "The request does not fit this address."
        )
    if isinstance(error, RequestValidationError):
        names = ", ".join(sorted({str(e["loc"][-1]) for e in error.errors()}))
        return 422, f"The form is not complete, or a value does not fit: {names}."
    if isinstance(error, GalenicError) and not isinstance(error, OurFailure):
        kinds = ((NotSignedIn, 401), (AccessDenied, 403), (NotHere, 404), (TooLarge, 413))
        return next((s for k, s in kinds if isinstance(error, k)), 400), str(error)
    store.telemetry.log("error", "a page failed", error=type(error).__name__, request=number)
    return 500, f"The request failed here. It is noted as {number}."


def _is_script(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")
