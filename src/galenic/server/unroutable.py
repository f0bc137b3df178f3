"""Refusal of URLs and methods that the FHIR endpoint does not support, as OperationOutcome and with a correct Allow header."""

from collections.abc import Iterable
from typing import NoReturn

from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from galenic.errors import InputError, NotFoundError

OPERATION = ("$", "_")  # first characters of operations, and of interactions such as _history


class MethodNotAllowedError(InputError):
    """The URL does not support this method (405). allowed: the supported methods."""

    def __init__(self, message: str, allowed: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allowed = tuple(sorted(allowed))


class OperationNotSupportedError(NotFoundError):
    """The URL names an operation that is not supported (404)."""


class UnknownPath:
    """ASGI application for all URLs without a route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises the error for the URL."""
        refuse_path(Request(scope, receive, send))


def refuse_path(request: Request) -> NoReturn:
    """Raises the error for a URL with an unsupported method (405), an unsupported operation, or no meaning (404)."""
    allowed = {method for route in request.scope["router"].routes for method in _methods(route, request.scope)}
    if allowed:
        raise MethodNotAllowedError(f"the URL does not support this method. Expected: {', '.join(sorted(allowed))}.", allowed)
    segments = request.url.path.split("/")
    if any(s.startswith("$") for s in segments):
        raise OperationNotSupportedError("this operation is not supported. /fhir/metadata lists the supported operations.")
    if any(s.startswith("_") for s in segments):
        raise OperationNotSupportedError("this interaction is not supported. /fhir/metadata lists the supported interactions.")
    if len([s for s in segments if s]) == 4 and segments[2][:1].isupper() and segments[4][:1].isupper():
        raise OperationNotSupportedError(
            "compartment searches are not supported. Search the type by its reference, for example patient=…."
        )
    raise NotFoundError("the URL is not known to this server. /fhir/metadata lists the supported types and operations.")


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
