"""Pages of systems that call the server, and of applications that users may authorize."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from galenic.custody import fhir
from galenic.errors import GalenicError, OptionError
from galenic.security import EVERYTHING, SystemAccess
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
Hours = Annotated[int, Form(ge=1, le=24 * 366)]
DECIDERS = ("security-officer", "privacy-officer")


class SystemForm(BaseModel):
    """The form of a system. hours: the longest life of a token."""

    csrf: str = Field(max_length=400)
    name: str = Field(max_length=400)
    scope: str = Field(max_length=400)
    purposes: str = Field(max_length=400)
    hours: int = Field(ge=1, le=24 * 366)
    jwks: str = Field("", max_length=20_000)

    def access(self) -> SystemAccess:
        """Access that the system is to have."""
        return SystemAccess(self.scope, tuple(self.purposes.split()), self.hours * 3600, self.jwks.strip())


class ClientPages:
    """The pages of systems and applications."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/clients", self.list_clients),
                ("POST", "/clients", self.propose),
                ("POST", "/clients/decide", self.decide),
                ("POST", "/clients/remove", self.remove),
                ("POST", "/clients/apps", self.remove_app),
                ("POST", "/clients/token", self.issue),
            ]
        )

    def list_clients(self, request: Request, message: SignedMessage = "", find: str = "", page: int = 1) -> Response:
        """Systems that may call, changes that wait for a second person, applications, and identity providers."""
        user = self.console.require_user(request, *DECIDERS)
        return self._render(request, user, read_message(message), (find, page))

    def _render(
        self,
        request: Request,
        user: CurrentUser,
        message: Message | None,
        listing: tuple[str, int] = ("", 1),
        token: str = "",
    ) -> Response:
        """listing: (text that names must contain, number of the page); token: a new access token, shown once."""
        find, page = listing
        systems, more = page_of((s for s in self.installation.systems.all() if find in s.name), page)
        return self.console.render(
            request,
            "clients.html",
            message=message,
            user=user,
            systems=systems,
            proposals=self.installation.systems.proposals(),
            find=find,
            page=page,
            more=more,
            apps=self.installation.apps.all(),
            providers=self.installation.openid.all(),
            token=token,
            everything=EVERYTHING,
        )

    def _administrator(self, request: Request, csrf: str, *roles: str) -> CurrentUser:
        user = self.console.require_form(request, csrf, *(roles or ("security-officer",)))
        self.console.require_step_up(user, "/clients")
        return user

    def propose(self, request: Request, form: Annotated[SystemForm, Form()]) -> Response:
        """Proposes to add a system that may call, or to change one."""
        user = self._administrator(request, form.csrf)
        try:
            fhir.require_known_types(form.scope)
            self.installation.systems.propose(user.session, form.name.strip(), form.access())
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/clients", "Proposed. A second person decides.")

    def decide(self, request: Request, csrf: Text, key: Text, verb: Text) -> Response:
        """Decides on a proposed change, as the second person."""
        user = self._administrator(request, csrf, *DECIDERS)
        systems, approved = self.installation.systems, verb == "approve"
        try:
            (systems.approve if approved else systems.reject)(user.session, key)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/clients", "Approved." if approved else "Rejected.")

    def remove(self, request: Request, csrf: Text, name: Text) -> Response:
        """Removes a system; its tokens are no longer valid."""
        user = self._administrator(request, csrf)
        try:
            self.installation.systems.remove(user.session, name)
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/clients", f"{name} is removed, and its tokens are ended.")

    def remove_app(self, request: Request, csrf: Text, name: Text) -> Response:
        """Removes an application; its tokens are no longer valid."""
        user = self._administrator(request, csrf)
        self.installation.apps.remove(name, by=user.account.name)
        return redirect_to("/clients", f"{name} is removed; what it was given counts no more.")

    def issue(self, request: Request, csrf: Text, name: Text, hours: Hours, scope: Text, purposes: Text = "") -> Response:
        """Issues an access token of an approved system, which is shown once."""
        user = self._administrator(request, csrf)
        by, systems = user.account.name, self.installation.systems
        try:
            if not scope.strip():
                raise OptionError("a token needs scopes. Expected some like system/Observation.rs.")
            token = systems.issue_token(
                name, by=by, how=f"issued by {by}", seconds=hours * 3600, scope=scope, purposes=tuple(purposes.split())
            )
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return self._render(request, user, Message(f"This token of {name} is shown once."), token=token)
