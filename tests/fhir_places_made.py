"""Every place of every FHIR R4 resource that holds a primitive value, from the shipped definitions, and identifiers to plant there."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from galenic.records.fhir import r4

Trail = tuple[tuple[str, bool], ...]  # (name, whether it is a list) of each element on the way
GIVEN, FAMILY = "Qwexibor", "Zantuvel"  # words that no list of names and no record of the patient holds
KNOWN_GIVEN, KNOWN_FAMILY = "Zerlina", "Quastenbach"  # of the patient's own record
BORN, PHONE, ZIP, NUMBER = "1931-03-04", "4155552671", "94612", "00482913"
STATED = {
    "name": (f"{KNOWN_GIVEN} {KNOWN_FAMILY}", KNOWN_FAMILY, KNOWN_GIVEN),
    "phone": ("415-555-2671",),
    "place": (ZIP,),
    "record": (NUMBER,),
    "date": (BORN,),
}
_SENTENCE = "Spoke with {} at length today about the results of the scan and what to do next, and agreed on a plan."
TEXTS = (
    *(
        f"{GIVEN} {FAMILY}",
        "QWEXIBOR ZANTUVEL",
        "qwexibor zantuvel",
        "qwexiborZantuvel",
        "qwexibor-zantuvel",
        "Qwexibor_Zantuvel",
    ),
    *("Qwexibor%20Zantuvel", "&#81;wexibor &#x5A;antuvel", "G. Zantuvel", "zq@qwexibor.org", "http://example.org/qwexibor"),
    *(_SENTENCE.format(f"{KNOWN_GIVEN} {KNOWN_FAMILY}"), _SENTENCE.format("zerlina quastenbach"), "Zerlina", "quastenbach"),
    *(_SENTENCE.format("zerlinaQuastenbach"), PHONE, "(415) 555-2671", "219-09-9999", BORN, "03/04/1931", "19310304"),
    *(ZIP, "94612-1234", f"MRN {NUMBER}", "ninety-four years old"),
)
_URIS = (
    *(
        "http://example.org/qwexibor-zantuvel",
        "http://hl7.org/fhir/qwexibor-zantuvel|1.0",
        "urn:qwexibor:zantuvel",
        "tel:4155552671",
    ),
    *(
        "mailto:zq@qwexibor.org",
        "http://terminology.hl7.org/CodeSystem/qwexibor",
        "https://h/fhir/Patient/zantuvel",
        "Qwexibor/zantuvel",
    ),
    *(
        "urn:oid:2.16.840.1.113883.219099999",
        "http://hl7.org/fhir/StructureDefinition/x#qwexibor",
        "http://loinc.org?q=qwexibor",
    ),
)
_DIV = (
    '<div xmlns="http://www.w3.org/1999/xhtml" title="Qwexibor"><!-- Zantuvel --><p class="zantuvel" style="zantuvel">Qwexi<b>bor</b> '
    "<![CDATA[Zantuvel]]> &#90;antuvel</p><img src='x' alt='Zantuvel'/><x xmlns='u'>Zantuvel</x></div>"
)
FORMS: dict[str, tuple[Any, ...]] = {
    "string": TEXTS,
    "markdown": TEXTS,
    "code": ("qwexibor-zantuvel", "ZANTUVEL", PHONE, "219099999", "19310304", ZIP, "en-zantuvel", "text/plain; name=zantuvel"),
    "id": ("qwexibor-zantuvel",),
    **dict.fromkeys(("uri", "url", "canonical"), _URIS),
    "base64Binary": (base64.b64encode(b"Qwexibor Zantuvel").decode(),),
    **dict.fromkeys(("date", "dateTime"), (BORN, "1931-03")),
    "instant": (BORN + "T01:02:03Z",),
    "time": ("Qwexibor",),
    "boolean": ("Qwexibor", 219099999),
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt", "decimal"), (4155552671, 219099999, 94612)),
    "oid": ("urn:oid:1.2.840.219099999",),
    "uuid": ("urn:uuid:00000000-0000-0000-0000-004155552671",),
    "xhtml": (_DIV, "<div title=Qwexibor>Zantuvel</div>"),
}
GONE = (
    *("qwexibor", "zantuvel", "zerlina", "quastenbach", PHONE, "219099999", "193103", "03041931", NUMBER, ZIP, "ninetyfour"),
)


def places() -> Iterator[tuple[str, Trail, str]]:
    """(resource type, trail, primitive type) of each place, to a depth of five data types; extensions have tests of their own."""
    for resource in sorted(r4().resources - {"Resource", "DomainResource"}):
        for trail, primitive in _places_in(resource, (), frozenset([resource])):
            yield resource, trail, primitive


def _places_in(type_: str, trail: Trail, within: frozenset[str]) -> Iterator[tuple[Trail, str]]:
    for element in r4().types[type_].elements:
        for name, of in element.names():
            base, here = of.removeprefix("@"), (*trail, (name, element.listed))
            if of in r4().primitives:
                yield here, of
            elif base not in ("Resource", "DomainResource", "Extension", "Meta", *within) and len(here) <= 5:
                yield from _places_in(base, here, within | {base})


def planted(resource: str, trail: Trail, value: Any) -> dict[str, Any]:
    """A resource that holds nothing but the value at the place."""
    for name, listed in reversed(trail):
        value = {name: [value] if listed else value}
    return {"resourceType": resource, **value}


def found_in(out: Any) -> list[str]:
    """The identifiers that an output holds, in any spelling, also inside base64; tokens of the run are no text."""
    text = json.dumps(out, ensure_ascii=False)
    for word in re.findall(r'"([A-Za-z0-9+/=]{8,})"', text):
        try:
            text += base64.b64decode(word, validate=True).decode()
        except ValueError:
            continue
    text = re.sub(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)
    plain = "".join(c for c in text.casefold() if c.isalnum())
    return [one for one in GONE if one in plain]
