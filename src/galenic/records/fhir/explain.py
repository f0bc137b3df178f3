"""Explanation of JSON Schema errors: place, rule and remedy, never a value."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from galenic.records.fhir.definitions import Element, Type, r4
from galenic.records.fhir.issue import ValidationIssue
from galenic.records.fhir.primitives import FORMS, PATTERNS, form_of

WHOLE = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
NAMES = {"absolute": "uri", "mime": "code", "mime-or-format": "code", "element-id": "string"}
TYPE_NAME = Element("resourceType", False, 0, 1, ("code",), (), None, False, ())


def explain(node: Any, kind: str, where: str) -> Iterator[ValidationIssue]:
    """The issues of one object of a type ("Patient", "@Patient.contact", "HumanName")."""
    if not isinstance(node, dict):
        yield ValidationIssue("error", where, "structure", f"is not an object. Expected {kind.removeprefix('@')}.")
        return
    if not node:
        yield ValidationIssue("error", where, "ele-1", "is an empty object. Leave it out.")
        return
    type_ = r4().types[kind.removeprefix("@")]
    if node.keys() == {"id"} and type_.path not in (*r4().resources, "Element"):
        yield ValidationIssue(
            "error", where, "ele-1", "has an id and nothing else. Give it a value or extensions, or leave it out."
        )
    known = {name: (element, of) for element in type_.elements for name, of in element.names() if element.most != 0}
    if "." not in type_.path:
        known["resourceType"] = (TYPE_NAME, "code")
    for name, value in node.items():
        plain = name.removeprefix("_")
        if plain not in known or (name != plain and known[plain][1] not in r4().primitives):
            yield _unknown(name, known, type_, where)
            continue
        element, of = known[plain]
        if name != plain:
            yield from _explain_value(value, element, "Element", f"{where}.{name}", beside=True, other=None)
        else:
            form = form_of(type_.path, element, of, is_resource=type_.path in r4().resources)
            yield from _explain_value(value, element, form, f"{where}.{name}", beside=False, other=node.get("_" + name))
    yield from _explain_presence(node, type_, where)


def _unknown(name: str, known: dict[str, Any], type_: Type, where: str) -> ValidationIssue:
    near = difflib.get_close_matches(name, known, 1)
    shown = name if re.fullmatch(r"\w{1,64}", name) else "(an invalid element name)"
    hint = f" Did you mean {near[0]}?" if near else ""
    return ValidationIssue("error", f"{where}.{shown}", "unknown-element", f"is not an element of {type_.path} in R4.{hint}")


def _explain_presence(node: dict[str, Any], type_: Type, where: str) -> Iterator[ValidationIssue]:
    for element in type_.elements:
        forms = [n for n, _ in element.names() if n in node or "_" + n in node]
        if element.least and not forms:
            yield ValidationIssue("error", f"{where}.{element.name}", "cardinality", f"is missing. {type_.path} requires it.")
        if len(forms) > 1:
            what = f"has {len(forms)} forms ({', '.join(forms)}). Keep one."
            yield ValidationIssue("error", f"{where}.{element.name}", "choice", what)
    if type_.path == "Extension":
        has = any(n.startswith(("value", "_value")) for n in node)
        if has == ("extension" in node):
            yield ValidationIssue("error", where, "ext-1", "needs either a value or extensions, and not both.")


def _explain_value(
    value: Any, element: Element, kind: str, where: str, *, beside: bool, other: Any
) -> Iterator[ValidationIssue]:
    if element.listed != isinstance(value, list):
        what = "may repeat, so it must be a list" if element.listed else "does not repeat, so it must not be a list"
        yield ValidationIssue("error", where, "cardinality", f"{what}.")
        return
    if not isinstance(value, list):
        yield from _explain_one(value, element, kind, where)
        return
    if not value:
        yield ValidationIssue("error", where, "ele-1", "is an empty list. Leave it out.")
    if element.most is not None and len(value) > element.most:
        yield ValidationIssue("error", where, "cardinality", f"has {len(value)} values; at most {element.most} are allowed.")
    for i, one in enumerate(value):
        if one is None and (beside or (isinstance(other, list) and i < len(other) and other[i] is not None)):
            continue
        yield from _explain_one(one, element, kind, f"{where}[{i}]")


def _explain_one(value: Any, element: Element, kind: str, where: str) -> Iterator[ValidationIssue]:
    if value is None:
        yield ValidationIssue("error", where, "null", "is null. Leave it out.")
    elif kind == "Resource":
        if not isinstance(value, dict) or "resourceType" not in value:
            yield ValidationIssue("error", where, "resource-type", "is not a resource: it has no resourceType.")
    elif kind not in r4().primitives and kind not in PATTERNS:
        yield from explain(value, kind, where)
        if element.binding and kind == "CodeableConcept" and isinstance(value, dict):
            codes = r4().codes.get(element.binding, {})
            given = [c for c in value.get("coding", ()) if isinstance(c, dict)] if isinstance(value.get("coding"), list) else []
            if codes and not any(c.get("code") in codes.get(str(c.get("system")), ()) for c in given):
                what = f"requires a code of {element.binding}. {_wrong_part(codes, given)}"
                yield ValidationIssue("error", where, "binding", what)
    else:
        yield from _explain_primitive(value, element, kind, where)


def _wrong_part(codes: dict[str, list[str]], given: list[dict[str, Any]]) -> str:
    """Text that states if the system, the code or both are wrong in the codings of a concept."""
    systems = " or ".join(codes)
    if not given:
        return f"It has no coding. Expected one with the system {systems}."
    if any(c.get("system") in codes for c in given):
        known = next(codes[c["system"]] for c in given if c.get("system") in codes)
        return f"The system is correct, but it does not have this code: {_some(known)}."
    if any(c.get("code") in some for c in given for some in codes.values()):
        state = "has another system" if any("system" in c for c in given) else "has no system"
        return f"The code is correct, but {state}. Expected {systems}."
    return (
        f"Neither the system nor the code is correct. Expected the system {systems} with a code such as "
        f"{_some(next(iter(codes.values())))}."
    )


def _some(codes: list[str]) -> str:
    return ", ".join(codes[:12]) + (", …" if len(codes) > 12 else "")


def _explain_primitive(value: Any, element: Element, kind: str, where: str) -> Iterator[ValidationIssue]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {"boolean": isinstance(value, bool), "decimal": number}
    if kind in WHOLE:
        fits[kind] = number and float(value).is_integer()
    if not fits.get(kind, isinstance(value, str)):
        yield ValidationIssue("error", where, "type", f"has the wrong JSON type. Expected {kind}.")
    elif kind in WHOLE:
        if not WHOLE[kind] <= value < 2**31:
            what = f"is out of range. Expected a {kind} of at least {WHOLE[kind]} and below 2147483648."
            yield ValidationIssue("error", where, "range", what)
    elif element.binding and kind == "code" and element.binding in r4().codes:
        codes = sorted({c for some in r4().codes[element.binding].values() for c in some})
        if value not in codes:
            what = f"is not one of the codes that {element.binding} allows: {_some(codes)}."
            yield ValidationIssue("error", where, "binding", what)
    elif kind in PATTERNS and not re.fullmatch(PATTERNS[kind].removeprefix("^").removesuffix("$"), value):
        yield ValidationIssue(
            "error",
            where,
            "format",
            f"is not a valid {NAMES.get(kind, kind)}. Expected {FORMS.get(kind, 'the form that R4 defines')}.",
        )
