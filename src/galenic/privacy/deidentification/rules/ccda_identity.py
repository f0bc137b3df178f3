"""Identifiers of the patient and of other people in the header of a C-CDA document."""

from xml.etree.ElementTree import Element

from galenic.records import HL7

_THINGS = (
    "manufacturedMaterial",
    "labeledDrug",
    "playingDevice",
    "playingEntity",
)  # drugs, devices and substances have names, too


def identifiers_of_document(root: Element) -> tuple[str, dict[str, tuple[str, ...]]]:
    """(the patient's number or "", identifiers of the patient and of everybody the document names, by kind)."""
    q = f"{{{HL7}}}"
    role = root.find(f".//{q}recordTarget/{q}patientRole")
    ids = [e.get("extension", "") for e in role.findall(f"{q}id")] if role is not None else []
    people: list[str] = []
    others: list[str] = []
    things = {n for tag in _THINGS for thing in root.iter(q + tag) for n in thing.findall(f"{q}name") if not len(n)}
    for name in (n for n in root.iter(f"{q}name") if n not in things):
        parts = [t.strip() for t in name.itertext() if t and t.strip()]
        (people if len(name) else others).append(" ".join(parts))
    places = [t.text.strip() for tag in ("streetAddressLine", "city") for t in root.iter(q + tag) if t.text and t.text.strip()]
    phones = [e.get("value", "").partition(":")[2] for e in root.iter(f"{q}telecom")]
    identifiers = {
        "name": tuple(people),
        "organisation": tuple(others),
        "place": tuple(places),
        "record": tuple(i for i in ids if i),
        "phone": tuple(p for p in phones if p),
    }
    return next((i for i in ids if i), ""), {k: tuple(dict.fromkeys(v)) for k, v in identifiers.items()}
