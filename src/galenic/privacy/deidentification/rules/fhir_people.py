"""Treatments of FHIR's data types that describe people: names, addresses, contact points, identifiers, attachments and narrative."""

import base64
import binascii
from typing import Any

from galenic.privacy.deidentification.rules.announcements import search_announced
from galenic.privacy.deidentification.rules.coded_text import search_text
from galenic.privacy.deidentification.rules.codes import known_words
from galenic.privacy.deidentification.rules.fhir_rules import OMITTED, FhirRules, Json
from galenic.privacy.deidentification.rules.fhir_values import code, link, whole
from galenic.privacy.deidentification.rules.narrative import clean_narrative
from galenic.privacy.deidentification.rules.urls import is_language, media_type

_SEARCHABLE = ("text/plain", "text/markdown")


def _use(value: dict[str, Any]) -> dict[str, Any]:
    return {"use": value["use"]} if value.get("use") in known_words("uses") else {}


def name(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """A person's name by the policy's treatment."""
    if not isinstance(value, dict) or rules.replacer.policy["name"] == "redact":
        rules.findings.counts["name", "field"] += 1
        rules.replacer.count("name", "redact")
        return rules.omit(path)
    out = _use(value)
    for part, one in value.items():
        if part in ("prefix", "suffix"):
            known = [t for t in one if isinstance(t, str) and t.strip(". ").casefold() in known_words("titles")]
            out |= {part: known} if known else {}
        elif part in ("family", "text", "given"):
            words = one if isinstance(one, list) else [one]
            made = [whole("name")(w, "", path, rules) for w in words if not any(c.isdigit() for c in str(w))]
            out |= {part: made if isinstance(one, list) else made[0]} if made else {}
    return out or OMITTED


def address(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """Address: known states and countries, the area of the postal code, and surrogates of the rest if the policy has them."""
    if not isinstance(value, dict):
        return OMITTED
    treatment = rules.replacer.policy["place"]
    rules.findings.counts["place", "field"] += 1
    rules.replacer.count("place", treatment)
    if treatment == "keep":
        return value
    out = _use(value)
    out |= {k: value[k] for k in ("state", "country") if str(value.get(k, "")).strip(". ").casefold() in rules.replacer.states}
    if value.get("type") in ("postal", "physical", "both"):
        out["type"] = value["type"]
    if isinstance(value.get("postalCode"), str):
        out["postalCode"] = rules.replacer.value("place", value["postalCode"])
    if treatment == "surrogate":
        out |= {p: rules.replacer.value("place", value[p]) for p in ("city", "district") if isinstance(value.get(p), str)}
        out |= {"line": [rules.replacer.value("place", f"1 {line}") for line in value["line"]]} if value.get("line") else {}
    rules.omissions.update(f"{path}.{p}" for p in value if p not in out)
    return out or OMITTED


def telecom(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """Contact point by the policy's treatment of its kind."""
    system = value.get("system", "phone") if isinstance(value, dict) else "phone"
    kind = {"fax": "fax", "email": "email", "url": "url"}.get(system, "phone")
    rules.findings.counts[kind, "field"] += 1
    if not isinstance(value, dict) or rules.replacer.policy[kind] == "redact" or "value" not in value:
        rules.replacer.count(kind, "redact")
        return rules.omit(path)
    out = {"system": system} if system in ("phone", "fax", "email", "pager", "url", "sms", "other") else {}
    return {**out, **_use(value), "value": rules.replacer.value(kind, str(value["value"]))}


def identifier(value: dict[str, Any], path: str, rules: FhirRules) -> dict[str, Any]:
    """Use, system and token of an identifier; the type is added by the caller."""
    rules.findings.counts["record", "field"] += 1
    rules.replacer.count("record", "tokenise")
    out = _use(value)
    system = value.get("system")
    if isinstance(system, str):
        out["system"] = link(system, "uri", path, rules)
    if "value" in value:
        out["value"] = rules.token(str(system or ""), str(value["value"]))
    rules.omissions.update(f"{path}.{part}" for part in ("assigner", "period") if part in value)
    return out


def attachment(value: Json, _of: str, path: str, rules: FhirRules) -> Json:
    """Attachment: plain text in it is searched; other content, and links, are left out."""
    if not isinstance(value, dict):
        return OMITTED
    parts: dict[str, Any] = {}
    kind = media_type(str(value.get("contentType", "")))
    if kind:
        parts["contentType"] = kind
    if is_language(str(value.get("language", ""))):
        parts["language"] = value["language"]
    data = value.get("data")
    if isinstance(data, str) and kind in _SEARCHABLE:
        try:
            text = base64.b64decode(data, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if text:
            parts["data"] = base64.b64encode(search_text(text, rules).encode()).decode()
    rules.omissions.update(f"{path}.{k}" for k in value if k not in parts)
    return parts or OMITTED


def narrative(value: Json, of: str, path: str, rules: FhirRules) -> Json:
    """Narrative, rebuilt without attributes and comments; left out if it cannot be parsed."""
    if of == "xhtml":
        clean = (
            clean_narrative(value, lambda text, kind: search_announced(text, kind, rules)) if isinstance(value, str) else None
        )
        return clean or rules.omit(path)
    div = narrative(value.get("div"), "xhtml", path, rules) if isinstance(value, dict) else OMITTED
    if div is OMITTED:
        return OMITTED
    status = code(value.get("status"), "http://hl7.org/fhir/ValueSet/narrative-status", f"{path}.status", rules)
    return {"status": "generated" if status is OMITTED else status, "div": div}
