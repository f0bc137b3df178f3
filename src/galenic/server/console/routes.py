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
from galenic.errors import AccessDeniedError, GalenicError, InternalError, NotFoundError
from galenic.server.authentication import BodyTooLargeError, NotSignedInError
from galenic.server.console.dashboard import Dashboard
from galenic.server.console.data import DataPages
from galenic.server.console.external_login import ExternalLogin
from galenic.server.console.policy import PolicyPages
from galenic.server.console.session import Console, StepUpRequired, redirect_to
from galenic.server.console.sign_in import SignIn
from galenic.server.console.users import UserPages

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
    for pages in (
        SignIn(console),
        ExternalLogin(console),
        Dashboard(console),
        DataPages(console),
        UserPages(console),
        PolicyPages(console),
    ):
        app.include_router(pages.routes())
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")

    async def foreseen(request: Request, error: Exception) -> Response:
        return refusal(console, request, error)

    for kind in (GalenicError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, foreseen)


def refusal(console: Console, request: Request, error: Exception) -> Response:
    """What a person, or a script of ours, is told."""
    if isinstance(error, NotSignedInError) and not _is_script(request):
        there = f"{request.url.path}?{request.url.query}" if request.url.query and request.method == "GET" else request.url.path
        return redirect_to(f"/sign-in?{urlencode({'next': there})}")
    if isinstance(error, StepUpRequired):
        return redirect_to(f"/confirm?{urlencode({'next': error.place})}")
    status, text = error_message(error, str(request.scope.get("galenic.request", "")))
    if _is_script(request):
        return JSONResponse({"detail": text}, status)
    signed = console.signed(request)
    return console.page(
        request, "error.html", status=status, signed=signed, heading=HEADINGS.get(status, "That did not work"), text=text
    )


def error_message(error: Exception, number: str) -> tuple[int, str]:
    """(status, words) of an error; of our own failures only that there was one, and its number in the log."""
    if isinstance(error, HTTPException):
        return error.status_code, {404: "There is no such page."}.get(
            error.status_code, "The request does not fit this address."
        )
    if isinstance(error, RequestValidationError):
        names = ", ".join(sorted({str(e["loc"][-1]) for e in error.errors()}))
        return 422, f"The form is not complete, or a value does not fit: {names}."
    if isinstance(error, GalenicError) and not isinstance(error, InternalError):
        kinds = ((NotSignedInError, 401), (AccessDeniedError, 403), (NotFoundError, 404), (BodyTooLargeError, 413))
        return next((s for k, s in kinds if isinstance(error, k)), 400), str(error)
    store.telemetry.log("error", "a page failed", error=type(error).__name__, request=number)
    return 500, f"The request failed here. It is noted as {number}."


def _is_script(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")
