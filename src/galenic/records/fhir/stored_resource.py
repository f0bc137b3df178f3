"""Restores a stored resource from its original bytes and the details of its Bundle."""

from collections.abc import Mapping
from typing import Any

from galenic.records.fhir.links import rename_links
from galenic.records.fhir.parsing import parse_exact
from galenic.records.fhir.to_events import short_code


def restore_resource(document: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The exact resource, with its assigned id and resolved references."""
    exact = parse_exact(document.encode())
    if "id" in about and "id" not in exact:
        exact = {"resourceType": exact["resourceType"], "id": about["id"], **exact}
    if "references" in about:
        renamed = about["references"]
        rename_links(exact, lambda text, _is_reference: str(renamed.get(text, text)))
    return exact


def rename_references(node: Any, renamed: dict[str, str]) -> None:
    """Replaces references in place."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            text = one.get("reference")
            if isinstance(text, str) and text in renamed:
                one["reference"] = renamed[text]
            stack += [v for v in one.values() if isinstance(v, dict | list)]
        else:
            stack += [v for v in one if isinstance(v, dict | list)]


def display_of(node: Any, code: str) -> str:
    """The display text of the coding that events call `code`; empty if the resource has none."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            if "display" in one and "code" in one and short_code(one.get("system"), one["code"]) == code:
                return str(one["display"])
            stack += [v for v in one.values() if isinstance(v, dict | list)]
        else:
            stack += [v for v in one if isinstance(v, dict | list)]
    return ""
