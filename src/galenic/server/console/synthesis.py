"""The page of a synthesis: choose a table, estimate the cost, submit the job."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from galenic import store
from galenic.errors import GalenicError, OptionError
from galenic.jobs import CostEstimate, SynthesisParameters, estimate_job, submit_synthesis, tables_in_custody
from galenic.server.console.paging import parse_number, router_of
from galenic.server.console.redirects import redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
LongText = Annotated[str, Form(max_length=2_000)]
USERS = ("researcher", "data-scientist", "privacy-officer")
POLICIES = ("internal", "partner", "public")


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

    def parameters(self) -> SynthesisParameters:
        """The parameters of the job. OptionError if a value is not allowed."""
        if self.policy not in POLICIES:
            raise OptionError(f"expected one of the policies {', '.join(POLICIES)}.")
        return SynthesisParameters(**{**self.__dict__, "epsilon": parse_number(self.epsilon)})


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

    def _render(
        self,
        request: Request,
        user: CurrentUser,
        form: SynthesisForm,
        *,
        message: Message | None = None,
        cost: CostEstimate | None = None,
    ) -> Response:
        tables = tables_in_custody(self.installation, user.session.tenant)
        chosen = next((t for t in tables if t["name"] == form.dataset), tables[0] if tables else None)
        return self.console.render(
            request,
            "synthesis.html",
            message=message,
            user=user,
            tables=tables,
            columns=store.schema_of(chosen).names if chosen else [],
            form={**form.__dict__, "dataset": form.dataset or (str(chosen["name"]) if chosen else "")},
            policies=POLICIES,
            cost=cost,
        )

    def show_form(self, request: Request, dataset: str = "") -> Response:
        """The form: table, target, policy and privacy budget."""
        return self._render(request, self.console.require_user(request, *USERS), SynthesisForm(dataset))

    def estimate(self, request: Request, csrf: Text, form: Annotated[SynthesisForm, Depends()]) -> Response:
        """The cost of a synthesis, before it starts."""
        user = self.console.require_form(request, csrf, *USERS)
        try:
            parameters = form.parameters()
            _ = parameters.details  # its texts are checked before the cost is shown
            cost = estimate_job(self.installation, user.session, "synthesis", parameters.__dict__)
        except GalenicError as error:
            return self._render(request, user, form, message=Message.of_error(error))
        return self._render(request, user, form, cost=cost)

    def submit(self, request: Request, csrf: Text, form: Annotated[SynthesisForm, Depends()]) -> Response:
        """Submits the job."""
        user = self.console.require_form(request, csrf, *USERS)
        try:
            job = submit_synthesis(self.installation, user.session, form.parameters())
        except GalenicError as error:
            return self._render(request, user, form, message=Message.of_error(error))
        return redirect_to(f"/jobs/{job}")
