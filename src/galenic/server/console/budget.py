"""The page of privacy budgets."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from galenic import custody
from galenic.errors import GalenicError, OptionError, StateError
from galenic.jobs import tables_in_custody
from galenic.release import run_statuses
from galenic.server.console.budget_timeline import charges_of, chart_of
from galenic.server.console.paging import page_of, parse_epsilon, router_of
from galenic.server.console.privacy_words import delta_in_words, epsilon_in_words
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import CORRECT, Message, TypedForm
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=2_000)]
DELTA = 1e-8  # of every population that is declared here
LARGEST_LIMIT = 20.0  # ε of a population: above it, a guarantee says almost nothing

NOTHING_TYPED = TypedForm({"population": "", "epsilon": "4"})


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

    def _render(
        self,
        request: Request,
        user: CurrentUser,
        message: Message | None,
        find: str = "",
        page: int = 1,
        *,
        typed: TypedForm = NOTHING_TYPED,
    ) -> Response:
        statements, more = page_of((s for s in custody.budget_statements(self.installation) if find in s.population), page)
        runs = {run.run: run for run in run_statuses(self.installation)}
        timelines = [(s, charges_of(s, runs)) for s in statements]
        return self.console.render(
            request,
            "budget.html",
            message=message,
            user=user,
            form=typed.values,
            errors=typed.errors,
            budgets=[(s, charges, chart_of(charges, s.epsilon_limit)) for s, charges in timelines],
            epsilon_in_words=epsilon_in_words,
            delta_in_words=delta_in_words,
            delta=DELTA,
            undeclared=self._undeclared(user),
            find=find,
            page=page,
            more=more,
            declares=user.holds("privacy-officer"),
        )

    def declare(self, request: Request, csrf: Text, population: Text, epsilon: Text) -> Response:
        """Declares a population with its limit, which cannot be changed later."""
        user = self.console.require_form(request, csrf, "privacy-officer")
        self.console.require_step_up(user, "/budget")
        name, errors = population.strip(), {}
        if not name:
            errors["population"] = "Type the name of the budget population."
        elif name in self.installation.ledger.populations():
            errors["population"] = "This population has a budget already. Its limit is final: it was promised to the patients."
        try:
            limit = parse_epsilon(epsilon, most=LARGEST_LIMIT)
        except OptionError as error:
            errors["epsilon"] = str(error)
        form = {"population": name, "epsilon": epsilon}
        if errors:
            return self._render(request, user, Message(CORRECT, error=True), typed=TypedForm(form, errors))
        try:
            declared = custody.declare_population(self.installation, name, epsilon=limit, delta=DELTA, actor=user.account.name)
            if declared.epsilon_limit != limit:
                raise StateError("another person declared this population at the same moment, with another limit.")
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error), typed=TypedForm(form))
        return redirect_to("/budget", f"Budget declared for {name}: all results together may use ε {limit:g} at most.")

    def _undeclared(self, user: CurrentUser) -> list[str]:
        """Tables in custody without a budget of their own."""
        declared = set(self.installation.ledger.populations())
        tables = tables_in_custody(self.installation, user.session.tenant)
        return [str(t["name"]) for t in tables if t["name"] not in declared]
