"""Rendering of pages from their templates, with the navigation that the user's roles allow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jinja2
from fastapi.responses import HTMLResponse

from galenic.version import __version__

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
"""Content-Security-Policy of reports that were made from patients' data: they run no script."""

NAVIGATION: tuple[tuple[str, str, frozenset[str]], ...] = (  # path, label, roles that see it (empty: everybody)
    ("/", "Home", frozenset()),
    ("/patients", "Patients", frozenset({"clinician", "nurse", "pharmacist"})),
    ("/data", "Data", frozenset({"researcher", "data-scientist", "privacy-officer", "integration-engineer", "auditor"})),
    ("/synthesis", "Synthesis", frozenset({"researcher", "data-scientist", "privacy-officer"})),
    (
        "/jobs",
        "Jobs",
        frozenset({"researcher", "data-scientist", "privacy-officer", "integration-engineer", "auditor", "security-officer"}),
    ),
    (
        "/releases",
        "Releases",
        frozenset({"researcher", "data-scientist", "privacy-officer", "clinician", "ethics-board", "auditor"}),
    ),
    ("/budget", "Budget", frozenset({"researcher", "data-scientist", "privacy-officer", "auditor"})),
    ("/consent", "Consent", frozenset({"privacy-officer"})),
    ("/reviews", "Emergencies", frozenset({"privacy-officer"})),
    ("/audit", "Audit", frozenset({"auditor", "privacy-officer", "security-officer"})),
    ("/policy", "Policy", frozenset({"security-officer", "privacy-officer", "auditor"})),
    ("/keys", "Keys", frozenset({"security-officer", "auditor"})),
    ("/clients", "Systems", frozenset({"security-officer", "privacy-officer"})),
    ("/people", "People", frozenset({"security-officer", "privacy-officer"})),
)


class RoleHolder(Protocol):
    """A user whose roles decide which links the navigation shows."""

    def holds(self, *roles: str) -> bool:
        """Whether the user holds one of these roles."""


@dataclass(frozen=True)
class Message:
    """A message at the top of a page. error: it is about something that failed."""

    text: str
    error: bool = False

    @classmethod
    def of_error(cls, error: Exception) -> "Message":
        """The message of an error."""
        return cls(str(error), error=True)


class Renderer:
    """The templates of the console."""

    def __init__(self) -> None:
        loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
        self.environment = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )

    def render(self, path: str, template: str, status: int, values: dict[str, Any]) -> HTMLResponse:
        """The page at a path. values: see `Console.render`."""
        user: RoleHolder | None = values.pop("user", None)
        shared = {"user": user, "version": __version__, "message": values.pop("message", None), **_navigation(path, user)}
        form_action = f"form-action 'self' {values.pop('form_to', '')}".rstrip()
        text = self.environment.get_template(template).render(**shared, **values)
        policy = CONTENT_POLICY.replace("form-action 'self'", form_action)
        return HTMLResponse(text, status, {"Content-Security-Policy": policy})


def _navigation(path: str, user: RoleHolder | None) -> dict[str, object]:
    """The links that the user sees, and the one that leads to the current page."""
    links = [(place, label) for place, label, roles in NAVIGATION if user and (not roles or user.holds(*roles))]
    here = next((p for p, _ in reversed(links) if path == p or (p != "/" and path.startswith(p))), "")
    return {"nav": links, "here": here}
