"""De-identification of C-CDA documents: each element by its name (data types of CDA R2); narrative and all other text is searched."""

import base64
import binascii
import hmac
import re
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

from galenic.errors import RecordError
from galenic.privacy.text import (
    Detector,
    Replacer,
    StatedIdentifiers,
    TextFindings,
    deidentify_text,
    reveals_age_over_89,
    shift_date,
)
from galenic.records import HL7, SDTC, XSI

# attributes that identify nobody; all others are left out and counted
_ATTRIBUTES = frozenset(
    (
        *(
            "code",
            "codeSystem",
            "codeSystemName",
            "codeSystemVersion",
            "typeCode",
            "classCode",
            "moodCode",
            "nullFlavor",
            "unit",
            "use",
            "ID",
        ),
        *(
            "negationInd",
            "inversionInd",
            "border",
            "width",
            "colspan",
            "rowspan",
            "align",
            "valign",
            "styleCode",
            "listType",
            "mediaType",
        ),
        *(
            "representation",
            "language",
            "operator",
            "institutionSpecified",
            "determinerCode",
            "contextControlCode",
            "contextConductionInd",
        ),
        *("qualifier", "independentInd", "inclusive", "sequenceNumber", "scope", "partType"),
    )
)
_PEOPLE = frozenset(
    [
        "patient",
        "assignedPerson",
        "associatedPerson",
        "guardianPerson",
        "relatedPerson",
        "informationRecipient",
        "subject",
        "playingEntity",
    ]
)
_PLACES = frozenset(
    (
        *("streetAddressLine", "city", "county", "precinct", "houseNumber", "streetName", "streetNameType", "censusTract"),
        *("deliveryAddressLine", "additionalLocator", "unitID", "postBox"),
    )
)
_PUBLIC_ROOT = "2.16.840.1.113883."  # assigned by HL7: identifies a kind of number, not its holder
_TIME_VALUE = re.compile(r"(?:18|19|20)\d\d(?:\d\d){0,5}(?:\.\d+)?(?:[+-]\d{4})?$")
_NUMBER_VALUE = re.compile(r"[+-]?\d{1,7}(?:\.\d{1,7})?(?:[eE][+-]?\d\d?)?|true|false|#.*")
_MASKED = "MSK"  # HL7 null flavor: the value exists and is withheld


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


@dataclass
class CcdaRules:
    """Rules for one document. key: 32 bytes of the run; numbers become tokens under it. replacer: of the document's patient."""

    detector: Detector
    replacer: Replacer
    key: bytes
    stated: StatedIdentifiers | None = None
    findings: TextFindings = field(default_factory=TextFindings)
    omissions: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.without_tagger = replace(self.detector, tagger=None)

    def token(self, kind: str, text: str) -> str:
        """A keyed token: equal for equal texts; it cannot be traced back without the key."""
        return hmac.digest(self.key, f"{kind}\0{text}".encode(), "sha256")[:16].hex()

    def scan(self, text: str | None, detector: Detector | None = None) -> str | None:
        """A text without identifiers; white space is kept."""
        if text is None or not text.strip():
            return text
        return deidentify_text(text, detector or self.detector, self.replacer, self.stated, self.findings)

    def count_field(self, kind: str, treatment: str = "") -> str:
        """Count a field that is an identifier; returns its treatment, by default the policy's."""
        self.findings.counts[kind, "field"] += 1
        treatment = treatment or self.replacer.policy[kind]
        self.replacer.count(kind, treatment)
        return treatment


def deidentify_ccda(root: Element, rules: CcdaRules) -> Element:
    """De-identify the document in place. RecordError if its body cannot be searched (PDF, image)."""
    for attribute in list(root.attrib):  # the location of a schema may identify the author's system
        if attribute.startswith(f"{{{XSI}}}"):
            del root.attrib[attribute]
    _element(root, rules, "")
    return root


def _element(node: Element, rules: CcdaRules, parent: str) -> None:
    name = _local(node.tag)
    treatment = _TREATMENTS.get(name)
    if treatment is not None:
        treatment(node, rules, parent)
        return
    _attributes(node, rules, name)
    coded = name in ("originalText", "manufacturerModelName", "softwareName", "title")
    node.text = rules.scan(node.text, rules.without_tagger if coded else None)
    _children(node, rules, name)


def _children(node: Element, rules: CcdaRules, name: str) -> None:
    for child in list(node):
        tail = rules.scan(child.tail)
        if not isinstance(child.tag, str) or not child.tag.startswith((f"{{{HL7}}}", f"{{{SDTC}}}")):
            rules.omissions[f"{name}/(not of CDA)"] += 1
            node.remove(child)
            continue
        _element(child, rules, name)
        child.tail = tail


def _attributes(node: Element, rules: CcdaRules, name: str) -> None:
    for key, value in list(node.attrib.items()):
        if key in _ATTRIBUTES or key.startswith(f"{{{XSI}}}"):
            continue
        if key == "displayName":
            node.set(key, rules.scan(value, rules.without_tagger) or "")
        elif key == "value":
            _value(node, value, rules, name)
        elif not (key == "href" and value.startswith("#")):
            rules.omissions[f"{name}/@{key}"] += 1
            del node.attrib[key]


def _value(node: Element, value: str, rules: CcdaRules, name: str) -> None:
    number = node.get("unit") is not None or node.get(f"{{{XSI}}}type", "").rpartition(":")[2] in (
        "INT",
        "REAL",
        "PQ",
        "BL",
        "MO",
    )
    if not number and _TIME_VALUE.fullmatch(value):
        _time(node, value, rules)
    elif _NUMBER_VALUE.fullmatch(value):
        return
    else:
        rules.omissions[f"{name}/@value"] += 1
        del node.attrib["value"]


