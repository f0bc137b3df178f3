"""Refusal of addresses and methods that the FHIR endpoint does not have, as OperationOutcome and with a correct Allow header."""

from collections.abc import Iterable
from typing import NoReturn

from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from galenic.errors import InputError, NotFoundError

OPERATION = ("$", "_")  # how the names of operations, and of interactions such as _history, begin


class MethodNotAllowedError(InputError):
    """The address does not have this method (405). allowed: the methods that it has."""

    def __init__(self, message: str, allowed: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allowed = tuple(sorted(allowed))


class OperationNotSupportedError(NotFoundError):
    """The address names an operation that is not served (404)."""


class UnknownPath:
    """ASGI application of every address that no route has."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises the error of the address."""
        refuse_path(Request(scope, receive, send))


def refuse_path(request: Request) -> NoReturn:
    """Raises the error of an address that has no such method (405), names an operation that is not served, or nothing (404)."""
    allowed = {method for route in request.scope["router"].routes for method in _methods(route, request.scope)}
    if allowed:
        raise MethodNotAllowedError(f"the address does not have this method. Expected: {', '.join(sorted(allowed))}.", allowed)
    segments = request.url.path.split("/")
    if any(s.startswith("$") for s in segments):
        raise OperationNotSupportedError(
            "the address names an operation that is not served here. /fhir/metadata lists those that are."
        )
    if any(s.startswith("_") for s in segments):
        raise OperationNotSupportedError(
            "the address names an interaction that is not served here. /fhir/metadata lists those that are."
        )
    if len([s for s in segments if s]) == 4 and segments[2][:1].isupper() and segments[4][:1].isupper():
        raise OperationNotSupportedError(
            "searches of a compartment are not served. Search the type by its reference, as in patient=…."
        )
    raise NotFoundError("the address names nothing that is served here. /fhir/metadata lists what is.")


def _methods(route: object, scope: Scope) -> Iterable[str]:
    """The methods of a route that has the path, if the path does not only look like an id or a type there."""
    if not isinstance(route, Route) or route.methods is None:
        return ()
    match, found = route.matches({**scope, "path_params": {}})
    if match == Match.NONE or not all(_is_name(k, str(v)) for k, v in found["path_params"].items()):
        return ()
    return route.methods


def _is_name(parameter: str, value: str) -> bool:
    from galenic.records.fhir import r4  # noqa: PLC0415

    return value in r4().resources if parameter == "resource_type" else not value.startswith(OPERATION)
