"""Pages of long lists, and numbers in forms."""

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


def parse_number(text: str, name: str = "epsilon") -> float:
    """A number from a form. OptionError if the text is none."""
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{name} is a number, 1 for instance.") from None


def router_of(routes: Sequence[tuple[str, str, Callable[..., Any]]]) -> APIRouter:
    """A router of pages from (method, path, handler)."""
    router = APIRouter(include_in_schema=False)
    for method, path, handler in routes:
        router.add_api_route(path, handler, methods=[method], response_model=None)
    return router
