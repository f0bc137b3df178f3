"""Pages of account recovery: a new password with an own second factor, and recovery of an account whose factors are lost."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, Response

from galenic.errors import GalenicError
from galenic.security import mark_read
from galenic.server.authentication import address_of
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console
from galenic.server.console.sign_in import PasskeyResponse

Text = Annotated[str, Form(max_length=400)]


class PasskeyReset(PasskeyResponse):
    """A browser's response to a request for a passkey, with the new password."""

    password: str


class RecoveryPages:
    """The pages of account recovery, for its owner."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.people = console.installation.people
        self.recovery = console.installation.recovery

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/reset/{secret}", self.show_reset),
                ("POST", "/reset/{secret}", self.reset),
                ("POST", "/reset/{secret}/passkey/begin", self.begin_passkey),
                ("POST", "/reset/{secret}/passkey", self.finish_passkey),
                ("GET", "/recover/{secret}", self.show_recovery),
                ("POST", "/recover/{secret}", self.recover),
                ("POST", "/account/notices", self.mark_notice_read),
            ]
        )

    def show_reset(self, request: Request, secret: str) -> Response:
        """The form of a new password, which takes a second factor of the account."""
        return self.console.render(request, "reset.html", secret=secret)

    def reset(self, request: Request, secret: str, password: Text, code: Text) -> Response:
        """Sets the new password with a time code or recovery code, and signs in."""
        self.console.require_same_site(request)
        try:
            device = self.console.known_device(request, self.recovery.account_of(secret))
            name = self.recovery.set_password(secret, password, code, address_of(request), device)
        except GalenicError as error:
            return self.console.render_error(request, "reset.html", error, secret=secret)
        return self._sign_in(request, redirect_to("/"), name, "new password and code")

    def begin_passkey(self, request: Request, secret: str) -> Response:
        """The challenge for a reset with a passkey of the account."""
        self.console.require_same_site(request)
        name = self.recovery.account_of(secret)
        options = self.people.credentials.ask_passkey(f"reset/{name}", self.console.relying_party, name)
        return Response(options, media_type="application/json")

    def finish_passkey(self, request: Request, secret: str, answer: PasskeyReset) -> Response:
        """Sets the new password with a passkey of the account, and signs in."""
        self.console.require_same_site(request)
        purpose = f"reset/{self.recovery.account_of(secret)}"
        credentials = self.people.credentials
        name = credentials.passkey_of(purpose, answer.credential, self.console.relying_party, self.console.base)
        self.recovery.set_password_of_passkey(secret, answer.password, name)
        return self._sign_in(request, JSONResponse({"next": "/"}), name, "new password and passkey")

    def _sign_in(self, request: Request, response: Response, name: str, how: str) -> Response:
        session = self.people.begin(name, how, request.headers.get("user-agent", ""))
        return self.console.remember_device(self.console.with_session(response, session), name)

    def show_recovery(self, request: Request, secret: str) -> Response:
        """The form of an account whose second factors are lost."""
        return self.console.render(request, "recover.html", secret=secret)

    def recover(self, request: Request, secret: str, code: Text, password: Text) -> Response:
        """Sets a new password and ends the earlier factors; the owner signs in and registers a new authenticator."""
        self.console.require_same_site(request)
        try:
            self.recovery.recover(secret, code, password)
        except GalenicError as error:
            return self.console.render_error(request, "recover.html", error, secret=secret)
        message = Message("The account is recovered. Sign in with the new password; then register a new authenticator.")
        return self.console.render(request, "sign_in.html", message=message, next="/", form={}, providers=[])

    def mark_notice_read(self, request: Request, csrf: Text, key: Text) -> Response:
        """Marks a notice as read."""
        user = self.console.require_form(request, csrf)
        mark_read(self.console.installation.facts, user.account.name, key)
        return redirect_to("/account")
