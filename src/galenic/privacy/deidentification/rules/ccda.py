"""C-CDA without identity: each element by its name (CDA R2's data types), its narrative and every other text searched."""

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

# attributes that say nothing of anybody; every other one is left out and listed
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
_PUBLIC_ROOT = "2.16.840.1.113883."  # HL7's own: what kind of number it is, not whose
_TIME = re.compile(r"(?:18|19|20)\d\d(?:\d\d){0,5}(?:\.\d+)?(?:[+-]\d{4})?$")
_NUMBER = re.compile(r"[+-]?\d{1,7}(?:\.\d{1,7})?(?:[eE][+-]?\d\d?)?|true|false|#.*")
_MASKED = "MSK"  # HL7's null flavour for what is there and is not told


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


@dataclass
class CcdaRules:
    """What one document goes through. key: 32 bytes of the run: numbers become tokens under it. replacer: of its patient."""

    detector: Detector
    replacer: Replacer
    key: bytes
    known: StatedIdentifiers | None = None
    taken: TextFindings = field(default_factory=TextFindings)
    dropped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.plain = replace(self.detector, tagger=None)

    def token(self, kind: str, text: str) -> str:
        """A keyed token: the same for the same text, and no way back without the key."""
        return hmac.digest(self.key, f"{kind}\0{text}".encode(), "sha256")[:16].hex()

    def scan(self, text: str | None, detector: Detector | None = None) -> str | None:
        """A text without what identifies; white space stays as it is."""
        if text is None or not text.strip():
            return text
        return deidentify_text(text, detector or self.detector, self.replacer, self.known, self.taken)

    def find(self, kind: str, how: str = "") -> str:
        """Counts a field of its own and says how it is treated."""
        self.taken.found[kind, "field"] += 1
        how = how or self.replacer.policy[kind]
        self.replacer.count(kind, how)
        return how


def ccda_identity(root: Element) -> tuple[str, dict[str, tuple[str, ...]]]:
    """(the patient's number, what the header states of patient and of everybody it names, by kind)."""
    q = f"{{{HL7}}}"
    role = root.find(f".//{q}recordTarget/{q}patientRole")
    ids = [e.get("extension", "") for e in role.findall(f"{q}id")] if role is not None else []
    people: list[str] = []
    others: list[str] = []
    for one in root.iter(f"{q}name"):
        parts = [t.strip() for t in one.itertext() if t and t.strip()]
        (people if len(one) else others).append(" ".join(parts))
    places = [t.text.strip() for tag in ("streetAddressLine", "city") for t in root.iter(q + tag) if t.text and t.text.strip()]
    phones = [e.get("value", "").partition(":")[2] for e in root.iter(f"{q}telecom")]
    stated = {
        "name": tuple(people),
        "organisation": tuple(others),
        "place": tuple(places),
        "record": tuple(i for i in ids if i),
        "phone": tuple(p for p in phones if p),
    }
    return next((i for i in ids if i), ""), {k: tuple(dict.fromkeys(v)) for k, v in stated.items()}


def deidentify_ccda(root: Element, rules: CcdaRules) -> Element:
    """The document itself, changed. RecordError where its body is none that can be searched (PDF, image)."""
    for attribute in list(root.attrib):  # where schemas lie says who made the document
        if attribute.startswith(f"{{{XSI}}}"):
            del root.attrib[attribute]
    _element(root, rules, "")
    return root


def _element(node: Element, rules: CcdaRules, parent: str) -> None:
    name = _local(node.tag)
    treat = _TREATED.get(name)
    if treat is not None:
        treat(node, rules, parent)
        return
    _attributes(node, rules, name)
    coded = name in ("originalText", "manufacturerModelName", "softwareName", "title")
    node.text = rules.scan(node.text, rules.plain if coded else None)
    _children(node, rules, name)


def _children(node: Element, rules: CcdaRules, name: str) -> None:
    for child in list(node):
        tail = rules.scan(child.tail)
        if not isinstance(child.tag, str) or not child.tag.startswith((f"{{{HL7}}}", f"{{{SDTC}}}")):
            rules.dropped[f"{name}/(not of CDA)"] += 1
            node.remove(child)
            continue
        _element(child, rules, name)
        child.tail = tail


def _attributes(node: Element, rules: CcdaRules, name: str) -> None:
    for key, value in list(node.attrib.items()):
        if key in _ATTRIBUTES or key.startswith(f"{{{XSI}}}"):
            continue
        if key == "displayName":
            node.set(key, rules.scan(value, rules.plain) or "")
        elif key == "value":
            _value(node, value, rules, name)
        elif not (key == "href" and value.startswith("#")):
            rules.dropped[f"{name}/@{key}"] += 1
            del node.attrib[key]


