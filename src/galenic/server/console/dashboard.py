"""The home page: next steps of the user, first steps of the installation, and what the user's roles work with."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from galenic import store
from galenic.custody import budget_statements
from galenic.errors import GalenicError
from galenic.privacy import Statement
from galenic.release import RunStatus, run_status, run_statuses, unanswered_questions
from galenic.server.console.emergencies import REVIEWERS
from galenic.server.console.first_steps import first_steps
from galenic.server.console.navigation import ANALYSIS, CARE, READERS
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import redirect_to
from galenic.server.console.releases import SIGNERS
from galenic.server.console.run_list import run_label, run_time
from galenic.server.console.session import Console, CurrentUser

FEW = 5  # runs, data sets and budgets on the page


@dataclass(frozen=True)
class Task:
    """A task that waits for the user. place, action: the page where it is done, and the label of the link to it; target: continues the
    label for those who hear it; since: when it arose."""

    place: str
    text: str
    action: str
    icon: str = "info"
    since: str = ""
    target: str = ""


@dataclass(frozen=True)
class Tile:
    """A count on the home page, which leads to the page of what is counted."""

    place: str
    number: int | str
    text: str


class Dashboard:
    """The home page."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/", self.home)])

    def home(self, request: Request) -> Response:
        """The home page; leads to the sign-in page without a user, and to the set-up page without an account."""
        user = self.console.current_user(request)
        if user is None:
            return redirect_to("/sign-in" if self.installation.people.any() else "/set-up")
        runs = list(run_statuses(self.installation)) if user.holds(*SIGNERS) else []
        return self.console.render(
            request,
            "home.html",
            user=user,
            tasks=[
                *_release_tasks(runs, user),
                *self._question_tasks(user),
                *self._role_tasks(user),
                *self._review_tasks(user),
            ],
            steps=first_steps(self.installation, user),
            cares=user.holds(*CARE),
            shows_runs=user.holds(*SIGNERS),
            runs=[(run, run_label(run), run_time(run.run)) for run in runs[:FEW]],
            analyzes=user.holds(*ANALYSIS),
            budgets=self._budgets(user),
            shows_data=user.holds(*READERS),
            datasets=self._datasets(user),
            tiles=self._tiles(user),
        )

    def _question_tasks(self, user: CurrentUser) -> list[Task]:
        """Questions of signers about the user's runs."""
        tasks = []
        for question in unanswered_questions(self.installation, user.account.name):
            title = run_status(self.installation, question.run).details.title
            text = f"{question.asker} asks about “{title}”. Answer the question."
            tasks.append(Task(f"/releases/{question.run}#questions", text, "Answer", "info", question.at, f"about “{title}”"))
        return tasks

    def _role_tasks(self, user: CurrentUser) -> list[Task]:
        """Changes of people and systems that the user may decide as the second person."""
        if not user.holds("security-officer", "privacy-officer"):
            return []
        own = user.account.name
        roles = [
            Task(
                "/people",
                f"{_verb(f.get('verb'))} the role {f.label} for {f.purpose}. Proposed by {f.who}.",
                "Decide",
                "people",
            )
            for f in self.installation.role_changes.proposals()
            if own not in (f.who, f.purpose)
        ]
        accounts = [
            Task("/people", f"Recover the account of {f.purpose}. Proposed by {f.who}.", "Decide", "account")
            for f in self.installation.recovery.proposals()
            if own not in (f.who, f.purpose)
        ]
        systems = [
            Task("/clients", f"Give the system {f.purpose} access. Proposed by {f.who}.", "Decide", "system")
            for f, _access in self.installation.systems.proposals()
            if own != f.who
        ]
        return [*roles, *accounts, *systems]

    def _review_tasks(self, user: CurrentUser) -> list[Task]:
        """Emergency accesses to be reviewed, and the ones that a reviewer passed on."""
        if not user.holds(*REVIEWERS):
            return []
        waiting = ("due", "escalated")
        due = [f for f in self.installation.facts.of("review") if f.state in waiting and f.who != user.account.name]
        return [Task("/reviews", f"Review the emergency access by {f.who}.", "Review", "emergency", f.until) for f in due]

    def _budgets(self, user: CurrentUser) -> list[Statement]:
        """Budgets, the most used first. A budget that was changed outside of Galenic shows on the Budget page."""
        if not user.holds(*ANALYSIS, "auditor"):
            return []
        try:
            statements = budget_statements(self.installation)
        except GalenicError:
            return []
        return sorted(statements, key=lambda s: -s.epsilon_spent / s.epsilon_limit)[:FEW]

    def _datasets(self, user: CurrentUser) -> list[dict[str, Any]]:
        if not user.holds(*READERS):
            return []
        counts = store.count_rows(self.installation.db, user.session.tenant)
        every = store.list_datasets(self.installation.db, user.session.tenant)
        newest = sorted(every, key=lambda d: str(d["imported_at"]), reverse=True)[:FEW]
        return [{**d, "rows": counts.get(str(d["name"]), 0)} for d in newest]

    def _tiles(self, user: CurrentUser) -> list[Tile]:
        tiles = []
        if user.holds("auditor", "privacy-officer", "security-officer"):
            tiles.append(Tile("/audit", f"{self.installation.audit.head()[0]:,}", "entries in the audit log"))
        if user.holds("security-officer", "privacy-officer"):
            active = sum(p.state == "active" for p in self.installation.people.all())
            tiles.append(Tile("/people", active, "active account" if active == 1 else "active accounts"))
        return tiles


def _verb(verb: object) -> str:
    return {"give": "Add", "take": "Remove"}.get(str(verb), str(verb).capitalize())


def _release_tasks(runs: list[RunStatus], user: CurrentUser) -> list[Task]:
    """Runs that wait for the user's signature, and the user's own signed runs."""
    tasks = []
    for run in runs:
        place, label, at = f"/releases/{run.run}", run_label(run), run_time(run.run)
        if run.state == "signing" and set(run.missing) & set(user.roles) and run.by != user.account.name:
            tasks.append(Task(place, f"“{label}” waits for your signature.", "Read the evidence", "pen", at, f"of “{label}”"))
        elif run.state == "signed" and run.by == user.account.name:
            tasks.append(Task(place, f"“{label}”: it is signed and can be downloaded.", "Open", "download", at, f"“{label}”"))
    return tasks
