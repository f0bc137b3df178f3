"""Sufficient conditions for the most frequent invariants. False means: evaluate the FHIRPath rule.

A test compares both on every official example, and on changed copies of them.
"""

from collections.abc import Callable
from typing import Any

Node = dict[str, Any]
ANSWERS = ("batch-response", "transaction-response", "history")
REQUESTS = ("batch", "transaction", "history")


def _in_order(node: Node) -> bool:
    """per-1: start and end have the same form and offset, and the text of start sorts first."""
    start, end = node.get("start"), node.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return "_start" not in node and "_end" not in node and (start is None or end is None)
    return len(start) == len(end) and start[19:] == end[19:] and start <= end


def _all_or_none(part: str, kinds: tuple[str, ...]) -> Callable[[Node], bool]:
    """bdl-3, bdl-4: every entry has a request (a response), or none has, as the type of the Bundle requires."""

    def holds(node: Node) -> bool:
        wanted = node.get("type") in kinds
        return all((part in entry) == wanted for entry in node.get("entry", ()))

    return holds


def _distinct_urls(node: Node) -> bool:
    """bdl-7: no fullUrl occurs twice."""
    urls = [entry.get("fullUrl") for entry in node.get("entry", ())]
    return None not in urls and len(set(urls)) == len(urls)


SUFFICIENT: dict[str, Callable[[Node], bool]] = {
    "att-1": lambda node: "contentType" in node or ("data" not in node and "_data" not in node),
    "bdl-3": _all_or_none("request", REQUESTS),
    "bdl-4": _all_or_none("response", ANSWERS),
    "bdl-5": lambda node: "resource" in node,
    "bdl-7": _distinct_urls,
    "bdl-8": lambda node: "_fullUrl" not in node and "/_history/" not in node.get("fullUrl", ""),
    "obs-6": lambda node: "dataAbsentReason" not in node,
    "obs-7": lambda node: "component" not in node,
    "per-1": _in_order,
}
