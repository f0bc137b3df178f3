"""The console as one application: its pages, its static files, and readable errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from galenic import store
from galenic.errors import AccessDeniedError, GalenicError, InternalError, NotFoundError
from galenic.server.authentication import BodyTooLargeError, NotSignedInError
from galenic.server.console.account import AccountPages
from galenic.server.console.audit import AuditPages
from galenic.server.console.authorization import AuthorizationPages
from galenic.server.console.budget import BudgetPages
from galenic.server.console.care import CarePages
from galenic.server.console.clients import ClientPages
from galenic.server.console.consent import ConsentPages
from galenic.server.console.dashboard import Dashboard
from galenic.server.console.datasets import DatasetPages
from galenic.server.console.emergencies import EmergencyPages
from galenic.server.console.erasures import ErasurePages
from galenic.server.console.external_login import ExternalLogin
from galenic.server.console.help import HelpPages
from galenic.server.console.jobs import JobPages
from galenic.server.console.keys import KeyPages
from galenic.server.console.patients import PatientPages
from galenic.server.console.policy import PolicyPages
from galenic.server.console.recovery import RecoveryPages
from galenic.server.console.redirects import redirect_to
from galenic.server.console.releases import ReleasePages
from galenic.server.console.session import Console, StepUpRequiredError
from galenic.server.console.sign_in import SignIn
from galenic.server.console.sign_off import SignOffForms
from galenic.server.console.staff_systems import StaffSystemPages
from galenic.server.console.synthesis import SynthesisPages
from galenic.server.console.users import UserPages


class Pages(Protocol):
    """A group of pages."""

    def routes(self) -> APIRouter:
        """Every address."""


PAGES: tuple[Callable[[Console], Pages], ...] = (
    SignIn,
    RecoveryPages,
    AccountPages,
    ExternalLogin,
    AuthorizationPages,
    Dashboard,
    ReleasePages,
    SignOffForms,
    BudgetPages,
    ConsentPages,
    ErasurePages,
    AuditPages,
    PatientPages,
    EmergencyPages,
    CarePages,
    StaffSystemPages,
    DatasetPages,
    SynthesisPages,
    JobPages,
    KeyPages,
    UserPages,
    ClientPages,
    PolicyPages,
    HelpPages,
)
"""All groups of pages."""

LOOPBACK = ("127.0.0.1", "::1")
HEADINGS = {
    400: "The request failed",
    403: "Access denied",
    404: "Not found",
    413: "Too large",
    422: "Form not complete",
    500: "Server error",
}
STATUS: tuple[tuple[type[GalenicError], int], ...] = (
    (NotSignedInError, 401),
    (AccessDeniedError, 403),
    (NotFoundError, 404),
    (BodyTooLargeError, 413),
)
"""HTTP status of an error; 400 for every other."""


class NumericAddressError(GalenicError):
    """A page was opened at a numeric address of this machine. place: the same page at the server's own address."""

    def __init__(self, place: str) -> None:
        super().__init__(f"open this page at {place}")
        self.place = place


def console_app(console: Console, app: FastAPI) -> None:
    """Adds the console to the application."""

    def require_named_host(request: Request) -> None:
        """Leads from https://127.0.0.1 to the server's own address: browsers allow passkeys only at names."""
        here = urlsplit(f"//{request.headers.get('host', '')}").hostname
        named = urlsplit(console.base).hostname == "localhost"
        if request.method == "GET" and named and here in LOOPBACK:
            raise NumericAddressError(f"{console.base}{request.url.path}{f'?{request.url.query}' if request.url.query else ''}")

    for pages in PAGES:
        app.include_router(pages(console).routes(), dependencies=[Depends(require_named_host)])
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")

    async def handle(request: Request, error: Exception) -> Response:
        return error_response(console, request, error)

    for kind in (GalenicError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)


def error_response(console: Console, request: Request, error: Exception) -> Response:
    """The response to an error: a redirect to sign-in or step-up, JSON for our scripts, or a page."""
    if isinstance(error, NumericAddressError):
        return RedirectResponse(error.place, 307)
    if isinstance(error, NotSignedInError) and not _is_script(request):
        there = f"{request.url.path}?{request.url.query}" if request.url.query and request.method == "GET" else request.url.path
        return redirect_to(f"/sign-in?{urlencode({'next': there})}")
    if isinstance(error, StepUpRequiredError):
        return redirect_to(f"/confirm?{urlencode({'next': error.place})}")
    status, text = status_and_text(error, str(request.scope.get("galenic.request", "")))
    if _is_script(request):
        return JSONResponse({"detail": text}, status)
    user = console.current_user(request)
    heading = HEADINGS.get(status, "The request failed")
    return console.render(request, "error.html", status=status, user=user, heading=heading, text=text)


def status_and_text(error: Exception, request_id: str) -> tuple[int, str]:
    """(HTTP status, message). Of an internal error the message says only its id in the log."""
    if isinstance(error, HTTPException):
        text = (
            "This page does not exist. Check the address, or start from Home."
            if error.status_code == 404
            else "This address does not accept the request. Start from Home."
        )
        return error.status_code, text
    if isinstance(error, RequestValidationError):
        names = ", ".join(sorted({str(e["loc"][-1]) for e in error.errors()}))
        return 422, f"The form is not complete, or a value is not valid: {names}. Go back and correct it."
    if isinstance(error, GalenicError) and not isinstance(error, InternalError):
        return next((status for kind, status in STATUS if isinstance(error, kind)), 400), str(error)
    store.telemetry.log("error", "a page failed", error=type(error).__name__, request=request_id)
    return (
        500,
        f"The server could not answer. Try again. If it fails again, tell your administrator this number of the log: {request_id}",
    )


def _is_script(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")
