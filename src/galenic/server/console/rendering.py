"""Rendering of pages from their templates, with the navigation that the user's roles allow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from fastapi.responses import HTMLResponse

from galenic.server.console.navigation import initials, navigation_of
from galenic.version import __version__

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
"""Content-Security-Policy of reports that were made from patients' data: they run no script."""


CORRECT = "Nothing was saved. Correct the marked fields."


@dataclass(frozen=True)
class Message:
    """A message at the top of a page. error: it is about something that failed."""

    text: str
    error: bool = False

    @classmethod
    def of_error(cls, error: Exception) -> "Message":
        """The message of an error."""
        return cls(str(error), error=True)


@dataclass(frozen=True)
class TypedForm:
    """Values of a form as they were typed, and errors by field, for the page that shows the form again."""

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)


class Renderer:
    """The templates of the console."""

    def __init__(self) -> None:
        loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
        self.environment = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )

    def render(self, path: str, template: str, status: int, values: dict[str, Any]) -> HTMLResponse:
        """The page at a path. values: see `Console.render`."""
        user = values.pop("user", None)
        links, here = navigation_of(path, user)
        shared = {
            "user": user,
            "initials": initials(user.account.shown) if user else "",
            "version": __version__,
            "message": values.pop("message", None),
            "errors": values.pop("errors", {}),
            "nav": links,
            "here": here,
        }
        form_action = f"form-action 'self' {values.pop('form_to', '')}".rstrip()
        text = self.environment.get_template(template).render(**shared, **values)
        policy = CONTENT_POLICY.replace("form-action 'self'", form_action)
        return HTMLResponse(text, status, {"Content-Security-Policy": policy})
