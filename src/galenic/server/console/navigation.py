"""Navigation of the console: one entry per page, in groups, each shown to the roles that may open the page."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class RoleHolder(Protocol):
    """A user whose roles decide which links the navigation shows."""

    def holds(self, *roles: str) -> bool:
        """Whether the user holds one of these roles."""


@dataclass(frozen=True)
class NavigationLink:
    """A link of the navigation. icon: its name in components.html; roles: that see it, empty for everybody."""

    place: str
    label: str
    icon: str
    group: str = ""
    roles: frozenset[str] = frozenset()


CARE = frozenset({"clinician", "nurse", "pharmacist"})
ANALYSIS = frozenset({"researcher", "data-scientist", "privacy-officer"})
OFFICERS = frozenset({"security-officer", "privacy-officer"})
READERS = ANALYSIS | {"integration-engineer", "auditor"}

NAVIGATION: tuple[NavigationLink, ...] = (
    NavigationLink("/", "Home", "home"),
    NavigationLink("/patients", "Patients", "patient", "Work", CARE),
    NavigationLink("/data", "Data sets", "data", "Data", READERS),
    NavigationLink("/synthesis", "Synthesis", "synthesis", "Work", ANALYSIS),
    NavigationLink("/jobs", "Jobs", "job", "Work", READERS | {"security-officer"}),
    NavigationLink("/releases", "Releases", "release", "Work", ANALYSIS | {"clinician", "ethics-board", "auditor"}),
    NavigationLink("/budget", "Budget", "budget", "Data", ANALYSIS | {"auditor"}),
    NavigationLink("/consent", "Consent", "consent", "Data", frozenset({"privacy-officer"})),
    NavigationLink("/erasure", "Erasure requests", "erase", "Oversight", OFFICERS),
    NavigationLink("/reviews", "Emergency access", "emergency", "Oversight", OFFICERS),
    NavigationLink("/audit", "Audit log", "audit", "Oversight", OFFICERS | {"auditor"}),
    NavigationLink("/policy", "Access policy", "policy", "Oversight", OFFICERS | {"auditor"}),
    NavigationLink("/keys", "Keys", "key", "Oversight", frozenset({"security-officer", "auditor"})),
    NavigationLink("/care", "Care relations", "care", "Administration", OFFICERS | {"integration-engineer"}),
    NavigationLink("/people", "People", "people", "Administration", OFFICERS),
    NavigationLink("/clients", "Systems", "system", "Administration", OFFICERS),
    NavigationLink("/glossary", "Glossary", "book", "Help"),
    NavigationLink("/rest-api", "REST API", "code", "Help"),
)
"""A new page adds one entry here."""

GROUPS = ("", "Work", "Data", "Oversight", "Administration", "Help")


def navigation_of(path: str, user: RoleHolder | None) -> tuple[list[tuple[str, list[NavigationLink]]], str]:
    """(groups of links that the user sees, path of the link that leads to the current page)."""
    links = [link for link in NAVIGATION if user and (not link.roles or user.holds(*link.roles))]
    grouped = [(group, [link for link in links if link.group == group]) for group in GROUPS]
    return [(group, members) for group, members in grouped if members], current_place(path, (link.place for link in links))


def current_place(path: str, places: Iterable[str]) -> str:
    """The place among these that the path is at or below; "" for none."""
    fits = [place for place in places if path == place or (place != "/" and path.startswith(f"{place}/"))]
    return max(fits, key=len, default="")


def initials(name: str) -> str:
    """One or two capital letters for a person's name."""
    words = [word for word in name.replace("-", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"
