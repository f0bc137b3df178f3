"""Pages of the user's own account: step-up, password, passkeys, sessions, authorized applications."""

from typing import Annotated

from fastapi import APIRouter, Form, Header, Request
from fastapi.responses import JSONResponse, Response

from galenic.errors import AccessDeniedError, GalenicError, OptionError
from galenic.security import Provider, display_name
from galenic.server.authentication import address_of
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import SignedMessage, local_path, read_message, redirect_to, with_message
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser
from galenic.server.console.sign_in import PasskeyResponse

Text = Annotated[str, Form(max_length=400)]
Csrf = Annotated[str, Header(alias="x-csrf")]


class AccountPages:
    """The pages of the user's own account."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.people = console.installation.people
        self.credentials = console.installation.people.credentials

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/confirm", self.show_step_up),
                ("POST", "/confirm", self.step_up),
                ("POST", "/confirm/passkey/begin", self.begin_passkey_step_up),
                ("POST", "/confirm/passkey", self.finish_passkey_step_up),
                ("GET", "/account", self.show_account),
                ("POST", "/account/sessions", self.end_other_sessions),
                ("POST", "/account/password", self.change_password),
                ("POST", "/account/apps", self.revoke_app),
                ("POST", "/account/codes", self.new_recovery_codes),
                ("POST", "/account/passkey/begin", self.begin_new_passkey),
                ("POST", "/account/passkey", self.finish_new_passkey),
            ]
        )

    # step-up

    def show_step_up(self, request: Request, next: str = "/") -> Response:
        """The form of a step-up."""
        user = self.console.require_user(request)
        return self.console.render(request, "confirm.html", user=user, next=local_path(next))

    def step_up(self, request: Request, csrf: Text, code: Text, next: Text = "/") -> Response:
        """Steps the session up by a time code."""
        user = self.console.require_form(request, csrf)
        name = user.account.name
        device = self.console.known_device(request, name)
        try:
            secret = self.people.confirm(user.session, code, address_of(request), device)
        except GalenicError as error:
            return self.console.render_error(request, "confirm.html", error, user=user, next=local_path(next))
        return self.console.with_session(redirect_to(next), secret)

    def begin_passkey_step_up(self, request: Request, csrf: Csrf = "") -> Response:
        """The challenge for a step-up with a passkey."""
        name = self.console.require_form(request, csrf).account.name
        options = self.credentials.ask_passkey(f"confirm/{name}", self.console.relying_party, name)
        return Response(options, media_type="application/json")

    def finish_passkey_step_up(self, request: Request, answer: PasskeyResponse, csrf: Csrf = "") -> Response:
        """Steps the session up by a passkey of the user."""
        user = self.console.require_form(request, csrf)
        name = user.account.name
        purpose, credential = f"confirm/{name}", answer.credential
        if self.credentials.passkey_of(purpose, credential, self.console.relying_party, self.console.base) != name:
            raise AccessDeniedError("this passkey is somebody else's.")
        response = JSONResponse({"next": local_path(answer.next)})
        return self.console.with_session(response, self.people.step_up(user.session, "passkey"))

    # the account

    def show_account(self, request: Request, message: SignedMessage = "") -> Response:
        """The user's account."""
        return self._render(request, self.console.require_user(request), read_message(message))

    def _render(self, request: Request, user: CurrentUser, message: Message | None) -> Response:
        name, installation = user.account.name, self.console.installation
        linked, providers, origins = self._links(name)
        return self.console.render(
            request,
            "account.html",
            message=message,
            user=user,
            how=user.fact.get("how", ""),
            passkeys=self.credentials.passkeys(name),
            sessions=self._sessions(user),
            apps=installation.apps.allowed_by(name),
            links=linked,
            providers=providers,
            form_to=" ".join(origins),
            has_password="password" in self.credentials.kinds(name),
        )

    def _sessions(self, user: CurrentUser) -> list[tuple[str, str, bool]]:
        """(how it was started, when, whether it is this one) of each valid session of the user."""
        facts = self.console.installation.facts
        now = facts.now()
        valid = [f for f in facts.of("session", who=user.account.name) if f.stands("open", now)]
        return [(str(f.get("how")), str(f.get("began", "")), f.key == user.session.id) for f in valid]

    def _links(self, name: str) -> tuple[list[str], list[Provider], list[str]]:
        """(providers that the account is linked to, other providers, addresses that lead to those)."""
        facts = self.console.installation.facts
        credentials = facts.of("credential", who=name, label="openid")
        linked = [f.key.rpartition("/")[2] for f in credentials if f.state == "active"]
        others = [p for p in self.console.installation.openid.all() if p.name not in linked]
        names = {p.name for p in others}
        origins = [o for f in facts.of("destination") if f.key in names for o in f.get("origins")]
        return linked, others, list(dict.fromkeys(origins))

    def end_other_sessions(self, request: Request, csrf: Text) -> Response:
        """Ends all sessions of the user but this one."""
        user = self.console.require_form(request, csrf)
        count = self.people.end_sessions(user.account.name, but=user.session.id)
        return redirect_to("/account", f"{count} other sessions are ended.")

    def change_password(self, request: Request, csrf: Text, old: Text, new: Text) -> Response:
        """Changes the password; the current one is needed."""
        user = self.console.require_form(request, csrf)
        device = self.console.known_device(request, user.account.name)
        try:
            self.people.change_password(user.session, old, new, address_of(request), device)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/account", "The password is changed, and your other sessions are ended.")

    def revoke_app(self, request: Request, csrf: Text, app: Text) -> Response:
        """Revokes what an application was allowed."""
        user = self.console.require_form(request, csrf)
        self.console.installation.apps.revoke(user.account.name, app)
        return redirect_to("/account", f"{app} reads as you no more.")

    def new_recovery_codes(self, request: Request, csrf: Text) -> Response:
        """Replaces the recovery codes."""
        user = self.console.require_form(request, csrf)
        self.console.require_step_up(user, "/account")
        codes = self.credentials.new_recovery_codes(user.account.name)
        return self.console.render(request, "codes.html", user=user, codes=codes, next="/account")

    def begin_new_passkey(self, request: Request, csrf: Csrf = "") -> Response:
        """The options for a new passkey."""
        user = self.console.require_form(request, csrf)
        self.console.require_recent_sign_in(user, "/account")
        options = self.credentials.begin_passkey(user.account.name, user.account.shown, self.console.relying_party)
        return Response(options, media_type="application/json")

    def finish_new_passkey(self, request: Request, answer: PasskeyResponse, csrf: Csrf = "") -> Response:
        """Stores a new passkey."""
        user = self.console.require_form(request, csrf)
        self.console.require_recent_sign_in(user, "/account")
        if len(answer.name) > 64:
            raise OptionError("the name of a device has at most 64 characters.")
        device = display_name(answer.name)
        self.credentials.finish_passkey(
            user.account.name, device, answer.credential, self.console.relying_party, self.console.base
        )
        return JSONResponse({"next": with_message("/account", "The passkey is kept.")})
