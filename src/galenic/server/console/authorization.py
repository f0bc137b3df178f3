"""Authorization of applications by users (SMART App Launch, standalone; OAuth 2.0 authorization code with PKCE)."""

from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from galenic.errors import AccessDeniedError
from galenic.security import App
from galenic.server.console.paging import router_of
from galenic.server.console.session import Console
from galenic.server.scopes import describe_scopes, granted_scopes

Text = Annotated[str, Form(max_length=400)]
LongText = Annotated[str, Form(max_length=2_000)]
Parameters = dict[str, str]


class AuthorizationPages:
    """The page on which a user allows an application to read."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/authorize", self.show_request), ("POST", "/authorize", self.decide)])

    def _app(self, parameters: Parameters) -> App:
        """The application of a request. AccessDeniedError unless the redirect address is one of its own, because every further
        answer is sent there."""
        app = self.installation.apps.get(parameters.get("client_id", ""))
        if parameters.get("redirect_uri", "") not in app.redirects:
            raise AccessDeniedError("the application is not known by the address that it wants to be answered at.")
        return app

    def _error_code(self, app: App, parameters: Parameters) -> str:
        """The OAuth error of a request that nobody could allow; "" for others."""
        if parameters.get("response_type") != "code":
            return "unsupported_response_type"
        if parameters.get("aud", "").rstrip("/") != f"{self.console.base}/fhir":
            return "invalid_request"  # the application must mean this server (SMART App Launch 2.0, 2.0.9)
        has_challenge = parameters.get("code_challenge_method") == "S256" and "code_challenge" in parameters
        if not has_challenge or not parameters.get("state"):
            return "invalid_request"
        return "" if self._scope(app, parameters) else "invalid_scope"

    @staticmethod
    def _scope(app: App, parameters: Parameters) -> str:
        """The scope that the user can grant."""
        requested = parameters.get("scope", "")
        access = [s for s in ("offline_access", "online_access") if s in requested.split() and s in app.scope.split()]
        resources = granted_scopes(requested, app.scope, "user")
        return " ".join([resources, *access]) if resources else ""

    def _redirect(self, parameters: Parameters, **answer: str) -> Response:
        query = urlencode({**answer, "state": parameters.get("state", ""), "iss": self.console.base})  # iss: RFC 9207
        address = parameters["redirect_uri"]
        return RedirectResponse(f"{address}{'&' if '?' in address else '?'}{query}", 303)

    def show_request(self, request: Request) -> Response:
        """The scopes that an application requests, for the user to allow or deny."""
        parameters = dict(parse_qsl(request.url.query))
        app = self._app(parameters)
        user = self.console.require_user(request)
        error = self._error_code(app, parameters)
        if error:
            return self._redirect(parameters, error=error)
        redirect = urlsplit(parameters["redirect_uri"])
        return self.console.render(
            request,
            "authorize.html",
            user=user,
            app=app,
            words=describe_scopes(self._scope(app, parameters)),
            query=request.url.query,
            place=redirect.hostname,
            form_to=f"{redirect.scheme}://{redirect.netloc}",
        )

    def decide(self, request: Request, csrf: Text, query: LongText, verdict: Text) -> Response:
        """Sends the application a code if the user allowed the request."""
        user = self.console.require_form(request, csrf)
        parameters = dict(parse_qsl(query))
        app = self._app(parameters)
        error = self._error_code(app, parameters)
        if error or verdict != "allow":
            return self._redirect(parameters, error=error or "access_denied")
        scope, challenge = self._scope(app, parameters), parameters["code_challenge"]
        code = self.installation.apps.allow(user.account.name, app, parameters["redirect_uri"], scope, challenge)
        return self._redirect(parameters, code=code)
