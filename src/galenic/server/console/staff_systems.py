"""Page of the identifier systems of staff, by which care relations follow from FHIR records."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.errors import GalenicError, OptionError
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
OFFICERS = ("privacy-officer", "security-officer")


class StaffSystemPages:
    """The page of identifier systems."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.systems = console.installation.staff_systems

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/care/fhir", self.show), ("POST", "/care/fhir", self.change)])

    def show(self, request: Request, message: SignedMessage = "") -> Response:
        """Identifier systems in use and proposed, and the rule of the mapping."""
        user = self.console.require_user(request, *OFFICERS, "integration-engineer")
        return self._render(request, user, read_message(message))

    def _render(self, request: Request, user: CurrentUser, message: Message | None, uri: str = "") -> Response:
        return self.console.render(
            request,
            "care_fhir.html",
            message=message,
            user=user,
            systems=self.systems.all(),
            uri=uri,
            decides=user.holds(*OFFICERS),
        )

    def change(self, request: Request, csrf: Text, uri: Text = "", verb: Text = "") -> Response:
        """Proposes, approves or removes a system, or reads all records again."""
        user = self.console.require_form(request, csrf, *OFFICERS)
        self.console.require_step_up(user, "/care/fhir")
        changes = {"propose": self.systems.propose, "approve": self.systems.approve, "remove": self.systems.remove}
        try:
            if verb in changes:
                changes[verb](user.session, uri.strip())
            elif verb != "scan":
                raise OptionError("choose to propose, approve or remove an identifier system, or to read the records again.")
            if verb == "propose":
                return redirect_to("/care/fhir", "The identifier system is proposed. A second person has to approve it.")
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error), uri)
        done = {"approve": "The identifier system is approved. ", "remove": "The identifier system is removed. "}.get(verb, "")
        return redirect_to("/care/fhir", done + self._scan())

    def _scan(self) -> str:
        """Reads all records again; returns the message for the user. The change before it stands, also if this fails."""
        care = self.console.repository.care
        failed = care.failed
        try:
            count = care.scan()
        except GalenicError as error:
            return f"Warning: the records could not be read ({error}) Press “Read all records again” later."
        text = f"The records were read: {count:,} care relations were added or ended."
        return (
            text
            if care.failed == failed
            else f"{text} Warning: {care.failed - failed:,} could not be read. See the server log."
        )