def _time(node: Element, value: str, rules: CcdaRules) -> None:
    """A point in time (data type TS): kept, reduced to its year, shifted by the patient's days, or masked."""
    treatment = rules.count_field("date")
    if treatment == "keep":
        return
    new = ""
    if treatment == "generalise":
        new = "" if reveals_age_over_89(int(value[:4])) else value[:4]
    elif treatment == "surrogate" and len(value) >= 8:
        new = (shift_date(value[:8], rules.replacer.days).text or "") + value[8:]
    elif treatment == "surrogate":
        new = (shift_date(f"{value[:4]}{value[4:6] or '07'}15", rules.replacer.days).text or "")[: len(value)]
    if new:
        node.set("value", new)
    else:
        del node.attrib["value"]
        node.set("nullFlavor", _MASKED)


# treatments of elements that are identifiers: (element, rules, name of the parent)


def _mask(node: Element) -> None:
    for child in list(node):
        node.remove(child)
    use = node.get("use")
    node.attrib.clear()
    if use:
        node.set("use", use)
    node.text = None
    node.set("nullFlavor", _MASKED)


def _name(node: Element, rules: CcdaRules, parent: str) -> None:
    kind = "name" if parent in _PEOPLE or any(_local(c.tag) in ("given", "family") for c in node) else "organisation"
    if rules.count_field(kind) == "redact":
        _mask(node)
        return
    for part in node.iter():
        if part.text and part.text.strip() and _local(part.tag) not in ("prefix", "suffix"):
            part.text = rules.replacer.value(kind, part.text.strip())
        part.tail = None if part is not node else part.tail


def _address(node: Element, rules: CcdaRules, _parent: str) -> None:
    treatment = rules.count_field("place")
    if treatment == "keep":
        return
    if treatment == "redact":
        _mask(node)
        return
    for part in list(node):
        kind = _local(part.tag)
        if kind in ("state", "country"):
            continue
        text = (part.text or "").strip()
        if kind == "postalCode" and text:
            new = rules.replacer.value("place", text)
            part.text = "" if new.startswith("[") else new
        elif kind in _PLACES and treatment == "surrogate" and text:
            part.text = rules.replacer.value("place", f"1 {text}" if "street" in kind.lower() else text)
        else:
            node.remove(part)
    node.text = None


def _telecom(node: Element, rules: CcdaRules, _parent: str) -> None:
    scheme, mark, number = node.get("value", "").partition(":")
    kind = {"mailto": "email", "http": "url", "https": "url", "fax": "fax"}.get(scheme, "phone")
    treatment = rules.count_field(kind)
    if treatment == "redact" or not number:
        _mask(node)
    elif treatment != "keep":
        node.set("value", f"{scheme}{mark}{rules.replacer.value(kind, number)}")


def _id(node: Element, rules: CcdaRules, _parent: str) -> None:
    rules.count_field("record", "tokenise")
    root, extension = node.get("root", ""), node.get("extension")
    null = node.get("nullFlavor")
    node.attrib.clear()
    if null:
        node.set("nullFlavor", null)
    if root:
        public = root.startswith(_PUBLIC_ROOT) and extension is not None
        node.set("root", root if public else str(uuid.UUID(rules.token("root", root))))
    if extension is not None:
        node.set("extension", rules.token("extension", f"{root}|{extension}"))


def _keep(_node: Element, _rules: CcdaRules, _parent: str) -> None:
    """The id of a template or type, which the standard assigns, is kept."""


def _number(node: Element, rules: CcdaRules, _parent: str) -> None:
    if rules.count_field("device") == "redact":
        _mask(node)
    elif node.text:
        node.text = rules.replacer.value("device", node.text)


def _text(node: Element, rules: CcdaRules, parent: str) -> None:
    """Narrative, and encoded content that is text, is searched. RecordError if the body is not text."""
    if node.get("representation") == "B64":
        clean = _decoded("".join(node.itertext()), rules) if node.get("mediaType", "").startswith("text/") else None
        if clean is None and parent == "nonXMLBody":
            raise RecordError("has a body that cannot be searched (a PDF or an image). Send its text.")
        node.text = clean
        if clean is None:
            rules.omissions[f"{parent}/text (encoded)"] += 1
            node.set("nullFlavor", _MASKED)
        return
    if parent == "nonXMLBody" and any(_local(c.tag) == "reference" for c in node):
        raise RecordError("refers to its body by a link. Send the document that the link names.")
    _attributes(node, rules, "text")
    node.text = rules.scan(node.text)
    _children(node, rules, "text")


def _coded_value(node: Element, rules: CcdaRules, parent: str) -> None:
    """A value: a code, number, time or text; an image is left out."""
    if node.get("representation") == "B64":
        rules.omissions[f"{parent}/value (encoded)"] += 1
        _mask(node)
        return
    _attributes(node, rules, "value")
    node.text = rules.scan(node.text)
    _children(node, rules, "value")


def _decoded(encoded: str, rules: CcdaRules) -> str | None:
    try:
        content = base64.b64decode(re.sub(r"\s", "", encoded), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return base64.b64encode((rules.scan(content) or "").encode()).decode()


_TREATMENTS: dict[str, Callable[[Element, CcdaRules, str], None]] = {
    "name": _name, "addr": _address, "telecom": _telecom, "id": _id, "setId": _id, "templateId": _keep, "typeId": _keep, "text": _text,
    "value": _coded_value, "lotNumberText": _number, "signatureText": _number,
}  # fmt: skip
