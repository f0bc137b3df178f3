"""Formats of R4's primitive types (R4, Datatypes, 2.24.0.1), and of elements whose values R4 restricts further."""

import re

from galenic.records.fhir.definitions import Element

# Galenic is stricter than HL7's patterns, which allow dates that do not exist, such as 30 February and the year 0000
_LEAP = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_YEAR = r"(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})"
_DAY = (
    rf"(?:{_YEAR}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    rf"|{_LEAP}-02-29)"
)
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0b\x0c\x0e-\x1f]*$"  # not blank, no control characters
_WORD = r"[^\s\x00-\x1f]"
_OID = r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"
_UUID = r"urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_URN = rf"^{_OID}$|^{_UUID}$"


def _without(*starts: str) -> str:
    """Pattern for the rest of a word that begins with none of these texts, without lookahead, which makes a pattern many times
    slower."""
    if "" in starts:
        return r"[^\s\S]"
    first = sorted({s[0] for s in starts})
    inner = [f"{c}(?:{_without(*(s[1:] for s in starts if s[0] == c))})?" for c in first if not any(s == c for s in starts)]
    return "|".join([rf"[^\s\x00-\x1f{''.join(first)}]{_WORD}*", *inner])


_OTHER = _without("urn:oid:", "urn:uuid:")  # a text that is marked as OID or UUID must have that format
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*:"  # RFC 3986, 4.3
_ELSE = (  # an absolute URI that is no OID and no UUID
    rf"(?:(?:[A-Za-tv-z][A-Za-z0-9+.\-]*|u(?:[A-Za-qs-z0-9+.\-][A-Za-z0-9+.\-]*|r(?:[A-Za-mo-z0-9+.\-][A-Za-z0-9+.\-]*"
    rf"|n[A-Za-z0-9+.\-]+)?)?):{_WORD}+|urn:(?:{_without('oid:', 'uuid:')}))"
)
_BASE64 = r"[0-9a-zA-Z+/]"
_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+"
MIME = rf'^{_NAME}/{_NAME}(?:\s*;\s*{_NAME}=(?:{_NAME}|"[^"]*"))*$'  # RFC 6838, RFC 2045 (BCP 13)
PATTERNS = {
    "date": rf"^(?:{_YEAR}|{_YEAR}-(?:0[1-9]|1[0-2])|{_DAY})$",
    "dateTime": rf"^(?:{_YEAR}|{_YEAR}-(?:0[1-9]|1[0-2])|{_DAY}(?:T{_CLOCK}{_ZONE})?)$",
    "instant": rf"^{_DAY}T{_CLOCK}{_ZONE}$",
    "time": rf"^{_CLOCK}$",
    "id": r"^[A-Za-z0-9\-\.]{1,64}$",
    "code": rf"^{_WORD}+(?: {_WORD}+)*$",
    "oid": rf"^{_OID}$",
    "uuid": r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "uri": rf"^(?:{_OTHER})$|{_URN}",
    "url": rf"^(?:{_OTHER})$|{_URN}",
    "canonical": rf"^{_ELSE}$|^#{_WORD}+$|{_URN}",
    "string": _TEXT,
    "markdown": _TEXT,
    "base64Binary": rf"^(?:\s*{_BASE64}{{4}})*\s*(?:{_BASE64}{{4}}|{_BASE64}{{3}}=|{_BASE64}{{2}}==)\s*$",
    "absolute": rf"^{_ELSE}$|{_URN}",
    "mime": MIME,
    "mime-or-format": rf"{MIME}|^(?:json|xml|ttl)$",
    "element-id": rf"^{_WORD}+$",
}
FORMS = {
    "date": "an existing date: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "an existing date, with seconds and an offset if it has a time",
    "instant": "an existing date with seconds and an offset",
    "canonical": "an absolute URI, or # and the id of a contained resource",
    "base64Binary": "base64 with its padding",
    "uri": "a URI; if it begins with urn:oid: or urn:uuid:, a valid OID or UUID",
    "url": "a URL; if it begins with urn:oid: or urn:uuid:, a valid OID or UUID",
    "absolute": "an absolute URI, such as https://…, urn:oid:1.2.3 or urn:uuid:…",
    "mime": "a media type, such as application/pdf (BCP 13)",
    "mime-or-format": "a media type, such as application/fhir+json, or json, xml or ttl",
    "element-id": "an id without spaces",
}
NARROWER = ("absolute", "mime", "mime-or-format", "element-id")  # forms that are no types
ABSOLUTE = re.compile(rf"^{_SCHEME}\S+\Z")
UUID = re.compile(rf"^{_UUID}\Z")
MIME_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes"
SYSTEMS = ("Coding", "Identifier", "Quantity", "Age", "Count", "Distance", "Duration")  # their system is absolute


def form_of(type_path: str, element: Element, kind: str, *, is_resource: bool) -> str:
    """The key in PATTERNS of an element's value: its type, or a narrower form that R4 gives to this element."""
    if kind == "uri" and element.name == "system" and type_path in SYSTEMS:
        return "absolute"
    if kind == "uri" and element.name == "url" and is_resource:  # canonical URL of a definition (R4, Canonical resources)
        return "absolute"
    if element.binding == MIME_TYPES:
        loose = type_path in ("CapabilityStatement",) or type_path.startswith("TestScript")
        return "mime-or-format" if loose else "mime"
    if kind == "string" and element.name == "id" and not is_resource:
        return "element-id"
    return kind
