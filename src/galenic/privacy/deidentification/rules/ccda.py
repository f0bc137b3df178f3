"""De-identification of C-CDA documents: each element by its name (data types of CDA R2); narrative and all other text is searched."""

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from xml.etree.ElementTree import Element

from galenic.errors import RecordError
from galenic.privacy.deidentification.rules.announcements import announcements
from galenic.privacy.deidentification.rules.ccda_attributes import MASKED, clean_attributes, clean_template
from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules
from galenic.privacy.deidentification.rules.codes import hl7_code_words, known_words
from galenic.privacy.deidentification.rules.joined_identifiers import holds_joined, states_identifier
from galenic.privacy.deidentification.rules.questions import asks_age, asks_person, states_old_age
from galenic.privacy.text import check_time
from galenic.records import HL7, SDTC, XSI

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
_PUBLIC_ROOT = re.compile(
    r"2\.16\.840\.1\.113883\.(?:4|3|19|13)(?:\.\d{1,5}){0,4}"
)  # assigned by HL7: a kind of number, not its holder
_INLINE = ("content", "sub", "sup", "linkHtml", "footnote", "br")
_SHORT_TEXT = ("originalText", "manufacturerModelName", "softwareName", "title", "desc")
_NARRATIVE = (
    *("text", "content", "paragraph", "list", "item", "table", "thead", "tbody", "tfoot", "tr", "td", "th", "br", "caption"),
    *_INLINE,
)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def deidentify_ccda(root: Element, rules: CcdaRules) -> Element:
    """De-identify the document in place. Raise RecordError if its body cannot be searched (PDF, image)."""
    for attribute in list(root.attrib):  # the location of a schema may identify the author's system
        if attribute.startswith(f"{{{XSI}}}"):
            del root.attrib[attribute]
    rules.headings = announcements(root)
    _element(root, rules, "")
    return root


def _element(node: Element, rules: CcdaRules, parent: str) -> None:
    check_time()
    name = _local(node.tag)
    treatment = _TREATMENTS.get(name)
    before = rules.about_age, rules.about_person, rules.announced
    rules.announced = rules.headings.inside.get(id(node), rules.announced)
    if treatment is not None:
        treatment(node, rules, parent)
        rules.announced = before[2]
        return
    if name == "observation":
        _set_question(node, rules)
    clean_attributes(node, rules, name)
    _own_text(node, rules, name)
    _children(node, rules, name)
    rules.about_age, rules.about_person, rules.announced = before


def _set_question(observation: Element, rules: CcdaRules) -> None:
    """Set what the values of an observation are about: by its code, the displays and the original text of that."""
    code = next((c for c in observation if _local(str(c.tag)) == "code"), None)
    every = [] if code is None else list(code.iter())
    texts = [text for c in every for text in (c.get("displayName", ""), c.text or "") if text.strip()]
    rules.about_age = rules.about_age or asks_age(texts, [c.get("code", "") for c in every])
    rules.about_person = asks_person(texts)


def _own_text(node: Element, rules: CcdaRules, name: str) -> None:
    """Text of an element: searched where text may stand, else left out and counted."""
    if name in _SHORT_TEXT or name in _NARRATIVE:
        node.text = rules.scan(node.text)
    elif node.text and node.text.strip():
        rules.omissions[f"{name}/text()"] += 1
        node.text = None


def _children(node: Element, rules: CcdaRules, name: str) -> None:
    narrative = name in _NARRATIVE
    for child in list(node):
        kind = rules.headings.behind.get(id(child), rules.announced)
        is_read = narrative or name in _SHORT_TEXT
        tail = rules.scan(child.tail, kind) if is_read else None if (child.tail or "").strip() else child.tail
        local = _local(child.tag) if isinstance(child.tag, str) else ""
        if not local or not child.tag.startswith((f"{{{HL7}}}", f"{{{SDTC}}}")) or local not in known_words("cda_elements"):
            rules.omissions[f"{name}/(unknown element)"] += 1
            node.remove(child)
            _add_text(node, tail)
            continue
        _element(child, rules, name)
        child.tail = tail
    if narrative and name not in _INLINE and all(_local(c.tag) in _INLINE for c in node):
        _flatten_hidden(node, rules)


def _add_text(node: Element, text: str | None) -> None:
    """Put the text that followed a removed child behind the last one that stays."""
    if not text:
        return
    if len(node):
        node[-1].tail = (node[-1].tail or "") + text
    else:
        node.text = (node.text or "") + text


def _flatten_hidden(node: Element, rules: CcdaRules) -> None:
    """A block in which a stated name is divided by tags becomes one text, which is searched."""
    whole = "".join(node.itertext())
    if len(node) and any(holds_joined(word, rules.stated) for word in whole.split()):
        for child in list(node):
            node.remove(child)
        node.text = rules.scan(whole)


# treatments of elements that are identifiers: (element, rules, name of the parent)


