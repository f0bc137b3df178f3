"""Forms of the people who decide on a run: sign, reject, ask the requester, answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from galenic.errors import GalenicError, UnknownNameError
from galenic.release import answer_question, ask_question, questions_of, reject_run, run_status, sign_off
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import redirect_to
from galenic.server.console.releases import SIGNERS, show_release
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
NOT_READ = "You did not confirm that you have read the evidence. Read it, tick the box above the button, then sign."


@dataclass(frozen=True)
class SignatureForm:
    """The fields of a signature. digest: of what the evidence was shown of. evidence_read: "yes" once the box is ticked."""

    role: Text
    digest: Text
    evidence_read: Text = ""
    comment: Text = ""


class SignOffForms:
    """The forms of sign-off. The evidence stands above them on the page of the run."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("POST", "/releases/{run}/sign", self.sign),
                ("POST", "/releases/{run}/reject", self.reject),
                ("POST", "/releases/{run}/ask", self.ask),
                ("POST", "/releases/{run}/answer", self.answer),
            ]
        )

    def sign(self, request: Request, run: str, csrf: Text, form: Annotated[SignatureForm, Depends()]) -> Response:
        """Signs a run in one of the user's roles, if the user states that the evidence was read."""
        user = self.console.require_form(request, csrf, *SIGNERS)
        self.console.require_step_up(user, f"/releases/{run}")
        if form.evidence_read != "yes":
            return show_release(self.console, request, user, run, Message(NOT_READ, error=True), form.comment)

        def act() -> None:
            sign_off(self.installation, user.session, run, form.role, form.digest, form.comment)

        return self._after(request, user, run, act, f"Signed as {form.role}.")

    def reject(self, request: Request, run: str, csrf: Text, reason: Text) -> Response:
        """Rejects a run as one of its signers."""
        user = self.console.require_form(request, csrf, *SIGNERS)

        def act() -> None:
            reject_run(self.installation, user.session, run, reason)

        return self._after(request, user, run, act, "Rejected. The result stays in the installation.")

    def ask(self, request: Request, run: str, csrf: Text, question: Text) -> Response:
        """Asks the requester of a run as one of its signers."""
        user = self.console.require_form(request, csrf, *SIGNERS)

        def act() -> None:
            ask_question(self.installation, user.session, run, question)

        return self._after(
            request, user, run, act, "Question sent. The requester sees it on Home; you get a notice with the answer."
        )

    def answer(self, request: Request, run: str, csrf: Text, number: Annotated[int, Form()], answer: Text) -> Response:
        """Answers a question as the requester of the run. number: of the question on the page, from 1."""
        user = self.console.require_form(request, csrf, *SIGNERS)
        asked = questions_of(self.installation, run_status(self.installation, run).run)
        if not 1 <= number <= len(asked):
            raise UnknownNameError("there is no such question for you.")

        def act() -> None:
            answer_question(self.installation, user.session, asked[number - 1].key, answer)

        return self._after(request, user, run, act, "Answered. The person who asked gets a notice.")

    def _after(self, request: Request, user: CurrentUser, run: str, act: Callable[[], None], done: str) -> Response:
        """The page of the run after an action, with its result or its error."""
        try:
            act()
        except GalenicError as error:
            return show_release(self.console, request, user, run, Message.of_error(error))
        return redirect_to(f"/releases/{run}", done)
