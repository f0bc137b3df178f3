"""The page of one patient's consents, and of everybody who used the patient's data."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic import custody
from galenic.errors import GalenicError
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console

Text = Annotated[str, Form(max_length=2_000)]


class ConsentPages:
    """The page of consents."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/consent", self.show_form), ("POST", "/consent", self.look_up)])

    def show_form(self, request: Request) -> Response:
        """The form of a look-up."""
        user = self.console.require_user(request, "privacy-officer")
        return self.console.render(request, "consent.html", user=user, found=None, patient="")

    def look_up(
        self, request: Request, csrf: Text, patient: Text, who: Text = "", page: Annotated[int, Form(ge=1)] = 1
    ) -> Response:
        """Consents of a patient, and who used the patient's data. Each page is a look-up of its own and audited as one."""
        user = self.console.require_form(request, csrf, "privacy-officer")
        try:
            record = custody.own_record(self.console.installation, user.session, patient.strip())
        except GalenicError as error:
            message = Message.of_error(error)
            return self.console.render(
                request, "consent.html", message=message, status=404, user=user, found=None, patient=patient
            )
        uses, more = page_of((u for u in reversed(record["looked at by"]) if who.strip() in ("", u["who"])), page)
        return self.console.render(
            request, "consent.html", user=user, found=record, patient=patient, looks=uses, more=more, page=page, who=who
        )
