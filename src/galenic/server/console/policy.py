"""Which rules are in force, which are proposed, and what a proposal would have changed in the last thirty days."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic.errors import GalenicError
from galenic.release import signing_key
from galenic.security import Key, Replay, parse_policy
from galenic.server.console.session import Console, SignedIn, clean_message, redirect_to

SEES = ("security-officer", "privacy-officer", "auditor")
DECIDES = ("security-officer", "privacy-officer")
Word = Annotated[str, Form(max_length=400)]
Text = Annotated[str, Form(max_length=200_000)]


class PolicyPages:
    """The pages of the policy."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/policy", self.page, methods=["GET"], response_model=None)
        router.add_api_route("/policy/try", self.tried, methods=["POST"], response_model=None)
        router.add_api_route("/policy/propose", self.propose, methods=["POST"], response_model=None)
        router.add_api_route("/policy/approve", self.approve, methods=["POST"], response_model=None)
        return router

    def _show(
        self,
        request: Request,
        signed: SignedIn,
        said: str = "",
        *,
        bad: bool = False,
        text: str = "",
        replay: Replay | None = None,
    ) -> Response:
        active = self.installation.policies.active()
        proposed = [f for f in self.installation.facts.of("policy") if f.state == "proposed"]
        return self.console.page(
            request, "policy.html", signed=signed, status=400 if bad else 200, active=active, proposed=proposed, text=text or active.text,
            replay=replay, decides=signed.holds(*DECIDES), said={"text": said, "bad": bad} if said else None,
        )  # fmt: skip

    def page(self, request: Request, said: str = "") -> Response:
        """The rules in force."""
        said = clean_message(said)
        return self._show(request, self.console.required(request, *SEES), said)

    def tried(self, request: Request, csrf: Word, text: Text) -> Response:
        """What a policy would have decided otherwise; nothing changes."""
        signed = self.console.posted(request, csrf, *DECIDES)
        try:
            replay = self.installation.policies.replay(parse_policy(text))
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True, text=text)
        return self._show(request, signed, text=text, replay=replay)

    def propose(self, request: Request, csrf: Word, text: Text) -> Response:
        """Puts a policy forward."""
        signed = self.console.posted(request, csrf, *DECIDES)
        self.console.confirmed(signed, "/policy")
        try:
            name, _replay = self.installation.policies.propose(parse_policy(text), self._key(signed))
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True, text=text)
        return redirect_to("/policy", f"{name} is proposed. A second person puts it in force.")

    def approve(self, request: Request, csrf: Word, name: Word) -> Response:
        """The second person puts a policy in force."""
        signed = self.console.posted(request, csrf, *DECIDES)
        self.console.confirmed(signed, "/policy")
        try:
            self.installation.policies.approve(name, self._key(signed))
        except GalenicError as error:
            return self._show(request, signed, str(error), bad=True)
        return redirect_to("/policy", f"{name} is in force.")

    def _key(self, signed: SignedIn) -> Key:
        """The key that a person signs decisions with, under the person's own name."""
        role = next(r for r in DECIDES if r in signed.roles)
        return replace(signing_key(self.installation, signed.person.name, role), name=signed.person.name, identity="verified")
