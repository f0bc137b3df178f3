"""FHIR R4 resources without identity: each element by what its type is, by rules in fhir.toml."""

import base64
import binascii
import hmac
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.resources import files
from typing import Any

from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings, deidentify_text, reveals_age_over_89
from galenic.records.fhir import r4

Node = Any
GONE = object()  # an element that is left out
_REFERENCE = re.compile(
    r"^(?P<base>https?://.+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?P<rest>/_history/.*|#.*)?$"
)
_URN = re.compile(r"^urn:(?:uuid|oid):(?P<id>.+)$")
_TAGS = re.compile(r"(<[^>]*>)")
_IN_TAG = re.compile(r"\s(?:href|src|title|alt|name|id)\s*=\s*(?:\"[^\"]*\"|'[^']*')", re.I)
# what stays of an address: the policy says how much of the rest
_ADDRESS = {"state": "keep", "country": "keep", "use": "keep", "type": "keep", "postalCode": "code"}


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads(files("galenic.privacy.deidentification.rules").joinpath("fhir.toml").read_text(encoding="utf-8"))


@dataclass
class FhirRules:
    """What one data set's resources go through. key: 32 bytes of the run (or of the house): ids become tokens under it.
    replacer: of the patient whom the resource is about."""

    detector: Detector
    replacer: Replacer
    key: bytes
    known: StatedIdentifiers | None = None
    taken: TextFindings = field(default_factory=TextFindings)
    dropped: Counter[str] = field(default_factory=Counter)  # by path: elements and extensions that were left out
    keep: Callable[[str, str, str], None] | None = None  # (token, kind, value): the vault's, where tokens are to lead back

    def token(self, kind: str, text: str) -> str:
        """A keyed token: the same for the same text, and no way back without the key, or the vault."""
        token = hmac.digest(self.key, f"{kind}\0{text}".encode(), "sha256")[:16].hex()
        if self.keep is not None:
            self.keep(token, kind, text)
        return token


def deidentify_resource(resource: dict[str, Any], rules: FhirRules) -> dict[str, Any]:
    """A valid R4 resource (a Bundle with all it holds) without what identifies. Elements that its definition does not have, and
    extensions that are not known to be harmless, are left out and counted."""
    kind = str(resource["resourceType"])
    out: dict[str, Any] = {"resourceType": kind}
    out |= _object(resource, kind, kind, rules)
    return out


def _object(node: dict[str, Any], type_: str, path: str, rules: FhirRules) -> dict[str, Any]:
    names = _properties(type_)
    out: dict[str, Any] = {}
    for name, value in node.items():
        if name == "resourceType":
            continue
        bare = name.removeprefix("_")
        if bare not in names:
            rules.dropped[f"{path}.(unknown)"] += 1
            continue
        of, element = names[bare]
        here = f"{path}.{bare}"
        if name != bare:  # id and extensions of a primitive
            new = _each(value, partial(_beside, path=here, rules=rules))
        else:
            new = _each(value, partial(_element, of=of, element=element, path=here, rules=rules))
        if new is not GONE:
            out[name] = new
    return out


def _each(value: Node, do: Callable[[Node], Node]) -> Node:
    if not isinstance(value, list):
        return do(value)
    kept = [n for v in value if (n := do(v)) is not GONE]
    return kept or GONE


@cache
def _properties(type_: str) -> dict[str, tuple[str, str]]:
    """By JSON name: type of its value, and the path by which fhir.toml may name it."""
    base = type_.removeprefix("@")
    found = {}
    for element in r4().types[base].elements:
        for name, of in element.names():
            found[name] = (of, f"{base}.{name}")
    return found


def _element(value: Node, of: str, element: str, path: str, rules: FhirRules) -> Node:
    if value is None:
        return value
    said = _rules()
    how = said["elements"].get(element) or said["types"].get(of)
    if how == "drop":
        rules.dropped[path] += 1
        return GONE
    if how is not None:
        return _TREATED[how](value, of, path, rules)
    if of in ("Resource", "DomainResource"):
        return (
            deidentify_resource(value, rules)
            if isinstance(value, dict) and value.get("resourceType") in r4().resources
            else GONE
        )
    if isinstance(value, dict):
        return _object(value, of, path, rules) or GONE
    return value  # a primitive whose type says that it is none of anybody's


def _beside(value: Node, path: str, rules: FhirRules) -> Node:
    if not isinstance(value, dict):
        return value
    kept = _each(value.get("extension", []), lambda one: _extension(one, "Extension", f"{path}.extension", rules))
    return GONE if kept is GONE or not kept else {"extension": kept}


# one function for each treatment of fhir.toml: (value, type, path, rules)


def _keep(value: Node, _of: str, _path: str, _run: FhirRules) -> Node:
    return value


def _scan(value: Node, _of: str, _path: str, rules: FhirRules) -> Node:
    return deidentify_text(value, rules.detector, rules.replacer, rules.known, rules.taken) if isinstance(value, str) else value


