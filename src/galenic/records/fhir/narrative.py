"""Narrative: limited XHTML in one <div> without active content (R4, Narrative, txt-1 and txt-2)."""

import re
from typing import Any
from xml.parsers import expat

from galenic.records.fhir.issue import ValidationIssue

NAMESPACE = "http://www.w3.org/1999/xhtml"
XHTML = frozenset(
    re.findall(
        r"\w+",
        "a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre "
        "q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var",
    )
)
ENTITY = re.compile(r"&(?!amp;|lt;|gt;|quot;|apos;|#)[A-Za-z0-9]+;")  # entities of HTML; XML defines only five
RUNS = re.compile(r"^\s*(?:javascript|vbscript|data):|expression\s*\(", re.IGNORECASE)
SHOWN = re.compile(r"<[^>]*>|\s")


def check_narrative(node: dict[str, Any], where: str) -> list[ValidationIssue]:
    """The issues of a Narrative's div."""
    faults = list(dict.fromkeys(_faults(node["div"]) if isinstance(node.get("div"), str) else ()))
    rule = {"is empty": "txt-2"}
    what = "Expected limited XHTML in one <div>."
    return [ValidationIssue("error", f"{where}.div", rule.get(fault, "txt-1"), f"{fault}. {what}") for fault in faults]


def _faults(div: str) -> list[str]:
    faults: list[str] = []
    open_tags: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        namespace, _, tag = name.rpartition(" ")
        if namespace != NAMESPACE:
            faults.append(f"contains an element outside the namespace {NAMESPACE}: give <div> this xmlns")
        if not open_tags and tag != "div":
            faults.append("does not begin with <div>")
        open_tags.append(tag)
        if tag not in XHTML:
            faults.append("contains an element that is not allowed in narrative, such as script, form or iframe")
        if any(name.lower().startswith("on") or RUNS.search(value) for name, value in attributes.items()):
            faults.append("contains an attribute that runs code")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: open_tags.pop()
    parser.StartDoctypeDeclHandler = lambda *_given: faults.append("contains a document type declaration")
    parser.ProcessingInstructionHandler = lambda *_given: faults.append("contains a processing instruction")
    try:
        parser.Parse(ENTITY.sub(" ", div).encode("utf-8", "replace"), True)
    except expat.ExpatError:
        faults.append("is not well-formed XHTML")
    if not faults and not SHOWN.sub("", div) and "<img" not in div:
        faults.append("is empty")
    return faults
