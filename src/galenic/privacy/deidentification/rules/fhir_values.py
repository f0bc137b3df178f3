"""Treatments of FHIR values without child elements: texts, dates, numbers, codes, links, ids and references."""

import re
from typing import Any

from galenic.privacy.deidentification.rules.coded_text import search_coded, search_text
from galenic.privacy.deidentification.rules.codes import display_of, fits_system, is_unit, published_system
from galenic.privacy.deidentification.rules.fhir_rules import OMITTED, FhirRules, Json
from galenic.privacy.deidentification.rules.joined_identifiers import states_digits, states_identifier
from galenic.privacy.deidentification.rules.quantities import (
    TOP_CODE,
    is_measurement,
    is_over_89,
    may_be_years,
    rounded,
)
from galenic.privacy.deidentification.rules.questions import reveals_old_age, states_old_age
from galenic.privacy.deidentification.rules.urls import is_language, is_published_url, media_type
from galenic.privacy.text import reveals_age_over_89
from galenic.records.fhir import r4

_REFERENCE = re.compile(
    r"^(?P<base>https?://.+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?P<rest>/_history/.*|#.*)?$"
)
_URN = re.compile(r"^urn:(?:uuid|oid):(?P<id>.+)$")
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,3}|20\d\d-(?:0[1-9]|1[0-2])|v\d{1,2}", re.I)
_SAMPLES = re.compile(r"(?:[+-]?\d{1,5}(?:\.\d{1,6})?|[EUL])(?: (?:[+-]?\d{1,5}(?:\.\d{1,6})?|[EUL])){9,}")
YEARS_FROM = 1_799  # greater numbers are years of birth where an age is asked for
_QUESTION = re.compile(r"\.code(?:\.coding)?$")  # the path of what is asked, not of an answer
_LINK_ID = re.compile(r"[A-Za-z]?\d{1,3}(?:\.\d{1,3}){0,6}[a-z]?")


def keep(value: Json, _of: str, _path: str, _rules: FhirRules) -> Json:
    """A value of a type that cannot identify, such as a boolean."""
    return value if isinstance(value, bool) else OMITTED