def _concept(value: Node, of: str, path: str, rules: FhirRules) -> Node:
    """A coded concept: its text is scanned unless it only repeats what a coding is called."""
    if not isinstance(value, dict):
        return GONE
    called = {c.get("display") for c in value.get("coding", ()) if isinstance(c, dict)}
    out = _object({k: v for k, v in value.items() if k != "text"}, "CodeableConcept", path, rules)
    if isinstance(value.get("text"), str):
        out["text"] = (
            _called(value["text"], of, path, rules) if value["text"] in called else _scan(value["text"], of, path, rules)
        )
    return out or GONE


def _called(value: Node, _of: str, _path: str, rules: FhirRules) -> Node:
    """What a code is called: words of a terminology, in which only what is known of the patient, and what has a form, is looked for."""
    plain = replace(rules.detector, tagger=None)
    return deidentify_text(value, plain, rules.replacer, rules.known, rules.taken) if isinstance(value, str) else GONE


def _whole(kind: str) -> Callable[[Node, str, str, FhirRules], Node]:
    """An element that is an identifier as a whole."""

    def treat(value: Node, _of: str, _path: str, rules: FhirRules) -> Node:
        if not isinstance(value, str):
            return GONE
        rules.taken.found[kind, "field"] += 1
        return rules.replacer.value(kind, value)

    return treat


def _name(value: Node, _of: str, path: str, rules: FhirRules) -> Node:
    if not isinstance(value, dict) or rules.replacer.policy["name"] == "redact":
        rules.taken.found["name", "field"] += 1
        rules.replacer.count("name", "redact")
        rules.dropped[path] += 1
        return GONE
    out: dict[str, Any] = {}
    for part, one in value.items():
        if part in ("use", "prefix", "suffix"):
            out[part] = one
        elif part in ("family", "text"):
            out[part] = _whole("name")(one, "", path, rules)
        elif part == "given":
            out[part] = [_whole("name")(g, "", path, rules) for g in one]
    return out or GONE


def _address(value: Node, _of: str, path: str, rules: FhirRules) -> Node:
    if not isinstance(value, dict):
        return GONE
    how = rules.replacer.policy["place"]
    rules.taken.found["place", "field"] += 1
    rules.replacer.count("place", how)
    if how == "keep":
        return value
    out = {part: one for part, one in value.items() if _ADDRESS.get(part) == "keep"}
    if isinstance(value.get("postalCode"), str):
        out["postalCode"] = rules.replacer.value("place", value["postalCode"])
    if how == "surrogate":
        out |= {p: rules.replacer.value("place", value[p]) for p in ("city", "district") if isinstance(value.get(p), str)}
        out |= {"line": [rules.replacer.value("place", f"1 {line}") for line in value["line"]]} if value.get("line") else {}
    else:
        rules.dropped.update(f"{path}.{p}" for p in value if p not in out)
    return out or GONE


def _telecom(value: Node, _of: str, path: str, rules: FhirRules) -> Node:
    system = value.get("system", "phone") if isinstance(value, dict) else "phone"
    kind = {"fax": "fax", "email": "email", "url": "url"}.get(system, "phone")
    rules.taken.found[kind, "field"] += 1
    if rules.replacer.policy[kind] == "redact" or "value" not in value:
        rules.replacer.count(kind, "redact")
        rules.dropped[path] += 1
        return GONE
    return {k: v for k, v in value.items() if k in ("system", "use", "rank")} | {
        "value": rules.replacer.value(kind, value["value"])
    }


def _identifier(value: Node, _of: str, _path: str, rules: FhirRules) -> Node:
    if not isinstance(value, dict):
        return GONE
    rules.taken.found["record", "field"] += 1
    rules.replacer.count("record", "tokenise")
    kept = {k: v for k, v in value.items() if k in ("use", "type", "system")}
    return (
        {**kept, "value": rules.token(str(value.get("system", "")), str(value["value"]))} if "value" in value else kept or GONE
    )


def _reference(value: Node, _of: str, path: str, rules: FhirRules) -> Node:
    if not isinstance(value, dict):
        return GONE
    out: dict[str, Any] = {}
    if isinstance(value.get("reference"), str):
        out["reference"] = _named(value["reference"], rules)
    if isinstance(value.get("type"), str):
        out["type"] = value["type"]
    if isinstance(value.get("identifier"), dict):
        out["identifier"] = _identifier(value["identifier"], "", path, rules)
    if isinstance(value.get("display"), str) and out:  # mostly the name of whom it names: never worth its risk
        rules.dropped[f"{path}.display"] += 1
    elif isinstance(value.get("display"), str):  # all that it says, and some elements must be there
        out["display"] = _scan(value["display"], "string", path, rules)
    return out or GONE


def _named(text: str, rules: FhirRules) -> str:
    """A reference to the same thing, by its token."""
    if text.startswith("#"):
        return "#" + rules.token("id", text[1:]) if len(text) > 1 else text
    urn = _URN.match(text)
    if urn:
        return f"urn:uuid:{_as_uuid(rules.token('id', urn['id']))}"
    m = _REFERENCE.match(text)
    if m:
        return f"{m['type']}/{rules.token('id', m['id'])}"
    kind = text.partition("?")[0]
    return (
        f"{kind}?identifier={rules.token('search', text)}"
        if "?" in text and kind.isalpha()
        else f"urn:uuid:{_as_uuid(rules.token('id', text))}"
    )


