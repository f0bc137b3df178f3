"""JSON Schemas of R4 resources, built from the definitions: one fast pass (in Rust) before the slower checks."""

from functools import cache
from typing import Any

import jsonschema_rs

from galenic.records.fhir.definitions import Element, Type, r4
from galenic.records.fhir.primitives import NARROWER, PATTERNS, form_of

Schema = dict[str, Any]
STANDS_ALONE = {
    "Resource"
}  # validated as a resource of its own: contained, Bundle.entry.resource, Parameters.parameter.resource

LONGEST = 1_048_576  # characters of a string


def _primitive(name: str) -> Schema:
    if name == "boolean":
        return {"type": "boolean"}
    if name in ("integer", "unsignedInt", "positiveInt"):
        least = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}[name]
        return {"type": "integer", "minimum": least, "maximum": 2**31 - 1}
    if name == "decimal":
        return {"type": "number"}
    if name == "xhtml":
        return {"type": "string", "minLength": 1}
    schema: Schema = {"type": "string", "pattern": PATTERNS[name]}
    return {**schema, "maxLength": LONGEST} if name in ("string", "markdown") else schema


def _codes(binding: str) -> list[str] | None:
    found = r4().codes.get(binding)
    return sorted({c for some in found.values() for c in some}) if found else None


def _bound_concept(binding: str) -> Schema:
    """Requires at least one coding whose system and code are in the value set."""
    found = r4().codes.get(binding) or {}
    some = [
        {"properties": {"system": {"const": s}, "code": {"enum": codes}}, "required": ["system", "code"]}
        for s, codes in found.items()
    ]
    return {"properties": {"coding": {"contains": {"anyOf": some}}}, "required": ["coding"]} if some else {}


def _value(element: Element, kind: str, type_: Type) -> Schema:
    """One value, not a list of them."""
    if kind in STANDS_ALONE:
        return {"type": "object", "required": ["resourceType"]}
    if kind not in r4().primitives:
        refer = {"$ref": f"#/definitions/{kind.removeprefix('@')}"}
        if element.binding and kind == "CodeableConcept":
            return {"allOf": [refer, _bound_concept(element.binding)]}
        return refer
    codes = _codes(element.binding) if element.binding and kind == "code" else None
    if codes is not None:
        return {"enum": codes}
    form = form_of(type_.path, element, kind, is_resource=type_.path in r4().resources)
    return {"$ref": f"#/definitions/{form}"}


def _property(element: Element, kind: str, type_: Type, *, nulls: bool) -> Schema:
    one = _value(element, kind, type_)
    if not element.listed:
        return one
    many: Schema = {"type": "array", "minItems": 1, "items": one}
    if kind in r4().primitives and nulls:
        many["items"] = {"anyOf": [one, {"type": "null"}]}
    if element.most is not None:
        many["maxItems"] = element.most
    return many


def _beside(element: Element) -> Schema:
    """`_name`: id and extensions of a primitive."""
    one: Schema = {"$ref": "#/definitions/Element"}
    return {"type": "array", "minItems": 1, "items": {"anyOf": [one, {"type": "null"}]}} if element.listed else one


def _dependent(element: Element, forms: list[str]) -> dict[str, Schema]:
    """Rule for a choice: if one form is present, no other may be."""
    if not element.choice:
        return {}
    plain = {form: form.removeprefix("_") for form in forms}
    return {form: {"properties": dict.fromkeys((f for f in forms if plain[f] != plain[form]), False)} for form in forms}


def _object(type_: Type, *, nulls: bool) -> Schema:
    properties: dict[str, Any] = {}
    schema: Schema = {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": properties}
    required: list[str] = []
    if type_.path in r4().resources:
        properties["resourceType"] = {"const": type_.path}
        required.append("resourceType")
    elif type_.path != "Element":  # ele-1: an element has a value or children, and an id is neither; Element is beside a value
        schema["anyOf"] = [{"minProperties": 2}, {"not": {"required": ["id"]}}]
    for element in type_.elements:
        if element.most == 0:
            continue
        for name, kind in element.names():
            properties[name] = _property(element, kind, type_, nulls=nulls)
            if kind in r4().primitives and kind != "xhtml":
                properties["_" + name] = _beside(element)
        forms = [n for name, _ in element.names() for n in (name, "_" + name) if n in properties]
        if element.least and len(forms) == 1:
            required.append(forms[0])
        elif element.least:
            schema.setdefault("allOf", []).append({"anyOf": [{"required": [f]} for f in forms]})
        schema.setdefault("dependentSchemas", {}).update(_dependent(element, forms))
    if required:
        schema["required"] = required
    return _extension(schema) if type_.path == "Extension" else schema


def _extension(schema: Schema) -> Schema:
    """ext-1: a value or extensions, never both, never neither."""
    values = [name for name in schema["properties"] if name.startswith(("value", "_value"))]
    schema["anyOf"] = [{"required": [name]} for name in ("extension", *values)]  # an id alone is refused by this, too
    schema["dependentSchemas"]["extension"] = {"properties": dict.fromkeys(values, False)}
    return schema


def schema_of(resource: str, *, nulls: bool = False) -> Schema:
    """JSON Schema (2020-12) of one resource type, with the definitions that it reaches.

    nulls: True if lists of primitives may contain null for values that have only extensions.
    """
    definitions: dict[str, Schema] = {f: {"type": "string", "pattern": PATTERNS[f]} for f in NARROWER}
    waiting = [resource, "Element"]
    while waiting:
        name = waiting.pop()
        if name in definitions:
            continue
        if name in r4().primitives:
            definitions[name] = _primitive(name)
            continue
        type_ = r4().types[name]
        definitions[name] = _object(type_, nulls=nulls)
        for element in type_.elements:
            waiting += [k.removeprefix("@") for k in element.types if k not in STANDS_ALONE]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/definitions/{resource}",
        "definitions": definitions,
    }


@cache
def validator(resource: str, nulls: bool = False) -> jsonschema_rs.Draft202012Validator:
    """The compiled validator of one resource type."""
    return jsonschema_rs.Draft202012Validator(schema_of(resource, nulls=nulls))
