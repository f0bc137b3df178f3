"""De-identification of FHIR R4 resources: each element by its data type and path, as fhir.toml says."""

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

Json = Any
OMITTED = object()  # in place of an element that is left out
_REFERENCE = re.compile(
    r"^(?P<base>https?://.+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?P<rest>/_history/.*|#.*)?$"
)
_URN = re.compile(r"^urn:(?:uuid|oid):(?P<id>.+)$")
_TAGS = re.compile(r"(<[^>]*>)")
_IN_TAG = re.compile(r"\s(?:href|src|title|alt|name|id)\s*=\s*(?:\"[^\"]*\"|'[^']*')", re.I)
# parts of an address that are kept; the policy decides on the rest
_ADDRESS = {"state": "keep", "country": "keep", "use": "keep", "type": "keep", "postalCode": "code"}


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads(files("galenic.privacy.deidentification.rules").joinpath("fhir.toml").read_text(encoding="utf-8"))


@dataclass
class FhirRules:
    """Rules for the resources of one patient.

    key: 32 bytes; ids become tokens under it. replacer: of the patient whom the resource is about. stated: identifiers that the
    patient's own records state. omissions: by path, elements and extensions that were left out. remember_token: called with
    (token, kind, value) where the vault lets tokens be revealed.
    """

    detector: Detector
    replacer: Replacer
    key: bytes
    stated: StatedIdentifiers | None = None
    findings: TextFindings = field(default_factory=TextFindings)
    omissions: Counter[str] = field(default_factory=Counter)
    remember_token: Callable[[str, str, str], None] | None = None

    def token(self, kind: str, text: str) -> str:
        """A keyed token: equal for equal texts; it cannot be traced back without the key or the vault."""
        token = hmac.digest(self.key, f"{kind}\0{text}".encode(), "sha256")[:16].hex()
        if self.remember_token is not None:
            self.remember_token(token, kind, text)
        return token


def deidentify_resource(resource: dict[str, Any], rules: FhirRules) -> dict[str, Any]:
    """A valid R4 resource, or a Bundle with all its resources, without identifiers.

    Elements that R4 does not define, and extensions that are not known to be harmless, are left out and counted.
    """
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
            rules.omissions[f"{path}.(unknown)"] += 1
            continue
        of, element = names[bare]
        here = f"{path}.{bare}"
        if name != bare:  # id and extensions of a primitive
            new = _each(value, partial(_primitive_extensions, path=here, rules=rules))
        else:
            new = _each(value, partial(_element, of=of, element=element, path=here, rules=rules))
        if new is not OMITTED:
            out[name] = new
    return out


def _each(value: Json, do: Callable[[Json], Json]) -> Json:
    if not isinstance(value, list):
        return do(value)
    remaining = [n for v in value if (n := do(v)) is not OMITTED]
    return remaining or OMITTED


@cache
def _properties(type_: str) -> dict[str, tuple[str, str]]:
    """By JSON name: the type of the value, and the path that fhir.toml may name."""
    base = type_.removeprefix("@")
    properties = {}
    for element in r4().types[base].elements:
        for name, of in element.names():
            properties[name] = (of, f"{base}.{name}")
    return properties


def _element(value: Json, of: str, element: str, path: str, rules: FhirRules) -> Json:
    if value is None:
        return value
    rule_file = _rules()
    treatment = rule_file["elements"].get(element) or rule_file["types"].get(of)
    if treatment == "drop":
        rules.omissions[path] += 1
        return OMITTED
    if treatment is not None:
        return _TREATMENTS[treatment](value, of, path, rules)
    if of in ("Resource", "DomainResource"):
        return (
            deidentify_resource(value, rules)
            if isinstance(value, dict) and value.get("resourceType") in r4().resources
            else OMITTED
        )
    if isinstance(value, dict):
        return _object(value, of, path, rules) or OMITTED
    return value  # a primitive type that identifies nobody


def _primitive_extensions(value: Json, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict):
        return value
    extensions = _each(value.get("extension", []), lambda one: _extension(one, "Extension", f"{path}.extension", rules))
    return OMITTED if extensions is OMITTED or not extensions else {"extension": extensions}


# one function for each treatment named in fhir.toml: (value, type, path, rules)


