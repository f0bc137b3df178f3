"""De-identification of FHIR R4 resources: each element by its data type and path, according to fhir.toml; all others are left
out."""

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from galenic.privacy.deidentification.rules import fhir_people as people
from galenic.privacy.deidentification.rules import fhir_values as values
from galenic.privacy.deidentification.rules.codes import hl7_code_words, known_words
from galenic.privacy.deidentification.rules.fhir_rules import OMITTED, FhirRules, Json, rule_file
from galenic.privacy.deidentification.rules.questions import asks_age, asks_person, texts_and_codes
from galenic.privacy.text import check_time
from galenic.records.fhir import r4

_MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}
_AGES = re.compile(r"(?:age|onset|abatement|deceased|born)(?:Age|Range|String|Quantity)?")  # elements that may hold an age

_VALUES = re.compile(
    r"value(?:String|Markdown|Uri|Url|Integer|Decimal|Quantity|Coding|CodeableConcept|Address|HumanName|ContactPoint|Reference)$"
)


def deidentify_resource(resource: dict[str, Any], rules: FhirRules) -> dict[str, Any]:
    """A valid R4 resource, or a Bundle with all its resources, without identifiers.

    Elements that R4 does not define, and values that no rule allows, are left out and counted. If R4 requires a value, its
    absence is marked as masked.
    """
    kind = str(resource["resourceType"])
    out: dict[str, Any] = {"resourceType": kind}
    out |= _object(resource, kind, kind, rules)
    return out


def _object(node: dict[str, Any], type_: str, path: str, rules: FhirRules) -> dict[str, Any]:
    names = _properties(type_)
    out: dict[str, Any] = {}
    before = rules.about_age, rules.about_person
    _set_question(node, type_.removeprefix("@"), rules)
    for name, value in node.items():
        if name == "resourceType":
            continue
        bare = name.removeprefix("_")
        if bare not in names:
            rules.omissions[f"{path}.(unknown)"] += 1
            continue
        here = f"{path}.{bare}"
        if name != bare:  # id and extensions of a primitive
            new = _each(value, partial(_primitive_extensions, path=here, rules=rules))
            if isinstance(value, list) and len(value) != len(new if isinstance(new, list) else ()):
                new = OMITTED
        else:
            new = _property(value, names[bare], here, rules)
            if new is OMITTED and names[bare].required:
                out.update(_masked(bare, names[bare].of, value))
        if new is not OMITTED and name not in out:
            out[name] = new
    rules.about_age, rules.about_person = before
    return out


def _property(value: Json, element: "_Property", path: str, rules: FhirRules) -> Json:
    before = rules.about_age
    if rules.about_person and _VALUES.match(path.rpartition(".")[2]):
        return rules.omit(path)
    rules.about_age = before or _AGES.fullmatch(path.rpartition(".")[2]) is not None
    new = _each(value, partial(_element, element=element, path=path, rules=rules))
    rules.about_age = before
    return new


def _masked(name: str, of: str, value: Json) -> dict[str, Any]:
    """The mark that a mandatory value was left out."""
    if of in ("Resource", "DomainResource", "xhtml", "Narrative", "Extension"):
        return {}
    mark = [_MASKED] if isinstance(value, list) else _MASKED
    return {f"_{name}" if of in r4().primitives else name: mark}


def _each(value: Json, do: Callable[[Json], Json]) -> Json:
    if not isinstance(value, list):
        return do(value)
    remaining = [n for v in value if (n := do(v)) is not OMITTED]
    return remaining or OMITTED


class _Property:
    """A JSON property: the type of its value, the path that fhir.toml may name, R4's binding, whether R4 demands it."""

    __slots__ = ("binding", "element", "of", "required")

    def __init__(self, of: str, element: str, binding: str | None, *, required: bool) -> None:
        self.of, self.element, self.binding, self.required = of, element, binding, required


@cache
def _properties(type_: str) -> dict[str, _Property]:
    base = type_.removeprefix("@")
    return {
        name: _Property(of, f"{base}.{name}", one.binding, required=one.least > 0)
        for one in r4().types[base].elements
        for name, of in one.names()
    }


def _element(value: Json, element: _Property, path: str, rules: FhirRules) -> Json:
    check_time()
    if value is None:
        return value
    of, rule = element.of, rule_file()
    name = element.element.rpartition(".")[2]
    treatment = rule["elements"].get(element.element) or (rule["names"].get(name) if of in ("string", "markdown") else None)
    treatment = treatment or rule["types"].get(of)
    if treatment == "drop":
        return rules.omit(path)
    if treatment == "code":
        return values.code(value, element.binding, path, rules)
    if treatment is not None:
        return _TREATMENTS[treatment](value, of, path, rules)
    if of in ("Resource", "DomainResource"):
        known = isinstance(value, dict) and value.get("resourceType") in r4().resources
        return deidentify_resource(value, rules) if known else rules.omit(path)
    if isinstance(value, dict) and of not in r4().primitives:
        return _part(value, of, path, rules) or OMITTED
    return rules.omit(path)  # a type without a rule