def _mask(node: Element) -> None:
    for child in list(node):
        node.remove(child)
    _only_use(node)
    node.text = None
    node.set("nullFlavor", MASKED)


def _only_use(node: Element) -> None:
    """Leave out every attribute but the use, where it is one of HL7."""
    use = node.get("use", "")
    node.attrib.clear()
    if use and all(code in hl7_code_words() for code in use.split()):
        node.set("use", use)


def _name(node: Element, rules: CcdaRules, parent: str) -> None:
    if parent in ("manufacturedMaterial", "labeledDrug", "playingDevice") or (parent == "playingEntity" and not len(node)):
        _drop_children(node)
        node.attrib.clear()
        node.text = rules.scan(node.text)  # the name of a drug, a substance or a device
        return
    kind = "name" if parent in _PEOPLE or any(_local(c.tag) in ("given", "family") for c in node) else "organisation"
    if rules.count_field(kind) == "redact":
        _mask(node)
        return
    _only_use(node)
    for part in list(node):
        if _local(part.tag) not in ("given", "family", "prefix", "suffix", "delimiter"):
            node.remove(part)
    for part in node.iter():
        part.tail = None if part is not node else part.tail
        part.attrib = part.attrib if part is node else {}
        text = (part.text or "").strip()
        if _local(part.tag) in ("prefix", "suffix"):
            part.text = text if text.strip(". ").casefold() in known_words("titles") else None
        elif text:
            part.text = None if any(c.isdigit() for c in text) else rules.replacer.value(kind, text)
        if part is not node:
            _drop_children(part)


def _address(node: Element, rules: CcdaRules, _parent: str) -> None:
    treatment = rules.count_field("place")
    if treatment == "keep":
        return
    if treatment == "redact":
        _mask(node)
        return
    _only_use(node)
    for part in list(node):
        kind = _local(part.tag)
        part.attrib, part.tail = {}, None
        _drop_children(part)
        text = (part.text or "").strip()
        if kind in ("state", "country") and text.strip(". ").casefold() in rules.replacer.states:
            continue
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
        _only_use(node)
        node.text = None
        _drop_children(node)
        scheme = scheme if scheme in ("tel", "fax", "mailto", "http", "https") else "tel"
        mark = ":"
        node.set("value", f"{scheme}{mark}{rules.replacer.value(kind, number)}")


def _id(node: Element, rules: CcdaRules, _parent: str) -> None:
    rules.count_field("record", "tokenise")
    root, extension = node.get("root", ""), node.get("extension")
    null = node.get("nullFlavor")
    node.attrib.clear()
    node.text = None
    _drop_children(node)
    if null in hl7_code_words():
        node.set("nullFlavor", null)
    if root:
        public = _PUBLIC_ROOT.fullmatch(root) and extension is not None and not states_identifier(root, rules.stated)
        node.set("root", root if public else str(uuid.UUID(rules.token("root", root))))
    if extension is not None:
        node.set("extension", rules.token("extension", f"{root}|{extension}"))


def _keep(node: Element, rules: CcdaRules, _parent: str) -> None:
    clean_template(node, rules)
    _drop_children(node)


def _drop_children(node: Element) -> None:
    for child in list(node):
        node.remove(child)


def _number(node: Element, rules: CcdaRules, _parent: str) -> None:
    if rules.count_field("device") == "redact":
        _mask(node)
        return
    node.attrib.clear()
    _drop_children(node)
    if node.text:
        node.text = rules.replacer.value("device", node.text)


def _text(node: Element, rules: CcdaRules, parent: str) -> None:
    """Narrative, and encoded content that is text, is searched. RecordError if the body is not text."""
    if node.get("representation") == "B64":
        clean = _decoded("".join(node.itertext()), rules) if node.get("mediaType", "").startswith("text/plain") else None
        if clean is None and parent == "nonXMLBody":
            raise RecordError("has a body that cannot be searched (a PDF or an image). Send its text instead.")
        kept = {"mediaType": "text/plain", "representation": "B64"}
        node.attrib.clear()
        node.attrib.update({} if clean is None else kept)
        _drop_children(node)
        node.text = clean
        if clean is None:
            rules.omissions[f"{parent}/text (encoded)"] += 1
            node.set("nullFlavor", MASKED)
        return
    if parent == "nonXMLBody" and any(_local(c.tag) == "reference" for c in node):
        raise RecordError("contains only a link to its body. Send the linked document instead.")
    clean_attributes(node, rules, "text")
    _own_text(node, rules, "text")
    _children(node, rules, "text")


def _coded_value(node: Element, rules: CcdaRules, parent: str) -> None:
    """A value: a code, number, time or text; an image is left out."""
    if node.get("representation") == "B64":
        rules.omissions[f"{parent}/value (encoded)"] += 1
        _mask(node)
        return
    if rules.about_person or (rules.about_age and states_old_age("".join(node.itertext()))):
        rules.count_field("name" if rules.about_person else "age", "redact")
        _mask(node)
        return
    clean_attributes(node, rules, "value")
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