def _as_uuid(token: str) -> str:
    return f"{token[:8]}-{token[8:12]}-{token[12:16]}-{token[16:20]}-{token[20:32]}"


def _link(value: Node, _of: str, _path: str, rules: FhirRules) -> Node:
    """A URL or URN: of HL7 or a terminology it stays, of anything else it may name somebody."""
    if not isinstance(value, str):
        return GONE
    if value.startswith(
        (
            "http://hl7.org/",
            "http://terminology.hl7.org/",
            "http://loinc.org",
            "http://snomed.info/",
            "http://unitsofmeasure.org",
            "http://www.nlm.nih.gov/",
        )
    ):
        return value
    return (
        _named(value, rules)
        if _URN.match(value) or _REFERENCE.match(value)
        else f"urn:uuid:{_as_uuid(rules.token('id', value))}"
    )


def _request(value: Node, _of: str, _path: str, rules: FhirRules) -> Node:
    return _named(value, rules) if (isinstance(value, str) and "/" in value) or "?" in value else value


def _date(value: Node, of: str, path: str, rules: FhirRules) -> Node:
    if not isinstance(value, str):
        return GONE
    rules.taken.found["date", "field"] += 1
    how = rules.replacer.policy["date"]
    if how != "surrogate":
        rules.replacer.count("date", how)
    if how == "keep":
        return value
    if how == "generalise" and reveals_age_over_89(int(value[:4])):
        rules.dropped[path] += 1
        return GONE
    if how == "generalise":
        return f"{value[:4]}-01-01T00:00:00Z" if of == "instant" else value[:4]  # an instant has no less exact form
    if how != "surrogate":
        rules.dropped[path] += 1
        return GONE
    day, mark, clock = value.partition("T")
    if len(day) == 10:
        return f"{rules.replacer.value('date', day)}{mark}{clock}"
    return rules.replacer.value("date", f"{day}-15")[:7] if len(day) == 7 else rules.replacer.value("date", f"{day}-07-02")[:4]


def _id(value: Node, _of: str, _path: str, rules: FhirRules) -> Node:
    return rules.token("id", str(value))


def _narrative(value: Node, of: str, path: str, rules: FhirRules) -> Node:
    if of == "Narrative" and isinstance(value, dict):
        return {k: v for k, v in value.items() if k == "status"} | {"div": _narrative(value.get("div"), "xhtml", path, rules)}
    if not isinstance(value, str):
        return GONE
    plain = [_IN_TAG.sub("", p) if p.startswith("<") and not p.startswith("<div xmlns") else p for p in _TAGS.split(value)]
    return "".join(p if p.startswith("<") or not p.strip() else _scan(p, "", path, rules) for p in plain)


def _attachment(value: Node, _of: str, path: str, rules: FhirRules) -> Node:
    """Text that is in an attachment is scanned; what is no text, or lies elsewhere, is left out."""
    if not isinstance(value, dict):
        return GONE
    kept = {k: v for k, v in value.items() if k in ("contentType", "language")}
    data, kind = value.get("data"), str(value.get("contentType", ""))
    if isinstance(data, str) and kind.startswith("text/"):
        try:
            text = base64.b64decode(data, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if text:
            return {**kept, "data": base64.b64encode(_scan(text, "", path, rules).encode()).decode()}
    rules.dropped.update(f"{path}.{k}" for k in value if k not in kept)
    return kept or GONE


def _extension(value: Node, _of: str, path: str, rules: FhirRules) -> Node:
    if not isinstance(value, dict) or value.get("url") not in _rules()["extensions"]["keep"]:
        rules.dropped[f"{path}({value.get('url', '') if isinstance(value, dict) else ''})"] += 1
        return GONE
    out: dict[str, Any] = {"url": value["url"]}
    if "extension" in value:
        inner = _each(value["extension"], lambda one: _extension(one, "Extension", path, rules))
        out |= {} if inner is GONE else {"extension": inner}
    for name, one in value.items():
        if name in ("valueCoding", "valueCode", "valueBoolean", "valueCodeableConcept"):
            out[name] = one
        elif name == "valueString":
            out[name] = _called(one, "string", path, rules)
    return out if len(out) > 1 else GONE


_TREATED: dict[str, Callable[[Node, str, str, FhirRules], Node]] = {
    "keep": _keep, "scan": _scan, "name": _name, "place": _address, "telecom": _telecom, "identifier": _identifier, "reference": _reference,
    "attachment": _attachment, "narrative": _narrative, "extension": _extension, "date": _date, "id": _id, "link": _link, "request": _request,
    "concept": _concept, "called": _called, "organisation": _whole("organisation"), "device": _whole("device"),
}  # fmt: skip