def _keep(value: Json, _of: str, _path: str, _rules: FhirRules) -> Json:
    return value


def _scan(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    return (
        deidentify_text(value, rules.detector, rules.replacer, rules.stated, rules.findings)
        if isinstance(value, str)
        else value
    )


def _concept(value: Json, of: str, path: str, rules: FhirRules) -> Json:
    """A coded concept: its text is searched unless it repeats the display of a coding."""
    if not isinstance(value, dict):
        return OMITTED
    displays = {c.get("display") for c in value.get("coding", ()) if isinstance(c, dict)}
    out = _object({k: v for k, v in value.items() if k != "text"}, "CodeableConcept", path, rules)
    if isinstance(value.get("text"), str):
        out["text"] = (
            _display(value["text"], of, path, rules) if value["text"] in displays else _scan(value["text"], of, path, rules)
        )
    return out or OMITTED


def _display(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """The display of a code: terminology, searched only for stated identifiers and for patterns."""
    without_tagger = replace(rules.detector, tagger=None)
    return (
        deidentify_text(value, without_tagger, rules.replacer, rules.stated, rules.findings)
        if isinstance(value, str)
        else OMITTED
    )


def _whole(kind: str) -> Callable[[Json, str, str, FhirRules], Json]:
    """The treatment of an element that is an identifier as a whole."""

    def replace_value(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
        if not isinstance(value, str):
            return OMITTED
        rules.findings.counts[kind, "field"] += 1
        return rules.replacer.value(kind, value)

    return replace_value


def _name(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict) or rules.replacer.policy["name"] == "redact":
        rules.findings.counts["name", "field"] += 1
        rules.replacer.count("name", "redact")
        rules.omissions[path] += 1
        return OMITTED
    out: dict[str, Any] = {}
    for part, one in value.items():
        if part in ("use", "prefix", "suffix"):
            out[part] = one
        elif part in ("family", "text"):
            out[part] = _whole("name")(one, "", path, rules)
        elif part == "given":
            out[part] = [_whole("name")(g, "", path, rules) for g in one]
    return out or OMITTED


def _address(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict):
        return OMITTED
    treatment = rules.replacer.policy["place"]
    rules.findings.counts["place", "field"] += 1
    rules.replacer.count("place", treatment)
    if treatment == "keep":
        return value
    out = {part: one for part, one in value.items() if _ADDRESS.get(part) == "keep"}
    if isinstance(value.get("postalCode"), str):
        out["postalCode"] = rules.replacer.value("place", value["postalCode"])
    if treatment == "surrogate":
        out |= {p: rules.replacer.value("place", value[p]) for p in ("city", "district") if isinstance(value.get(p), str)}
        out |= {"line": [rules.replacer.value("place", f"1 {line}") for line in value["line"]]} if value.get("line") else {}
    else:
        rules.omissions.update(f"{path}.{p}" for p in value if p not in out)
    return out or OMITTED


def _telecom(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    system = value.get("system", "phone") if isinstance(value, dict) else "phone"
    kind = {"fax": "fax", "email": "email", "url": "url"}.get(system, "phone")
    rules.findings.counts[kind, "field"] += 1
    if rules.replacer.policy[kind] == "redact" or "value" not in value:
        rules.replacer.count(kind, "redact")
        rules.omissions[path] += 1
        return OMITTED
    return {k: v for k, v in value.items() if k in ("system", "use", "rank")} | {
        "value": rules.replacer.value(kind, value["value"])
    }


def _identifier(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict):
        return OMITTED
    rules.findings.counts["record", "field"] += 1
    rules.replacer.count("record", "tokenise")
    parts = {k: v for k, v in value.items() if k in ("use", "type", "system")}
    return (
        {**parts, "value": rules.token(str(value.get("system", "")), str(value["value"]))}
        if "value" in value
        else parts or OMITTED
    )


def _reference(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict):
        return OMITTED
    out: dict[str, Any] = {}
    if isinstance(value.get("reference"), str):
        out["reference"] = _tokenized_reference(value["reference"], rules)
    if isinstance(value.get("type"), str):
        out["type"] = value["type"]
    if isinstance(value.get("identifier"), dict):
        out["identifier"] = _identifier(value["identifier"], "", path, rules)
    if isinstance(value.get("display"), str) and out:  # usually a person's name
        rules.omissions[f"{path}.display"] += 1
    elif isinstance(value.get("display"), str):  # its only content, and some elements are mandatory
        out["display"] = _scan(value["display"], "string", path, rules)
    return out or OMITTED


def _tokenized_reference(text: str, rules: FhirRules) -> str:
    """A reference to the same resource, by its token."""
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


def _link(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """A URL or URN: one of HL7 or a terminology is kept; any other may identify somebody."""
    if not isinstance(value, str):
        return OMITTED
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
        _tokenized_reference(value, rules)
        if _URN.match(value) or _REFERENCE.match(value)
        else f"urn:uuid:{_as_uuid(rules.token('id', value))}"
    )


def _request(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    return _tokenized_reference(value, rules) if (isinstance(value, str) and "/" in value) or "?" in value else value


def _date(value: Json, of: str, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, str):
        return OMITTED
    rules.findings.counts["date", "field"] += 1
    treatment = rules.replacer.policy["date"]
    if treatment != "surrogate":
        rules.replacer.count("date", treatment)
    if treatment == "keep":
        return value
    if treatment == "generalise" and reveals_age_over_89(int(value[:4])):
        rules.omissions[path] += 1
        return OMITTED
    if treatment == "generalise":
        return f"{value[:4]}-01-01T00:00:00Z" if of == "instant" else value[:4]  # the type instant has no lower precision
    if treatment != "surrogate":
        rules.omissions[path] += 1
        return OMITTED
    day, separator, time = value.partition("T")
    if len(day) == 10:
        return f"{rules.replacer.value('date', day)}{separator}{time}"
    return rules.replacer.value("date", f"{day}-15")[:7] if len(day) == 7 else rules.replacer.value("date", f"{day}-07-02")[:4]


def _id(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    return rules.token("id", str(value))


def _narrative(value: Json, of: str, path: str, rules: FhirRules) -> Json:
    if of == "Narrative" and isinstance(value, dict):
        return {k: v for k, v in value.items() if k == "status"} | {"div": _narrative(value.get("div"), "xhtml", path, rules)}
    if not isinstance(value, str):
        return OMITTED
    plain = [_IN_TAG.sub("", p) if p.startswith("<") and not p.startswith("<div xmlns") else p for p in _TAGS.split(value)]
    return "".join(p if p.startswith("<") or not p.strip() else _scan(p, "", path, rules) for p in plain)


def _attachment(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """Text inside an attachment is searched; other content, and links, are left out."""
    if not isinstance(value, dict):
        return OMITTED
    parts = {k: v for k, v in value.items() if k in ("contentType", "language")}
    data, kind = value.get("data"), str(value.get("contentType", ""))
    if isinstance(data, str) and kind.startswith("text/"):
        try:
            text = base64.b64decode(data, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if text:
            return {**parts, "data": base64.b64encode(_scan(text, "", path, rules).encode()).decode()}
    rules.omissions.update(f"{path}.{k}" for k in value if k not in parts)
    return parts or OMITTED


def _extension(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    if not isinstance(value, dict) or value.get("url") not in _rules()["extensions"]["keep"]:
        rules.omissions[f"{path}({value.get('url', '') if isinstance(value, dict) else ''})"] += 1
        return OMITTED
    out: dict[str, Any] = {"url": value["url"]}
    if "extension" in value:
        inner = _each(value["extension"], lambda one: _extension(one, "Extension", path, rules))
        out |= {} if inner is OMITTED else {"extension": inner}
    for name, one in value.items():
        if name in ("valueCoding", "valueCode", "valueBoolean", "valueCodeableConcept"):
            out[name] = one
        elif name == "valueString":
            out[name] = _display(one, "string", path, rules)
    return out if len(out) > 1 else OMITTED


_TREATMENTS: dict[str, Callable[[Json, str, str, FhirRules], Json]] = {
    "keep": _keep, "scan": _scan, "name": _name, "place": _address, "telecom": _telecom, "identifier": _identifier, "reference": _reference,
    "attachment": _attachment, "narrative": _narrative, "extension": _extension, "date": _date, "id": _id, "link": _link, "request": _request,
    "concept": _concept, "called": _display, "organisation": _whole("organisation"), "device": _whole("device"),
}  # fmt: skip
