"""Attributes of C-CDA elements: each is kept only if its value fits the rule for its name; all others are left out and counted."""

import re
import uuid
from collections.abc import Callable
from xml.etree.ElementTree import Element

from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules
from galenic.privacy.deidentification.rules.coded_text import search_coded
from galenic.privacy.deidentification.rules.codes import (
    display_of,
    fits_system,
    hl7_code_words,
    is_unit,
    known_words,
    published_system,
)
from galenic.privacy.deidentification.rules.joined_identifiers import states_digits, states_identifier
from galenic.privacy.deidentification.rules.quantities import TOP_CODE, is_measurement, is_over_89, may_be_years, rounded
from galenic.privacy.deidentification.rules.questions import reveals_old_age
from galenic.privacy.deidentification.rules.urls import is_language, media_type
from galenic.privacy.text import reveals_age_over_89, shift_date
from galenic.records import SDTC, XSI

_TIME_VALUE = re.compile(r"(?:18|19|20)\d\d(?:\d\d){0,5}(?:\.\d{1,4})?(?:[+-]\d{4})?")
_NUMBER_VALUE = re.compile(r"[+-]?\d{1,7}(?:\.\d{1,17})?(?:[eE][+-]?\d\d?)?")
_BOOLEAN = ("true", "false")
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,3}|20\d\d-(?:0[1-9]|1[0-2])")
MASKED = "MSK"  # HL7 null flavor: the value exists and is withheld


def _fits(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


def _hl7(value: str) -> bool:
    """One or several codes of HL7's tables."""
    return bool(value.split()) and all(code in hl7_code_words() for code in value.split())


_RULES: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(("typeCode", "classCode", "moodCode", "nullFlavor", "use", "qualifier", "determinerCode", "contextControlCode"), _hl7),
    **dict.fromkeys(("negationInd", "inversionInd", "contextConductionInd"), _fits("true|false")),
    **dict.fromkeys(("institutionSpecified", "independentInd", "inclusive"), _fits("true|false")),
    **dict.fromkeys(("colspan", "rowspan", "border", "sequenceNumber"), _fits(r"\d{1,2}")),
    "width": _fits(r"\d{1,3}%?"), "align": _fits("left|center|right|justify|char"), "valign": _fits("top|middle|bottom|baseline"),
    "listType": _fits("ordered|unordered"), "representation": _fits("TXT|B64"), "operator": _fits("[IEAHP]"), "partType": _hl7,
    "language": is_language, "unit": is_unit, "styleCode": lambda v: bool(v.split()) and all(s in known_words("cda_styles") for s in v.split()),
    "codeSystem": lambda v: published_system(v) is not None, "codeSystemVersion": lambda v: _VERSION.fullmatch(v) is not None,
    f"{{{SDTC}}}valueSet": _fits(r"2\.16\.840\.1\.113883\.(?:\d{1,4}\.){1,6}\d{1,5}"), "scope": _fits("row|col|rowgroup|colgroup"),
}  # fmt: skip


def clean_attributes(node: Element, rules: CcdaRules, name: str) -> None:
    """De-identify all attributes of an element."""
    coded = node.get("code"), node.get("codeSystem")
    if "code" in node.attrib:
        _code(node, rules, name)
    for key, value in [(k, v) for k, v in node.attrib.items() if k != "code"]:
        if key in ("displayName", "codeSystemName"):
            _display(node, key, value, coded, rules)
        elif key == "value":
            _value(node, value, rules, name)
        elif key == f"{{{XSI}}}type":
            _type(node, key, value, rules, name)
        elif key == "mediaType" and media_type(value):
            node.set(key, str(media_type(value)))
        elif key in ("ID", "IDREF", "referencedObject") or (key == "href" and value.startswith("#")):
            node.set(key, _target(value, rules))
        elif key not in _RULES or not _RULES[key](value) or states_identifier(value, rules.stated):
            rules.omissions[f"{name}/@{_local(key)}"] += 1
            del node.attrib[key]


def _local(key: str) -> str:
    return key.rpartition("}")[2] if key in _RULES or key.rpartition("}")[2] in ("schemaLocation", "type") else "(other)"


