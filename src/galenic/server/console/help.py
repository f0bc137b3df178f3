"""Help pages of the console: the glossary, and the reference of the REST API."""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from galenic.release import glossary
from galenic.server.console.paging import router_of
from galenic.server.console.session import Console
from galenic.server.openapi import openapi

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One operation of the REST API. parameters: (name, place, description)."""

    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[tuple[str, str, str], ...]
    responses: tuple[tuple[str, str], ...]


class HelpPages:
    """Help pages of the console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of([("GET", "/glossary", self.show_glossary), ("GET", "/rest-api", self.show_api)])

    def show_glossary(self, request: Request, find: str = "") -> Response:
        """Terms that pages and reports use, with the ones that contain a text."""
        user = self.console.require_user(request)
        wanted = find.strip().casefold()
        terms = [t for t in glossary() if wanted in f"{t.term} {t.symbol} {' '.join(t.names)} {t.text}".casefold()]
        return self.console.render(request, "glossary.html", user=user, terms=terms, find=find)

    def show_api(self, request: Request) -> Response:
        """The operations of the REST API, from its OpenAPI description."""
        user = self.console.require_user(request)
        operations = operations_of(json.loads(openapi(self.console.base)))
        return self.console.render(request, "api.html", user=user, operations=operations, base=self.console.base)


def operations_of(description: dict[str, Any]) -> list[Operation]:
    """The operations of an OpenAPI description, in its order."""
    return [
        Operation(
            method.upper(),
            path,
            operation.get("summary", ""),
            operation.get("description", ""),
            tuple(_parameter(p) for p in (*item.get("parameters", ()), *operation.get("parameters", ())) if "name" in p),
            tuple((status, str(r.get("description", ""))) for status, r in operation.get("responses", {}).items()),
        )
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def _parameter(parameter: dict[str, Any]) -> tuple[str, str, str]:
    return (parameter["name"], parameter["in"], str(parameter.get("description", "")))
