"""The home page: tasks that wait for the user, and counts."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from galenic.release import run_statuses
from galenic.server.console.paging import router_of
from galenic.server.console.redirects import redirect_to
from galenic.server.console.releases import SIGNERS
from galenic.server.console.session import Console, CurrentUser


@dataclass(frozen=True)
class Task:
    """A task that waits for the user. place: the page where it is done; since: when or why it arose."""

    place: str
    what: str
    since: str = ""


@dataclass(frozen=True)
class Tile:
    """A count on the home page, which leads to the page of what is counted."""

    place: str
    number: int | str
    what: str


class Dashboard:
    """The home page."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/", self.home)])

    def home(self, request: Request) -> Response:
        """Tasks and counts; leads to the sign-in page without a user, and to the set-up page without an account."""
        user = self.console.current_user(request)
        if user is None:
            return redirect_to("/sign-in" if self.installation.people.any() else "/set-up")
        return self.console.render(request, "home.html", user=user, waiting=self._tasks(user), tiles=self._tiles(user))

    def _tasks(self, user: CurrentUser) -> list[Task]:
        tasks = self._release_tasks(user)
        if user.holds("security-officer", "privacy-officer"):
            tasks += [
                Task("/people", f"{f.get('verb')} {f.purpose} the role {f.label}: a second person decides")
                for f in self.installation.role_changes.proposals()
                if user.account.name not in (f.who, f.purpose)
            ]
            tasks += [
                Task("/people", f"Recover the account {f.purpose}: a second person decides")
                for f in self.installation.recovery.proposals()
                if user.account.name not in (f.who, f.purpose)
            ]
            tasks += [
                Task("/clients", f"System {f.purpose}: a second person decides")
                for f, _access in self.installation.systems.proposals()
                if user.account.name != f.who
            ]
        if user.holds("privacy-officer"):
            due = [f for f in self.installation.facts.of("review") if f.state == "due"]
            tasks += [Task("/reviews", f"An emergency access by {f.who} is to be reviewed", f.until) for f in due]
        return tasks

    def _release_tasks(self, user: CurrentUser) -> list[Task]:
        tasks = []
        for run in run_statuses(self.installation):
            place = f"/releases/{run.run}"
            if run.state == "signing" and set(run.missing) & set(user.roles):
                tasks.append(Task(place, f"Release {run.run} waits for your signature", run.policy))
            elif run.state == "signed" and run.by == user.account.name:
                tasks.append(Task(place, f"Release {run.run} is signed and can leave", run.policy))
        return tasks

    def _tiles(self, user: CurrentUser) -> list[Tile]:
        tiles = []
        if user.holds(*SIGNERS):
            tiles.append(Tile("/releases", sum(1 for _ in run_statuses(self.installation)), "runs"))
        if user.holds("auditor", "privacy-officer", "security-officer"):
            tiles.append(Tile("/audit", f"{self.installation.audit.head()[0]:,}", "rows on the audit chain"))
        if user.holds("security-officer", "privacy-officer"):
            active = sum(p.state == "active" for p in self.installation.people.all())
            tiles.append(Tile("/people", active, "people"))
        return tiles
