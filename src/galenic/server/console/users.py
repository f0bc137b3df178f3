"""Pages of users: accounts, roles, invitations, sessions."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.errors import GalenicError
from galenic.security import ROLES
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
DECIDERS = ("security-officer", "privacy-officer")
FIELD_WORDS = (("of that name", "name"), ("name of an account", "name"), ("this name", "name"), ("person", "human"))
"""Words in messages about an invitation, and the field that they are about."""


class UserPages:
    """The pages of users, for those who administer accounts."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.people = console.installation.people
        self.role_changes = console.installation.role_changes
        self.recovery = console.installation.recovery

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/people", self.list_users),
                ("POST", "/people/invite", self.invite),
                ("POST", "/people/role", self.propose_role),
                ("POST", "/people/decide", self.decide),
                ("POST", "/people/leave", self.deactivate),
                ("POST", "/people/reset", self.reset_password),
                ("POST", "/people/recover", self.propose_recovery),
                ("POST", "/people/recover/decide", self.decide_recovery),
                ("POST", "/people/sessions", self.end_sessions),
            ]
        )

    def list_users(self, request: Request, message: SignedMessage = "", find: str = "", page: int = 1) -> Response:
        """All accounts, and the changes of roles that wait for a second person."""
        user = self.console.require_user(request, *DECIDERS)
        wanted = find.strip().casefold()
        matching = (p for p in self.people.all() if wanted in f"{p.name} {p.shown} {p.human}".casefold())
        shown, more = page_of(matching, page)
        values = {"people": shown, "find": find, "page": page, "more": more, "link": ""}
        return self._render(request, user, read_message(message), values)

    def _render(self, request: Request, user: CurrentUser, message: Message | None, values: dict[str, Any]) -> Response:
        return self.console.render(
            request,
            "people.html",
            message=message,
            user=user,
            proposals=self.role_changes.proposals(),
            recoveries=self.recovery.proposals(),
            roles=ROLES[:-1],
            **{"typed": {"name": "", "shown": "", "human": "", "role": ()}, "wrong": "", **values},
        )

    def _render_first_page(
        self, request: Request, user: CurrentUser, message: Message, link: str = "", typed: dict[str, Any] | None = None
    ) -> Response:
        """The first accounts with a message, and a link that the user has to hand over. typed: of an invitation that was refused."""
        shown, more = page_of(self.people.all(), 1)
        values: dict[str, Any] = {"people": shown, "find": "", "page": 1, "more": more, "link": link}
        if typed is not None:
            values |= {"typed": typed, "wrong": _wrong_field(message.text)}
        return self._render(request, user, message, values)

    def _administrator(self, request: Request, csrf: str, *roles: str) -> CurrentUser:
        """The user of a form who may change accounts and has stepped up."""
        user = self.console.require_form(request, csrf, *(roles or ("security-officer",)))
        self.console.require_step_up(user, "/people")
        return user

    def _change(self, request: Request, user: CurrentUser, change: Callable[[], object], done: str) -> Response:
        """Makes a change; leads back to the accounts with `done`, or shows why it was refused."""
        try:
            change()
        except GalenicError as error:
            return self._render_first_page(request, user, Message.of_error(error))
        return redirect_to("/people", done)

    def invite(
        self, request: Request, csrf: Text, name: Text, shown: Text, human: Text, role: Annotated[list[str], Form()]
    ) -> Response:
        """Invites a user. shown: the full name; human: the id of the person, who may have one account only."""
        user = self._administrator(request, csrf)
        try:
            secret = self.console.installation.invitations.invite(user.session, name.strip(), human, shown, tuple(role))
        except GalenicError as error:
            typed = {"name": name, "shown": shown, "human": human, "role": role}
            return self._render_first_page(request, user, Message.of_error(error), typed=typed)
        text = f"{shown} is invited. The link below is valid for 72 hours and shown once."
        return self._render_first_page(request, user, Message(text), f"{self.console.base}/invitation/{secret}")

    def propose_role(self, request: Request, csrf: Text, name: Text, role: Text, verb: Text) -> Response:
        """Proposes to give a role or to take it away."""
        user = self._administrator(request, csrf)

        def propose() -> None:
            self.role_changes.propose(user.session, name, role, give=verb == "give")

        return self._change(request, user, propose, "The change is proposed. A second person has to approve it.")

    def decide(self, request: Request, csrf: Text, key: Text, verb: Text) -> Response:
        """Decides on a proposal, as the second person."""
        user = self._administrator(request, csrf, *DECIDERS)
        approved = verb == "approve"
        decide = self.role_changes.approve if approved else self.role_changes.reject
        return self._change(request, user, lambda: decide(user.session, key), "Approved." if approved else "Rejected.")

    def deactivate(self, request: Request, csrf: Text, name: Text) -> Response:
        """Deactivates the account of a user who leaves, with all sessions and roles."""
        user = self._administrator(request, csrf)
        try:
            state = self.people.leave(user.session, name)
        except GalenicError as error:
            return self._render_first_page(request, user, Message.of_error(error))
        done = f"The account {name} is deactivated: it has no sign-in, session or role any more."
        waits = f"{name} is suspended and cannot sign in. A second person approves or rejects the deactivation."
        return redirect_to("/people", waits if state == "suspended" else done)

    def reset_password(self, request: Request, csrf: Text, name: Text) -> Response:
        """Makes a link by which a user sets a new password, with a second factor of the account."""
        user = self._administrator(request, csrf)
        try:
            secret = self.recovery.reset(user.session, name)
        except GalenicError as error:
            return self._render_first_page(request, user, Message.of_error(error))
        text = f"{name} can set a new password with the link below within an hour. It needs a second factor of the account."
        return self._render_first_page(request, user, Message(text), f"{self.console.base}/reset/{secret}")

    def propose_recovery(self, request: Request, csrf: Text, name: Text) -> Response:
        """Proposes to let a user who lost every second factor register new ones."""
        user = self._administrator(request, csrf)
        try:
            code = self.recovery.propose(user.session, name)
        except GalenicError as error:
            return self._render_first_page(request, user, Message.of_error(error))
        text = f"Proposed. Check that it is {name} who asks, and hand over this code; a second person approves and hands over a link."
        return self._render_first_page(request, user, Message(text), code)

    def decide_recovery(self, request: Request, csrf: Text, name: Text, verb: Text) -> Response:
        """Decides on a proposed recovery, as the second person."""
        user = self._administrator(request, csrf, *DECIDERS)
        if verb != "approve":
            return self._change(request, user, lambda: self.recovery.reject(user.session, name), "The recovery is rejected.")
        try:
            secret = self.recovery.approve(user.session, name)
        except GalenicError as error:
            return self._render_first_page(request, user, Message.of_error(error))
        text = f"Approved. Check the identity of {name}, then hand over the link below. The proposer's code is needed, too."
        return self._render_first_page(request, user, Message(text), f"{self.console.base}/recover/{secret}")

    def end_sessions(self, request: Request, csrf: Text, name: Text) -> Response:
        """Ends all sessions of a user."""
        user = self._administrator(request, csrf)
        count = self.people.end_all(user.session, name)
        return redirect_to("/people", f"{count} sessions of {name} are ended.")


def _wrong_field(text: str) -> str:
    """The field of an invitation that a message is about; empty for none."""
    return next((name for words, name in FIELD_WORDS if words in text), "")
