"""The page of the access policy: the active policy, proposals, and a replay of the last 30 days by a proposed policy."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.errors import GalenicError
from galenic.release import signing_key
from galenic.security import Key, Replay, parse_policy
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

READERS = ("security-officer", "privacy-officer", "auditor")
DECIDERS = ("security-officer", "privacy-officer")
Name = Annotated[str, Form(max_length=400)]
PolicyText = Annotated[str, Form(max_length=200_000)]


class PolicyPages:
    """The page of the access policy."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/policy", self.show_policy),
                ("POST", "/policy/try", self.replay),
                ("POST", "/policy/propose", self.propose),
                ("POST", "/policy/approve", self.approve),
            ]
        )

    def _render(
        self,
        request: Request,
        user: CurrentUser,
        message: Message | None = None,
        *,
        text: str = "",
        replay: Replay | None = None,
    ) -> Response:
        active = self.installation.policies.active()
        return self.console.render(
            request,
            "policy.html",
            message=message,
            user=user,
            active=active,
            proposed=[f for f in self.installation.facts.of("policy") if f.state == "proposed"],
            text=text or active.text,
            replay=replay,
            decides=user.holds(*DECIDERS),
        )

    def show_policy(self, request: Request, message: SignedMessage = "") -> Response:
        """The active policy and the proposed ones."""
        return self._render(request, self.console.require_user(request, *READERS), read_message(message))

    def replay(self, request: Request, csrf: Name, text: PolicyText) -> Response:
        """The decisions that a policy would have changed; nothing is stored."""
        user = self.console.require_form(request, csrf, *DECIDERS)
        try:
            replay = self.installation.policies.replay(parse_policy(text))
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error), text=text)
        return self._render(request, user, text=text, replay=replay)

    def propose(self, request: Request, csrf: Name, text: PolicyText) -> Response:
        """Proposes a policy."""
        user = self.console.require_form(request, csrf, *DECIDERS)
        self.console.require_step_up(user, "/policy")
        try:
            name, _replay = self.installation.policies.propose(parse_policy(text), self._key(user))
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error), text=text)
        return redirect_to("/policy", f"{name} is proposed. A second officer activates it.")

    def approve(self, request: Request, csrf: Name, name: Name) -> Response:
        """Activates a proposed policy, as the second person."""
        user = self.console.require_form(request, csrf, *DECIDERS)
        self.console.require_step_up(user, "/policy")
        try:
            self.installation.policies.approve(name, self._key(user))
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/policy", f"{name} is active.")

    def _key(self, user: CurrentUser) -> Key:
        """The key that the user signs decisions with, under the user's own name."""
        role = next(r for r in DECIDERS if r in user.roles)
        return replace(signing_key(self.installation, user.account.name, role), name=user.account.name, identity="verified")
