"""Validation of extensions: absolute names, and the values and contexts that R4 defines for its own extensions (R4,
Extensibility, 2.5)."""

from typing import Any

from galenic.records.fhir.definitions import Element, r4
from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.primitives import ABSOLUTE

BASE = "http://hl7.org/fhir/StructureDefinition/"
EVERYWHERE = ("Element", "*")
SPECIAL = {  # types that R4 derives from others: an extension of the other one fits them, too
    "Age": "Quantity", "Count": "Quantity", "Distance": "Quantity", "Duration": "Quantity", "SimpleQuantity": "Quantity",
    "code": "string", "id": "string", "markdown": "string", "canonical": "uri", "url": "uri", "uuid": "uri", "oid": "uri",
    "positiveInt": "integer", "unsignedInt": "integer",
}  # fmt: skip


def path_of(kind: str, element: Element) -> str:
    """Path of an element in the notation of extension contexts."""
    return f"{kind}.{element.name}{'[x]' if element.choice else ''}"


def check_extension(node: dict[str, Any], places: tuple[str, ...], where: str, name: str) -> list[ValidationIssue]:
    """Issues of one extension. places: type of its parent, and the parent's path if it is an element."""
    url = node.get("url")
    if not isinstance(url, str):
        return []
    if "Extension" not in places and not ABSOLUTE.match(url):  # within an extension, short names are defined by that one
        what = "is not an absolute URL. Expected the URL of the extension's definition."
        return [ValidationIssue("error", f"{where}.url", "extension-url", what)]
    known = r4().extensions.get(url.removeprefix(BASE)) if url.startswith(BASE) else None
    if known is None:
        return []
    found = []
    value = next((k for k in node if k.startswith(("value", "_value"))), None)
    if value is not None and value.removeprefix("_") not in known.values:
        expected = ", ".join(known.values) or "nested extensions"
        what = f"has a value of the wrong type for this extension. Expected {expected}."
        found.append(ValidationIssue("error", where, "extension-value", what))
    elif value is None and known.values:
        what = f"has no value. Expected for this extension: {', '.join(known.values)}."
        found.append(ValidationIssue("error", where, "extension-value", what))
    if not _fits(places, known.contexts):
        what = f"is not allowed here by R4. Expected on: {', '.join(known.contexts)}."
        found.append(ValidationIssue("error", where, "extension-context", what))
    if known.modifier != (name == "modifierExtension"):
        expected = "modifierExtension" if known.modifier else "extension"
        found.append(
            ValidationIssue(
                "error",
                where,
                "extension-modifier",
                f"is of the wrong kind (extension or modifierExtension). Expected it in {expected}.",
            )
        )
    return found


def _fits(places: tuple[str, ...], contexts: tuple[str, ...]) -> bool:
    if any(c in EVERYWHERE for c in contexts):
        return True
    kinds = {*places, *(SPECIAL[p] for p in places if p in SPECIAL)}
    if places[0] in r4().resources:
        kinds |= {"Resource", "DomainResource"}
    if kinds & set(contexts):
        return True
    within = places[-1].partition(".")[2]  # contexts such as StructureDefinition.snapshot.element.binding.valueSet
    return bool(within) and any(c.count(".") > 1 and c.endswith(f".{within}") for c in contexts)
