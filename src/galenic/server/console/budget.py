"""The page of privacy budgets."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic import custody
from galenic.errors import GalenicError, StateError
from galenic.server.console.paging import page_of, parse_number, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import Message
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
DELTA = 1e-8  # of every population that is declared here


class BudgetPages:
    """The page of privacy budgets."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/budget", self.list_budgets), ("POST", "/budget", self.declare)])

    def list_budgets(self, request: Request, message: SignedMessage = "", find: str = "", page: int = 1) -> Response:
        """The budget of each population, and what was spent of it."""
        user = self.console.require_user(request, "researcher", "data-scientist", "privacy-officer", "auditor")
        return self._render(request, user, read_message(message), find, page)

    def _render(self, request: Request, user: CurrentUser, message: Message | None, find: str = "", page: int = 1) -> Response:
        statements, more = page_of((s for s in custody.budget_statements(self.installation) if find in s.population), page)
        return self.console.render(
            request,
            "budget.html",
            message=message,
            user=user,
            statements=statements,
            find=find,
            page=page,
            more=more,
            declares=user.holds("privacy-officer"),
        )

    def declare(self, request: Request, csrf: Text, population: Text, epsilon: Text) -> Response:
        """Declares a population with its limit, which cannot be changed later."""
        user = self.console.require_form(request, csrf, "privacy-officer")
        self.console.require_step_up(user, "/budget")
        name = population.strip()
        try:
            if name in self.installation.ledger.populations():
                raise StateError("this population is declared. Its limit stays: what was promised to its patients.")
            limit = parse_number(epsilon, "a limit")
            declared = custody.declare_population(self.installation, name, epsilon=limit, delta=DELTA, actor=user.account.name)
            if declared.epsilon_limit != limit:
                raise StateError("somebody else declared this population at the same moment, with another limit.")
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error))
        return redirect_to("/budget", f"Declared: no more than ε {epsilon} is ever learned about one of its patients.")