def _target(value: str, rules: CcdaRules) -> str:
    plain = value.removeprefix("#")
    return ("#" if value.startswith("#") else "") + "t" + rules.token("ID", plain)


def _type(node: Element, key: str, value: str, rules: CcdaRules, name: str) -> None:
    plain = value.rpartition(":")[2]
    if plain in known_words("cda_types"):
        node.set(key, plain)
    else:
        rules.omissions[f"{name}/@type"] += 1
        del node.attrib[key]


def _code(node: Element, rules: CcdaRules, name: str) -> None:
    """A code that fits its system, or that consists of known words; any other is withheld."""
    code, system = node.attrib["code"], node.get("codeSystem", "")
    fits = fits_system(system, code) if system else code in hl7_code_words() or is_language(code) or _is_word(code, rules)
    if not fits and (
        not system or published_system(system) is None or published_system(system) == system.removeprefix("urn:oid:")
    ):
        fits = _is_word(code, rules)
    if not fits or states_digits(code, rules.stated):
        rules.omissions[f"{name}/@code"] += 1
        del node.attrib["code"]
        node.attrib.setdefault("nullFlavor", MASKED)


def _is_word(code: str, rules: CcdaRules) -> bool:
    return " " not in code and rules.is_plain(code)


def _display(node: Element, key: str, value: str, coded: tuple[str | None, str | None], rules: CcdaRules) -> None:
    code, system = coded
    official = display_of(system, code) if system and code and key == "displayName" else None
    known = official is not None and official.casefold() == value.casefold()
    node.set(key, value if known else search_coded(value, rules))


def _value(node: Element, value: str, rules: CcdaRules, name: str) -> None:
    kind = node.get(f"{{{XSI}}}type", "").rpartition(":")[2]
    unit = node.get("unit")
    number = unit is not None or kind in ("INT", "REAL", "PQ", "BL", "MO")
    if not number and _TIME_VALUE.fullmatch(value) and not states_digits(value[:4], rules.stated):
        _time(node, value, rules)
    elif value in _BOOLEAN:
        return
    elif value.startswith("#"):
        node.set("value", _target(value, rules))
    elif _NUMBER_VALUE.fullmatch(value):
        _number(node, value, unit, rules, name)
    else:
        rules.omissions[f"{name}/@value"] += 1
        del node.attrib["value"]


def _number(node: Element, value: str, unit: str | None, rules: CcdaRules, name: str) -> None:
    over = is_over_89(float(value), unit or "") or (rules.about_age and may_be_years(unit) and reveals_old_age(float(value)))
    if over and rules.replacer.policy["age"] != "keep":
        rules.count_field("age", "generalise")
        node.set("value", str(TOP_CODE))
        node.set("unit", "a")
    elif not is_measurement(value, unit) or states_digits(value, rules.stated):
        rules.omissions[f"{name}/@value"] += 1
        del node.attrib["value"]
        node.attrib.setdefault("nullFlavor", MASKED)
    elif rounded(value) != value:
        node.set("value", str(rounded(value)))


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
        node.set("nullFlavor", MASKED)


_TEMPLATE = re.compile(r"(?:2\.16\.840\.1\.113883\.(?:10|1|3|19)|1\.3\.6\.1\.4\.1\.19376|2\.16\.756\.5\.30)(?:\.\d{1,5}){1,9}")
_TEMPLATE_VERSION = re.compile(r"20[12]\d-\d\d-(?:01|08|09|12|13|14|15)|POCD_HD000040(?:UV02)?")


def clean_template(node: Element, rules: CcdaRules) -> None:
    """The id of a template or type, which the standard assigns; anything else becomes a token or is left out."""
    root, extension = node.get("root", ""), node.get("extension", "")
    node.attrib.clear()
    node.text = None
    if root:
        node.set("root", root if _TEMPLATE.fullmatch(root) else str(uuid.UUID(rules.token("root", root))))
    if extension and _TEMPLATE_VERSION.fullmatch(extension) and not states_identifier(extension, rules.stated):
        node.set("extension", extension)
    elif extension:
        rules.omissions["templateId/@extension"] += 1
