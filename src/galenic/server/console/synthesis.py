"""The page of a synthesis: choose a table, check cost and consents, submit the job."""

from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from galenic import store
from galenic.errors import GalenicError, OptionError
from galenic.jobs import CostEstimate, SynthesisParameters, estimate_job, submit_synthesis, tables_in_custody, target_columns
from galenic.schema import RunDetails
from galenic.server.console.paging import parse_epsilon, router_of
from galenic.server.console.privacy_words import epsilon_in_words
from galenic.server.console.redirects import redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
LongText = Annotated[str, Form(max_length=2_000)]
USERS = ("researcher", "data-scientist", "privacy-officer")
POLICIES = {
    "internal": "Internal use, inside this organization",
    "partner": "One partner, under a contract",
    "public": "The public",
}
CORRECT = "Nothing was started. Correct the marked fields."


@dataclass(frozen=True)
class SynthesisForm:
    """The values of the form, as they were typed."""

    dataset: Text = ""
    epsilon: Text = "1"
    target: Text = ""
    policy: Text = "internal"
    title: Text = ""
    intended_use: LongText = ""
    recipient: Text = ""

    def errors(self, tables: dict[str, store.Dataset]) -> dict[str, str]:
        """Errors by field; empty if the form can be sent."""
        errors = {}
        if self.dataset not in tables:
            errors["dataset"] = "There is no such table. Choose one from the list."
        elif self.target and self.target not in target_columns(tables[self.dataset]):
            errors["target"] = "This column is an identifier, or not in the table. Choose another column, or none."
        if self.policy not in POLICIES:
            errors["policy"] = f"There is no such policy. Expected one of {', '.join(POLICIES)}."
        try:
            parse_epsilon(self.epsilon)
        except OptionError as error:
            errors["epsilon"] = str(error)
        for name in ("title", "intended_use", "recipient"):
            try:
                RunDetails(**{name: getattr(self, name)})
            except OptionError as error:
                errors[name] = str(error).capitalize()
        return errors

    @property
    def parameters(self) -> SynthesisParameters:
        """The parameters of the job. OptionError if a value is not allowed."""
        return SynthesisParameters(**{**asdict(self), "epsilon": parse_epsilon(self.epsilon)})


class SynthesisPages:
    """The page of a synthesis."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/synthesis", self.show_form),
                ("POST", "/synthesis/cost", self.estimate),
                ("POST", "/synthesis", self.submit),
            ]
        )

    def _tables(self, user: CurrentUser) -> dict[str, store.Dataset]:
        return {str(t["name"]): t for t in tables_in_custody(self.installation, user.session.tenant)}

    def _render(
        self,
        request: Request,
        user: CurrentUser,
        form: SynthesisForm,
        *,
        message: Message | None = None,
        cost: CostEstimate | None = None,
        errors: dict[str, str] | None = None,
    ) -> Response:
        tables = self._tables(user)
        chosen = form.dataset if form.dataset in tables else next(iter(tables), "")
        return self.console.render(
            request,
            "synthesis.html",
            message=message,
            user=user,
            errors=errors or {},
            tables=[(name, name) for name in tables],
            columns=[(c, c) for c in target_columns(tables[chosen])] if chosen else [],
            form={**asdict(form), "dataset": chosen},
            policies=POLICIES,
            cost=cost,
            epsilon_in_words=epsilon_in_words(parse_epsilon(form.epsilon)) if cost else "",
        )

    def show_form(self, request: Request, dataset: str = "") -> Response:
        """The form: table, target, policy, privacy budget, and texts about the result."""
        return self._render(request, self.console.require_user(request, *USERS), SynthesisForm(dataset))

    def estimate(self, request: Request, csrf: Text, form: Annotated[SynthesisForm, Depends()]) -> Response:
        """Cost, consents and expected quality of a synthesis, before it starts."""
        user = self.console.require_form(request, csrf, *USERS)
        errors = form.errors(self._tables(user))
        if errors:
            return self._render(request, user, form, message=Message(CORRECT, error=True), errors=errors)
        try:
            cost = estimate_job(self.installation, user.session, "synthesis", asdict(form.parameters))
        except GalenicError as error:
            return self._render(request, user, form, message=Message.of_error(error))
        return self._render(request, user, form, cost=cost)

    def submit(self, request: Request, csrf: Text, form: Annotated[SynthesisForm, Depends()]) -> Response:
        """Submits the job."""
        user = self.console.require_form(request, csrf, *USERS)
        errors = form.errors(self._tables(user))
        if errors:
            return self._render(request, user, form, message=Message(CORRECT, error=True), errors=errors)
        try:
            job = submit_synthesis(self.installation, user.session, form.parameters)
        except GalenicError as error:
            return self._render(request, user, form, message=Message.of_error(error))
        return redirect_to(f"/jobs/{job}")