def _value(node: Element, value: str, rules: CcdaRules, name: str) -> None:
    number = node.get("unit") is not None or node.get(f"{{{XSI}}}type", "").rpartition(":")[2] in (
        "INT",
        "REAL",
        "PQ",
        "BL",
        "MO",
    )
    if not number and _TIME.fullmatch(value):
        _moved(node, value, rules)
    elif _NUMBER.fullmatch(value):
        return
    else:
        rules.dropped[f"{name}/@value"] += 1
        del node.attrib["value"]


def _moved(node: Element, value: str, rules: CcdaRules) -> None:
    """A point in time (CDA's TS): kept, its year, moved by the patient's days, or masked."""
    how = rules.find("date")
    if how == "keep":
        return
    new = ""
    if how == "generalise":
        new = "" if reveals_age_over_89(int(value[:4])) else value[:4]
    elif how == "surrogate" and len(value) >= 8:
        new = (shift_date(value[:8], rules.replacer.days).text or "") + value[8:]
    elif how == "surrogate":
        new = (shift_date(f"{value[:4]}{value[4:6] or '07'}15", rules.replacer.days).text or "")[: len(value)]
    if new:
        node.set("value", new)
    else:
        del node.attrib["value"]
        node.set("nullFlavor", _MASKED)


# elements that are an identifier by themselves: (element, rules, name of the parent)


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
    if rules.find(kind) == "redact":
        _mask(node)
        return
    for part in node.iter():
        if part.text and part.text.strip() and _local(part.tag) not in ("prefix", "suffix"):
            part.text = rules.replacer.value(kind, part.text.strip())
        part.tail = None if part is not node else part.tail


def _address(node: Element, rules: CcdaRules, _parent: str) -> None:
    how = rules.find("place")
    if how == "keep":
        return
    if how == "redact":
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
        elif kind in _PLACES and how == "surrogate" and text:
            part.text = rules.replacer.value("place", f"1 {text}" if "street" in kind.lower() else text)
        else:
            node.remove(part)
    node.text = None


def _telecom(node: Element, rules: CcdaRules, _parent: str) -> None:
    scheme, mark, number = node.get("value", "").partition(":")
    kind = {"mailto": "email", "http": "url", "https": "url", "fax": "fax"}.get(scheme, "phone")
    how = rules.find(kind)
    if how == "redact" or not number:
        _mask(node)
    elif how != "keep":
        node.set("value", f"{scheme}{mark}{rules.replacer.value(kind, number)}")


def _id(node: Element, rules: CcdaRules, _parent: str) -> None:
    rules.find("record", "tokenise")
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


def _keep(node: Element, _rules: CcdaRules, _parent: str) -> None:
    """A template's own id, a type's: of the standard."""
    del node  # as it is


def _number(node: Element, rules: CcdaRules, _parent: str) -> None:
    if rules.find("device") == "redact":
        _mask(node)
    elif node.text:
        node.text = rules.replacer.value("device", node.text)


def _text(node: Element, rules: CcdaRules, parent: str) -> None:
    """Narrative is searched; what is encoded is searched where it is text. A body that is none does not come out."""
    if node.get("representation") == "B64":
        clean = _decoded("".join(node.itertext()), rules) if node.get("mediaType", "").startswith("text/") else None
        if clean is None and parent == "nonXMLBody":
            raise RecordError("has a body that can not be searched here (a PDF or an image). Send its text.")
        node.text = clean
        if clean is None:
            rules.dropped[f"{parent}/text (encoded)"] += 1
            node.set("nullFlavor", _MASKED)
        return
    if parent == "nonXMLBody" and any(_local(c.tag) == "reference" for c in node):
        raise RecordError("has its body elsewhere, by a link. Send the document that it names.")
    _attributes(node, rules, "text")
    node.text = rules.scan(node.text)
    _children(node, rules, "text")


def _media(node: Element, rules: CcdaRules, parent: str) -> None:
    """A value: coded, a number, a time, a text; a picture is left out."""
    if node.get("representation") == "B64":
        rules.dropped[f"{parent}/value (encoded)"] += 1
        _mask(node)
        return
    _attributes(node, rules, "value")
    node.text = rules.scan(node.text)
    _children(node, rules, "value")


def _decoded(said: str, rules: CcdaRules) -> str | None:
    try:
        inner = base64.b64decode(re.sub(r"\s", "", said), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return base64.b64encode((rules.scan(inner) or "").encode()).decode()


_TREATED: dict[str, Callable[[Element, CcdaRules, str], None]] = {
    "name": _name, "addr": _address, "telecom": _telecom, "id": _id, "setId": _id, "templateId": _keep, "typeId": _keep, "text": _text,
    "value": _media, "lotNumberText": _number, "signatureText": _number,
}  # fmt: skip
