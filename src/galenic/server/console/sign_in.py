"""Pages of sign-in: set-up of the first account, password, second factor, passkey, invitations."""

import hmac
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import segno
from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, Response
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from galenic.errors import AccessDeniedError, GalenicError
from galenic.server.authentication import address_of
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import local_path, redirect_to
from galenic.server.console.session import Console

Text = Annotated[str, Form(max_length=400)]
PENDING_COOKIE = "galenic-half"  # of a sign-in that waits for its second factor


class PasskeyResponse(BaseModel):
    """A browser's response to a request for a passkey."""

    model_config = ConfigDict(extra="forbid")
    credential: dict[str, Any]
    next: str = "/"
    name: str = "passkey"


class SignIn:
    """The pages of sign-in."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.people = console.installation.people
        self.credentials = console.installation.people.credentials

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/set-up", self.show_set_up),
                ("POST", "/set-up", self.set_up),
                ("GET", "/sign-in", self.show_sign_in),
                ("POST", "/sign-in", self.sign_in),
                ("GET", "/sign-in/second", self.show_second_factor),
                ("POST", "/sign-in/second", self.check_second_factor),
                ("POST", "/sign-in/passkey/begin", self.begin_passkey),
                ("POST", "/sign-in/passkey", self.finish_passkey),
                ("POST", "/sign-out", self.sign_out),
                ("GET", "/invitation/{secret}", self.show_invitation),
                ("POST", "/invitation/{secret}", self.accept_invitation),
            ]
        )

    def show_set_up(self, request: Request) -> Response:
        """The form of the first account."""
        if self.people.any():
            return redirect_to("/sign-in")
        return self.console.render(request, "set_up.html", form={})

    def set_up(self, request: Request, code: Text, name: Text, shown: Text, human: Text, password: Text) -> Response:
        """Creates the first account, which administers the others."""
        self.console.require_same_site(request)
        try:
            if not hmac.compare_digest(code.strip().encode(), self.console.set_up_code.encode()):
                raise AccessDeniedError("this is not the set-up code. The server printed it when it started.")
            self.people.set_up(name.strip(), human, shown, password)
        except GalenicError as error:
            form = {"name": name, "shown": shown, "human": human}
            return self.console.render_error(request, "set_up.html", error, form=form)
        return self._check_password(request, name.strip(), password, "/people")

    def show_sign_in(self, request: Request, next: str = "/") -> Response:
        """The form of name and password."""
        if not self.people.any():
            return redirect_to("/set-up")
        providers = self.console.installation.openid.all()
        return self.console.render(request, "sign_in.html", next=local_path(next), form={}, providers=providers)

    def sign_in(self, request: Request, name: Text, password: Text, next: Text = "/") -> Response:
        """Checks name and password; the second factor follows."""
        self.console.require_same_site(request)
        try:
            return self._check_password(request, name.strip(), password, next)
        except GalenicError as error:
            providers = self.console.installation.openid.all()
            return self.console.render_error(
                request, "sign_in.html", error, next=local_path(next), form={"name": name}, providers=providers
            )

    def _check_password(self, request: Request, name: str, password: str, place: str) -> Response:
        secret = self.people.try_password(name, password, address_of(request), self.console.known_device(request, name))
        response = redirect_to(f"/sign-in/second?{urlencode({'next': local_path(place)})}")
        response.set_cookie(
            PENDING_COOKIE, secret, max_age=600, httponly=True, secure=self.console.secure, samesite="lax", path="/sign-in"
        )
        return response

    def _pending(self, request: Request) -> tuple[str, str]:
        """(secret, account) of a sign-in that waits for its second factor. AccessDeniedError if there is none."""
        secret = request.cookies.get(PENDING_COOKIE, "")
        name = self.people.half(secret)
        if name is None:
            raise AccessDeniedError("the sign-in took too long. Start again.")
        return secret, name

    def _enrollment(self, name: str) -> dict[str, Any]:
        """The values of the page on which an account gets its authenticator."""
        address = self.credentials.begin_totp(name)
        picture = segno.make(address, error="m").svg_inline(scale=4, dark="#000", light="#fff")
        return {"enrol": True, "qr": Markup(picture), "secret": parse_qs(urlsplit(address).query)["secret"][0]}  # nosec B704  # noqa: S704  # ours

    def show_second_factor(self, request: Request, next: str = "/") -> Response:
        """The form of the second factor, or its enrollment if the account has none."""
        try:
            _secret, name = self._pending(request)
        except AccessDeniedError:
            return redirect_to("/sign-in")
        values = self._enrollment(name) if self.people.may_enroll(name) else {"enrol": False}
        return self.console.render(request, "second.html", next=local_path(next), **values)

    def check_second_factor(self, request: Request, code: Text, next: Text = "/") -> Response:
        """Checks the second factor and starts the session."""
        self.console.require_same_site(request)
        secret, name = self._pending(request)
        agent = request.headers.get("user-agent", "")
        if self.people.may_enroll(name):
            return self._enroll(request, (secret, name), code, next)
        device = self.console.known_device(request, name)
        try:
            session = self.people.try_code(secret, code, address_of(request), device, agent)
        except GalenicError as error:
            return self.console.render_error(request, "second.html", error, next=local_path(next), enrol=False)
        return self._start_session(redirect_to(next), session, name)

    def _enroll(self, request: Request, pending: tuple[str, str], code: str, place: str) -> Response:
        """Confirms a new authenticator by its first code, starts the session and shows the recovery codes."""
        secret, name = pending
        try:
            self.credentials.confirm_totp(name, code)
        except GalenicError as error:
            values = self._enrollment(name)
            return self.console.render_error(request, "second.html", error, next=local_path(place), **values)
        codes = self.credentials.new_recovery_codes(name)
        session = self.people.finish_half(secret, "password and time code", request.headers.get("user-agent", ""))
        response = self.console.render(request, "codes.html", codes=codes, next=local_path(place))
        return self._start_session(response, session, name)

    def _start_session(self, response: Response, session: str, name: str) -> Response:
        self.console.delete_cookie(response, PENDING_COOKIE, "/sign-in")
        return self.console.remember_device(self.console.with_session(response, session), name)

    def begin_passkey(self, request: Request) -> Response:
        """The challenge for a sign-in with a passkey."""
        self.console.require_same_site(request)
        options = self.credentials.ask_passkey("sign-in", self.console.relying_party)
        return Response(options, media_type="application/json")

    def finish_passkey(self, request: Request, answer: PasskeyResponse) -> Response:
        """Starts a session by a passkey."""
        self.console.require_same_site(request)
        name = self.credentials.passkey_of("sign-in", answer.credential, self.console.relying_party, self.console.base)
        session = self.people.begin(name, "passkey", request.headers.get("user-agent", ""))
        response = JSONResponse({"next": local_path(answer.next)})
        return self.console.remember_device(self.console.with_session(response, session), name)

    def sign_out(self, request: Request, csrf: Text) -> Response:
        """Ends the session."""
        user = self.console.require_form(request, csrf)
        self.console.installation.gate.end(user.session)
        response = self.console.delete_cookie(redirect_to("/sign-in"), self.console.session_cookie)
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def show_invitation(self, request: Request, secret: str) -> Response:
        """The form of an invited user: a password, or a link to an identity provider."""
        providers = self.console.installation.openid.all()
        return self.console.render(request, "accept.html", secret=secret, providers=providers)

    def accept_invitation(self, request: Request, secret: str, password: Text) -> Response:
        """Sets the invited user's password."""
        self.console.require_same_site(request)
        try:
            account = self.console.installation.invitations.accept(secret, password)
        except GalenicError as error:
            providers = self.console.installation.openid.all()
            return self.console.render_error(request, "accept.html", error, secret=secret, providers=providers)
        return self._check_password(request, account.name, password, "/")
