"""Links in a resource that a transaction replaces: references, uri, url, oid, uuid, and href and src in narrative (R4, HTTP, 3.1.0.11.2)."""

import html
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from galenic.records.fhir.definitions import r4
from galenic.records.fhir.reference_validation import REFERENCE

LINKS = ("uri", "url", "oid", "uuid")  # canonical is not included: R4 says that canonicals are not replaced
TAG = re.compile(r"<(?:a|img)\s(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"(\s(?:href|src)\s*=\s*)(\"[^\"]*\"|'[^']*')", re.IGNORECASE)
Resolve = Callable[[str, bool], str]  # (text, True if it is Reference.reference) → replacement


@cache
def _plan(kind: str) -> dict[str, str]:
    """Types by property name: those that are links, or may contain some."""
    others = frozenset(r4().primitives) - {*LINKS, "xhtml"}
    found = {n: of.removeprefix("@") for e in r4().types[kind].elements for n, of in e.names() if of not in others}
    return {**found, "reference": "reference"} if kind == "Reference" else found


def rename_links(node: dict[str, Any], resolve: Resolve, kind: str = "") -> None:
    """Replaces the links of a valid resource, or of an element of a type, in place. A replaced value[x] of type uuid or oid
    becomes a uri, because the replacement is neither."""
    retyped: list[tuple[str, str]] = []
    plan = _plan(kind or node["resourceType"])
    for name, value in node.items():
        of = plan.get(name)
        if of is None:
            continue
        if isinstance(value, list):
            node[name] = [_renamed(one, of, resolve) for one in value]
        else:
            new = node[name] = _renamed(value, of, resolve)
            if of in ("oid", "uuid") and new != value:
                retyped.append((name, of))
    for name, of in retyped:
        other = name[: -len(of)] + "Uri"
        for mark in ("", "_"):
            if mark + name in node:
                node[mark + other] = node.pop(mark + name)


def _renamed(value: Any, of: str, resolve: Resolve) -> Any:
    if isinstance(value, dict):
        kind = value.get("resourceType", "") if of == "Resource" else of
        if kind:
            rename_links(value, resolve, kind)
        return value
    if not isinstance(value, str):
        return value
    if of == "xhtml":
        return TAG.sub(lambda tag: ATTRIBUTE.sub(lambda found: _attribute(found, resolve), tag[0]), value)
    return resolve(value, of == "reference")


def _attribute(found: re.Match[str], resolve: Resolve) -> str:
    text = html.unescape(found[2][1:-1])
    new = resolve(text, False)
    return found[0] if new == text else f'{found[1]}"{html.escape(new)}"'


def base_of(full_url: str | None) -> str | None:
    """The base URL of the relative references of an entry with a fullUrl; None for a fullUrl that has none."""
    match = REFERENCE.match(full_url) if full_url else None
    return match["base"] if match else None


def links_to(resource: dict[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Links in a valid resource that are among these, and their replacements."""
    found: dict[str, str] = {}

    def collect(text: str, _is_reference: bool) -> str:
        if text in names:
            found[text] = names[text]
        return text

    rename_links(resource, collect)
    return found