def _part(node: dict[str, Any], type_: str, path: str, rules: FhirRules) -> dict[str, Any]:
    """A part of an element, or an entry of a Bundle, whose dates move with those of its own patient."""
    before = rules.replacer
    if rules.replacer_for is not None and path == "Bundle.entry":
        rules.replacer = rules.replacer_for(node.get("resource", {}))
    clean = _object(node, type_, path, rules)
    rules.replacer = before
    return clean


def _primitive_extensions(value: Json, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict):
        return value
    extensions = _each(value.get("extension", []), lambda one: _extension(one, "Extension", f"{path}.extension", rules))
    return OMITTED if extensions is OMITTED or not extensions else {"extension": extensions}


def _set_question(node: dict[str, Any], type_: str, rules: FhirRules) -> None:
    """Set what the values of an observation, an answer or a parameter are about; an answer's item also asks what the items around it ask."""
    if type_ not in ("Observation", "Observation.component", "QuestionnaireResponse.item", "Parameters.parameter"):
        return
    texts, codes = texts_and_codes(node.get("code"))
    texts += [*codes, *(str(node[k]) for k in ("text", "linkId", "name") if isinstance(node.get(k), str))]
    within = type_ != "Observation"
    rules.about_age = asks_age(texts, codes) or (within and rules.about_age)
    rules.about_person = asks_person(texts) or (within and rules.about_person)


def _concept(value: Json, of: str, path: str, rules: FhirRules) -> Json:
    """A coded concept: its codings, and its text without identifiers."""
    if not isinstance(value, dict):
        return OMITTED
    out = _object({k: v for k, v in value.items() if k != "text"}, "CodeableConcept", path, rules)
    if isinstance(value.get("text"), str):
        out["text"] = values.free_text(value["text"], of, path, rules)
        if out["text"] is OMITTED:
            del out["text"]
    return out or OMITTED


def _identifier(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict):
        return OMITTED
    out = people.identifier(value, path, rules)
    type_ = _concept(value.get("type"), "CodeableConcept", f"{path}.type", rules)
    return (out if type_ is OMITTED else {**out, "type": type_}) or OMITTED


def _reference(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict):
        return OMITTED
    out: dict[str, Any] = {}
    if isinstance(value.get("reference"), str):
        out["reference"] = values.reference(value["reference"], rules)
    if value.get("type") in r4().resources:
        out["type"] = value["type"]
    if isinstance(value.get("identifier"), dict):
        identifier = _identifier(value["identifier"], "", path, rules)
        out |= {} if identifier is OMITTED else {"identifier": identifier}
    if "display" in value:  # usually a person's name
        rules.omissions[f"{path}.display"] += 1
    return out or OMITTED


def _extension(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    url = value.get("url") if isinstance(value, dict) else None
    if url not in rule_file()["extensions"]["keep"]:
        rules.omissions[f"{path}(unknown extension)"] += 1
        return OMITTED
    out: dict[str, Any] = {}
    if "extension" in value:
        inner = _each(value["extension"], lambda one: _extension(one, "Extension", path, rules))
        out |= {} if inner is OMITTED else {"extension": inner}
    for name, one in value.items():
        new: Json = OMITTED
        if name == "valueCoding":
            new = values.coding(one, "Coding", path, rules)
        elif name == "valueCodeableConcept":
            new = _concept(one, "CodeableConcept", path, rules)
        elif name == "valueCode":
            new = one if one in known_words("absent") or one in hl7_code_words() else rules.omit(path)
        elif name == "valueBoolean":
            new = values.keep(one, "boolean", path, rules)
        elif name == "valueString":
            new = values.display(one, "string", path, rules)
        if new is not OMITTED:
            out[name] = new
    return {"url": url, **out} if out else OMITTED


_TREATMENTS: dict[str, Callable[[Json, str, str, FhirRules], Json]] = {
    "keep": values.keep, "time": values.time, "text": values.free_text, "label": values.label, "display": values.display, "date": values.date,
    "id": values.resource_id, "version": values.version_id, "linkId": values.link_id, "number": values.number, "quantity": values.quantity,
    "samples": values.samples, "coding": values.coding, "link": values.link, "request": values.request, "typename": values.type_name,
    "organisation": values.whole("organisation"), "device": values.whole("device"), "name": people.name, "place": people.address,
    "telecom": people.telecom, "attachment": people.attachment, "narrative": people.narrative, "identifier": _identifier,
    "reference": _reference, "extension": _extension, "concept": _concept,
}  # fmt: skip
