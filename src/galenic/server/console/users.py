"""People, roles, policy versions and systems that call: the pages of those who administer."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.custody import EVERYTHING, add_client
from galenic.errors import GalenicError
from galenic.security import ROLES
from galenic.server import setup
from galenic.server.console.dashboard import page_of
from galenic.server.console.session import Console, SignedIn, clean_message, redirect_to

Word = Annotated[str, Form(max_length=400)]


class UserPages:
    """The pages of those who administer."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation
        self.people = console.installation.people

    def routes(self) -> APIRouter:
        """Every address."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/people", self.page, methods=["GET"], response_model=None)
        router.add_api_route("/people/invite", self.invite, methods=["POST"], response_model=None)
        router.add_api_route("/people/role", self.role_, methods=["POST"], response_model=None)
        router.add_api_route("/people/decide", self.decide, methods=["POST"], response_model=None)
        router.add_api_route("/people/leave", self.leave, methods=["POST"], response_model=None)
        router.add_api_route("/people/reset", self.reset, methods=["POST"], response_model=None)
        router.add_api_route("/people/sessions", self.end_sessions, methods=["POST"], response_model=None)
        router.add_api_route("/clients", self.clients, methods=["GET"], response_model=None)
        router.add_api_route("/clients", self.add, methods=["POST"], response_model=None)
        router.add_api_route("/clients/apps", self.remove_app, methods=["POST"], response_model=None)
        router.add_api_route("/clients/token", self.token, methods=["POST"], response_model=None)
        return router

    def _show(
        self,
        request: Request,
        signed: SignedIn,
        said: str = "",
        *,
        bad: bool = False,
        link: str = "",
        find: str = "",
        page: int = 1,
    ) -> Response:
        wanted = find.strip().casefold()
        found, more = page_of((p for p in self.people.all() if wanted in f"{p.name} {p.shown} {p.human}".casefold()), page)
        return self.console.page(
            request, "people.html", signed=signed, people=found, find=find, page=page, more=more,
            proposals=self.people.proposals(), roles=ROLES[:-1], link=link,
            status=400 if bad else 200, said={"text": said, "bad": bad} if said else None,
        )  # fmt: skip

    def page(self, request: Request, said: str = "", find: str = "", page: int = 1) -> Response:
        """Everybody, and what waits for a second person."""
        said = clean_message(said)
        signed = self.console.required(request, "security-officer", "privacy-officer")
        return self._show(request, signed, said, find=find, page=page)

    def invite(
        self,
        request: Request, csrf: Word, name: Word, shown: Word, human: Word, role: Annotated[list[str], Form()]
    ) -> Response:  # fmt: skip
        """Invites somebody."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/people")
        try:
            secret = self.people.invite(signed.session, name.strip(), human, shown, tuple(role))
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True)
        return self._show(request, signed, f"{shown} is invited. Hand over this address; it stands for 72 hours and is shown once.",
                     link=f"{self.console.base}/invitation/{secret}")  # fmt: skip

    def role_(self, request: Request, csrf: Word, name: Word, role: Word, verb: Word) -> Response:
        """Proposes to give or take a role."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/people")
        try:
            self.people.propose(signed.session, name, role, give=verb == "give")
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True)
        return redirect_to("/people", "Proposed. A second person decides.")

    def decide(self, request: Request, csrf: Word, key: Word, verb: Word) -> Response:
        """The second person's decision."""
        signed = self.console.posted(request, csrf, "security-officer", "privacy-officer")
        self.console.confirmed(signed, "/people")
        try:
            if verb == "approve":
                self.people.approve(signed.session, key)
            else:
                self.people.reject(signed.session, key)
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True)
        return redirect_to("/people", "Approved." if verb == "approve" else "Rejected.")

    def leave(self, request: Request, csrf: Word, name: Word) -> Response:
        """Somebody leaves, in one step."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/people")
        try:
            self.people.leave(signed.session, name)
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True)
        return redirect_to("/people", f"{name} has left: no sign-in, no session, no role from now on.")

    def reset(self, request: Request, csrf: Word, name: Word) -> Response:
        """A new password for who forgot it."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/people")
        try:
            secret = self.people.reset(signed.session, name)
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True)
        said = f"{name} sets another password at this address, within an hour; the second factor stays asked for."
        return self._show(request, signed, said, link=f"{self.console.base}/invitation/{secret}")

    def end_sessions(self, request: Request, csrf: Word, name: Word) -> Response:
        """Ends somebody's sessions."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/people")
        return redirect_to("/people", f"{self.people.end_all(signed.session, name)} sessions of {name} are ended.")

    def clients(self, request: Request, said: str = "", find: str = "", page: int = 1) -> Response:
        """Systems that may call, and applications that people may let read as them."""
        said = clean_message(said)
        signed = self.console.required(request, "security-officer")
        return self._clients(request, signed, said=said, find=find, page=page)

    def _clients(
        self,
        request: Request,
        signed: SignedIn,
        token: str = "",
        said: str = "",
        *,
        bad: bool = False,
        find: str = "",
        page: int = 1,
    ) -> Response:
        every = (
            f for f in self.installation.facts.of("grant") if f.get("client") == "yes" and f.state == "given" and find in f.who
        )
        found, more = page_of(every, page)
        return self.console.page(
            request, "clients.html", signed=signed, clients=found, find=find, page=page, more=more, apps=self.installation.apps.all(),
            providers=self.installation.openid.all(), token=token, everything=EVERYTHING,
            said={"text": said, "bad": bad} if said else None, status=400 if bad else 200,
        )  # fmt: skip

    def remove_app(self, request: Request, csrf: Word, name: Word) -> Response:
        """An application is none any more; its tokens count no more."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/clients")
        self.installation.apps.remove(name, by=signed.person.name)
        return redirect_to("/clients", f"{name} is removed; what it was given counts no more.")

    def add(self, request: Request, csrf: Word, name: Word) -> Response:
        """Lets a system call."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/clients")
        try:
            add_client(self.installation, name.strip())
        except GalenicError as error:
            return self._clients(request, signed, said=str(error), bad=True)
        return redirect_to("/clients")

    def token(
        self, request: Request, csrf: Word, name: Word, hours: Annotated[int, Form(ge=1, le=24 * 90)], scope: Word
    ) -> Response:
        """An access token, shown once."""
        signed = self.console.posted(request, csrf, "security-officer")
        self.console.confirmed(signed, "/clients")
        secret = setup.issue_token(
            self.installation, name, seconds=hours * 3600, scope=scope, how=f"issued by {signed.person.name}"
        )
        return self._clients(request, signed, secret, "This token is shown once.")
