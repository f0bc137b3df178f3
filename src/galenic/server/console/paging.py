"""Pages of long lists, and numbers in forms."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter

from galenic.errors import OptionError

PAGE_SIZE = 20
T = TypeVar("T")


def page_of(items: Iterable[T], number: int) -> tuple[list[T], bool]:
    """(the items of a page, whether there are more). number: of the page, from 1."""
    start = (max(number, 1) - 1) * PAGE_SIZE
    page: list[T] = []
    for i, item in enumerate(items):
        if i >= start + PAGE_SIZE:
            return page, True
        if i >= start:
            page.append(item)
    return page, False


SMALLEST_EPSILON, LARGEST_EPSILON = 0.01, 10.0


def parse_epsilon(text: str, *, most: float = LARGEST_EPSILON) -> float:
    """A privacy parameter ε from a form. OptionError if it is no number in the range."""
    expected = f"Expected a number from {SMALLEST_EPSILON:g} to {most:g}, such as 1."
    typed = text.strip()
    if re.fullmatch(r"[0-9]+,[0-9]+", typed):
        raise OptionError(f"ε contains a comma. {expected} Use a point for decimals: {typed.replace(',', '.')}")
    try:
        value = float(typed)
    except ValueError:
        raise OptionError(f"ε is not a number. {expected}") from None
    if not SMALLEST_EPSILON <= value <= most:
        raise OptionError(f"ε is {'not above 0' if value <= 0 else 'out of range'}. {expected}")
    return value


def router_of(routes: Sequence[tuple[str, str, Callable[..., Any]]]) -> APIRouter:
    """A router of pages from (method, path, handler)."""
    router = APIRouter(include_in_schema=False)
    for method, path, handler in routes:
        router.add_api_route(path, handler, methods=[method], response_model=None)
    return router