def time(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """A time of the day."""
    return value if isinstance(value, str) and re.fullmatch(r"\d\d:\d\d:\d\d(?:\.\d{1,9})?", value) else rules.omit(path)


def free_text(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """Text that clinicians write: searched."""
    if not isinstance(value, str):
        return OMITTED
    if rules.about_age and states_old_age(value):
        return rules.omit(path)
    return search_text(value, rules)


def label(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """Any other string: unchanged if it is short and a search finds neither identifiers nor unknown words; otherwise left out."""
    if not isinstance(value, str) or len(value) > 200 or "\n" in value:
        return rules.omit(path)
    if rules.about_age and states_old_age(value):
        return rules.omit(path)
    return value if search_coded(value, rules) == value else rules.omit(path)


def display(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """The display of a code: identifiers and words that no terminology has are replaced."""
    return search_coded(value, rules) if isinstance(value, str) else OMITTED


def date(value: Json, of: str, path: str, rules: FhirRules) -> Json:
    """A date by the policy's treatment."""
    if not isinstance(value, str) or not re.match(r"\d{4}", value):
        return OMITTED
    rules.findings.counts["date", "field"] += 1
    treatment = rules.replacer.policy["date"]
    if treatment != "surrogate":
        rules.replacer.count("date", treatment)
    if treatment == "keep":
        return value
    if treatment == "generalise" and reveals_age_over_89(int(value[:4])):
        return rules.omit(path)
    if treatment == "generalise":
        return f"{value[:4]}-01-01T00:00:00Z" if of == "instant" else value[:4]  # the type instant has no lower precision
    if treatment != "surrogate":
        return rules.omit(path)
    day, separator, clock = value.partition("T")
    if len(day) == 10:
        return f"{rules.replacer.value('date', day)}{separator}{clock}"
    return rules.replacer.value("date", f"{day}-15")[:7] if len(day) == 7 else rules.replacer.value("date", f"{day}-07-02")[:4]


def resource_id(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """A token in place of an id."""
    return rules.token("id", str(value))


def version_id(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """A short number as it is; a token in place of any other version."""
    return value if re.fullmatch(r"\d{1,4}", str(value)) else rules.token("version", str(value))


def link_id(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """The number of a question as it is; a token in place of any other link id."""
    plain = isinstance(value, str) and (
        _LINK_ID.fullmatch(value) or (rules.is_plain(value) and search_coded(value, rules) == value)
    )
    return value if plain else rules.token("linkId", str(value))


def number(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """A number that can be a count or an amount; ages above 89 become 90."""
    if isinstance(value, bool):
        return OMITTED
    if rules.about_age and rules.replacer.policy["age"] != "keep" and reveals_old_age(_amount(value)):
        _count_age(rules)
        return rules.omit(path) if _amount(value) > YEARS_FROM else TOP_CODE  # a year of birth has no top code
    fits = is_measurement(value, None) and not states_number(value, rules)
    return rounded(value) if fits else rules.omit(path)


def _amount(value: Json) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _count_age(rules: FhirRules) -> None:
    rules.findings.counts["age", "field"] += 1
    rules.replacer.count("age", "generalise")


def states_number(value: Json, rules: FhirRules) -> bool:
    """True if the digits of a number equal those of an identifier in the patient's records."""
    return states_digits(str(value), rules.stated)


def quantity(value: Json, of: str, path: str, rules: FhirRules) -> Json:
    """A quantity with a plausible value and a known unit; ages above 89 become 90 or more, in every unit of time."""
    if not isinstance(value, dict):
        return OMITTED
    unit = str(value.get("code") or value.get("unit") or "")
    of_age = (rules.about_age or of == "Age") and may_be_years(unit)
    amount = _amount(value.get("value"))
    if rules.replacer.policy["age"] != "keep" and (is_over_89(amount, unit) or (of_age and reveals_old_age(amount))):
        _count_age(rules)
        top: dict[str, Any] = {"value": TOP_CODE, "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}
        simple = path.endswith((".low", ".high"))
        return top if simple else {"value": TOP_CODE, "comparator": ">=", **{k: v for k, v in top.items() if k != "value"}}
    out: dict[str, Any] = {}
    if "value" in value:
        if not is_measurement(value["value"], unit) or states_number(value["value"], rules):
            return rules.omit(path)
        out["value"] = rounded(value["value"])
    if value.get("comparator") in ("<", "<=", ">=", ">"):
        out["comparator"] = value["comparator"]
    return _with_unit(value, out, path, rules) or OMITTED


def _with_unit(value: dict[str, Any], out: dict[str, Any], path: str, rules: FhirRules) -> dict[str, Any]:
    unit, code, system = value.get("unit"), value.get("code"), value.get("system")
    if isinstance(unit, str):
        out["unit"] = unit if is_unit(unit) else search_coded(unit, rules)
    if isinstance(system, str) and isinstance(code, str) and published_system(system) and fits_system(system, code):
        out |= {"system": system, "code": code}
    elif code is not None or system is not None:
        rules.omit(f"{path}.code")
    return out


def samples(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """Sampled data: at least ten short numbers."""
    fits = isinstance(value, str) and _SAMPLES.fullmatch(value) and not states_identifier(value, rules.stated)
    fits = fits and not any(n[0] not in "EUL" and rounded(n) != n for n in value.split())
    fits = fits and not (rules.about_age and states_old_age(value))
    return value if fits else rules.omit(path)


def coding(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """A code that fits its published system; a token in place of any other code that is not made of known words."""
    if not isinstance(value, dict):
        return OMITTED
    out: dict[str, Any] = {}
    system, code = value.get("system"), value.get("code")
    fits = isinstance(system, str) and isinstance(code, str) and fits_system(system, code)
    fits = fits and not states_digits(str(code), rules.stated)
    told = "" if _QUESTION.search(path) else f"{'' if fits else code} {value.get('display', '')}"
    if rules.about_age and states_old_age(told):
        return rules.omit(path)
    if isinstance(system, str):
        out["system"] = (
            system if fits or (not published_system(system) and _is_public(system, rules)) else rules.uuid("system", system)
        )
    if isinstance(code, str):
        plain = fits or rules.is_plain(code)
        out["code"] = code if plain else rules.token(f"code {system}", code)
        if not plain:
            rules.omit(f"{path}.code (of no published system)")
    version = value.get("version")
    if isinstance(version, str):
        if _VERSION.fullmatch(version) and not states_identifier(version, rules.stated):
            out["version"] = version
        else:
            rules.omit(f"{path}.version")
    if isinstance(value.get("display"), str):
        out["display"] = _display_of_code(value["display"], system if fits else None, code, rules)
    if isinstance(value.get("userSelected"), bool):
        out["userSelected"] = value["userSelected"]
    return out or OMITTED


def _is_public(url: str, rules: FhirRules) -> bool:
    """True if a URL is one that a publisher has assigned, and does not hold the patient's name."""
    if published_system(url) is not None:
        return True
    return is_published_url(url, rules.detector.common) and not states_identifier(url, rules.stated)


def _display_of_code(text: str, system: str | None, code: Any, rules: FhirRules) -> str:
    official = display_of(system, str(code)) if system else None
    return text if official is not None and official.casefold() == text.casefold() else search_coded(text, rules)


def code(value: Json, binding: str | None, path: str, rules: FhirRules) -> Json:
    """A code of the value set that R4 requires, a language or a media type; else one that is made of known words."""
    if not isinstance(value, str):
        return OMITTED
    if rules.about_age and ".value" in path and states_old_age(value):
        return rules.omit(path)
    bound = r4().codes.get(binding) if binding else None
    if bound:
        return value if any(value in codes for codes in bound.values()) else rules.omit(path)
    name = path.rpartition(".")[2]
    if name == "language" or (binding or "").endswith("/languages"):
        return value if is_language(value) else rules.omit(path)
    if (binding or "").endswith("/mimetypes"):
        return media_type(value) or rules.omit(path)
    return value if rules.is_plain(value) and len(value) <= 64 else rules.omit(path)


def reference(text: str, rules: FhirRules) -> str:
    """A reference to the same resource, by its token."""
    if text.startswith("#"):
        return "#" + rules.token("id", text[1:]) if len(text) > 1 else text
    urn = _URN.match(text)
    if urn:
        return rules.uuid("id", urn["id"])
    m = _REFERENCE.match(text)
    if m and m["type"] in r4().resources:
        return f"{m['type']}/{rules.token('id', m['id'])}"
    kind = text.partition("?")[0]
    if "?" in text and kind in r4().resources:
        return f"{kind}?identifier={rules.token('search', text)}"
    return rules.uuid("id", text)


def link(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """URL or URN: one of HL7 or a terminology is unchanged; any other could identify somebody and becomes a token."""
    if not isinstance(value, str):
        return OMITTED
    if _is_public(value, rules):
        return value
    m = _REFERENCE.match(value)
    return reference(value, rules) if _URN.match(value) or (m and m["type"] in r4().resources) else rules.uuid("id", value)


def request(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
    """The address of a request in a Bundle."""
    if not isinstance(value, str):
        return OMITTED
    return value if value in r4().resources else reference(value, rules)


def type_name(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """The name of a resource type."""
    return value if value in r4().resources else rules.omit(path)


def whole(kind: str) -> Any:
    """Treatment of a string that consists of an identifier."""

    def replace_value(value: Json, _of: str, _path: str, rules: FhirRules) -> Json:
        if not isinstance(value, str):
            return OMITTED
        rules.findings.counts[kind, "field"] += 1
        return rules.replacer.value(kind, value)

    return replace_value
