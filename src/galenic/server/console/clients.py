"""Pages of systems that call the server, and of applications that users may authorize."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.custody import EVERYTHING, add_client, issue_token
from galenic.errors import GalenicError
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]


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
                ("POST", "/clients", self.add),
                ("POST", "/clients/apps", self.remove_app),
                ("POST", "/clients/token", self.issue),
            ]
        )

    def list_clients(self, request: Request, message: SignedMessage = "", find: str = "", page: int = 1) -> Response:
        """Systems that may call, applications, and identity providers."""
        user = self.console.require_user(request, "security-officer")
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
        grants = self.installation.facts.of("grant")
        matching = (f for f in grants if f.get("client") == "yes" and f.state == "given" and find in f.who)
        clients, more = page_of(matching, page)
        return self.console.render(
            request,
            "clients.html",
            message=message,
            user=user,
            clients=clients,
            find=find,
            page=page,
            more=more,
            apps=self.installation.apps.all(),
            providers=self.installation.openid.all(),
            token=token,
            everything=EVERYTHING,
        )

    def _administrator(self, request: Request, csrf: str) -> CurrentUser:
        user = self.console.require_form(request, csrf, "security-officer")
        self.console.require_step_up(user, "/clients")
        return user

    def add(self, request: Request, csrf: Text, name: Text) -> Response:
        """Adds a system that may call."""
        user = self._administrator(request, csrf)
        try:
            add_client(self.installation, name.strip())
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/clients")

    def remove_app(self, request: Request, csrf: Text, name: Text) -> Response:
        """Removes an application; its tokens are no longer valid."""
        user = self._administrator(request, csrf)
        self.installation.apps.remove(name, by=user.account.name)
        return redirect_to("/clients", f"{name} is removed; what it was given counts no more.")

    def issue(
        self, request: Request, csrf: Text, name: Text, hours: Annotated[int, Form(ge=1, le=24 * 90)], scope: Text
    ) -> Response:
        """Issues an access token, which is shown once."""
        user = self._administrator(request, csrf)
        token = issue_token(self.installation, name, seconds=hours * 3600, scope=scope, how=f"issued by {user.account.name}")
        return self._render(request, user, Message("This token is shown once."), token=token)
