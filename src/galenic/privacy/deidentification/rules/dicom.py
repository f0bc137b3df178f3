"""DICOM objects without identity: each attribute by PS3.15's Annex E, at every depth; what its table does not name, by its type."""

import hmac
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from galenic.errors import DescriptionError, RecordError
from galenic.privacy.deidentification.rules.pixels import PixelMask, clean_pixels
from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings, deidentify_text, shift_date
from galenic.records.dicom import is_plain_number

# code, meaning (PS3.16, CID 7050): what 0012,0064 says was done
METHODS = {
    "": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "graphics": ("113103", "Clean Graphics Option"),
    "structured": ("113104", "Clean Structured Content Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "full-dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modified-dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "uids": ("113110", "Retain UIDs Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}
OPTIONS = tuple(o for o in METHODS if o not in ("", "pixels", "graphics"))
ROOT = "1.2.840.10008."  # of the standard's own UIDs
_STANDARD_UIDS = frozenset(
    (0x00080016, 0x0008010C, 0x00080117, 0x00080118, 0x00081150, 0x0008001B, 0x00041510, 0x00041512, 0x0008001A)
)
_CODES = ("CodeValue", "LongCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodingSchemeName")
_LEFT = frozenset(
    (0x00080005, 0x7FE00010, 0x7FE00008, 0x7FE00009, 0x00280303)
)  # character set, pixels, what is said at the end
_FREE, _SHORT = frozenset(("LT", "ST", "UT", "UC")), frozenset(("LO", "SH"))
_KIND = {"PN": "name", "DA": "date", "DT": "date", "TM": "date", "AS": "age", "UI": "record", "AE": "device", "UR": "url"}
_OWN = {  # attributes whose values are looked for in every text
    "name": (
        "PatientName OtherPatientNames PatientBirthName PatientMotherBirthName ResponsiblePerson ReferringPhysicianName "
        "PerformingPhysicianName OperatorsName RequestingPhysician NameOfPhysiciansReadingStudy PhysiciansOfRecord"
    ),
    "record": "PatientID OtherPatientIDs AccessionNumber AdmissionID StudyID IssuerOfPatientID",
    "place": "PatientAddress InstitutionAddress", "phone": "PatientTelephoneNumbers", "organisation": "InstitutionName",
}  # fmt: skip


@cache
def _keyword(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag  # noqa: PLC0415  # the room is imported without it

    return str(keyword_for_tag(tag))


@dataclass(frozen=True)
class ProfileRow:
    """Of Table E.1-1. options: what an option does in the place of the profile."""

    basic: str
    options: dict[str, str]


@cache
def profile_table() -> dict[str, ProfileRow]:
    """By tag as eight hexadecimal digits; XX for the repeating groups."""
    text = files("galenic.privacy.deidentification.rules").joinpath("dicom.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and line[0] in "0123456789ABCDEF"]
    return {tag: ProfileRow(basic, dict(o.split("=") for o in options.split())) for tag, _, basic, options, _ in rows}


@cache
def _action(tag: int, options: frozenset[str]) -> str:
    """What the table says of an attribute: the option's word where one has it, '' where it names it not."""
    row = profile_table().get(f"{tag:08X}")
    if row is None:
        return ""
    said = [row.options[o] for o in OPTIONS if o in options and o in row.options]
    return "K" if "K" in said else said[0] if said else row.basic


@dataclass
class DicomRules:
    """What one object goes through. key: 32 bytes of the run: UIDs and ids become others under it. replacer: of its patient.
    masks: where a site knows that text is burned in. strict: what does not say that nothing is burned in counts as if it said so."""

    detector: Detector
    replacer: Replacer
    key: bytes
    options: frozenset[str] = frozenset()
    masks: tuple[PixelMask, ...] = ()
    strict: bool = False
    known: StatedIdentifiers | None = None
    taken: TextFindings = field(default_factory=TextFindings)
    dropped: Counter[str] = field(default_factory=Counter)  # by attribute
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        wrong = sorted(self.options - set(OPTIONS))
        if wrong:
            raise DescriptionError(
                f"{', '.join(wrong)}: no options of PS3.15 that are known here. Options: {', '.join(OPTIONS)}."
            )
        self.plain = replace(self.detector, tagger=None)

    def uid(self, value: str) -> str:
        """Another UID for the same object, the same wherever it stands; the standard's own stay."""
        if not value or value.startswith(ROOT):
            return value
        return f"2.25.{uuid.UUID(bytes=hmac.digest(self.key, b'uid ' + value.encode(), 'sha256')[:16], version=4).int}"

    def token(self, kind: str, value: str) -> str:
        """A keyed token of 16 signs, as it fits into SH and LO."""
        return hmac.digest(self.key, f"{kind}\0{value}".encode(), "sha256")[:8].hex().upper()


def dicom_identity(ds: Any) -> dict[str, tuple[str, ...]]:
    """What an object's header states of its patient and of those around, by kind of identifier."""
    found: dict[str, tuple[str, ...]] = {}
    for kind, keywords in _OWN.items():
        values = [v for keyword in keywords.split() for v in _values(ds.get(keyword))]
        found[kind] = tuple(v.replace("^", " ").replace("=", " ") for v in values)
    return found


def _values(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    many = value if isinstance(value, list | tuple) or value.__class__.__name__ == "MultiValue" else [value]
    return [str(v) for v in many if str(v)]


def deidentify_dicom(ds: Any, rules: DicomRules) -> Any:
    """The object itself, changed: what identifies is gone from its header, and where text may be burned into its pixels it is masked.
    RecordError where that can not be done: then it must not come out."""
    if "EncapsulatedDocument" in ds:
        raise RecordError("holds a document (PDF, CDA) that can not be searched here. Send the document by itself, as text.")
    masked = clean_pixels(ds, rules.masks, rules.strict, rules.remarks)
    _dataset(ds, rules, "")
    ds.SpecificCharacterSet = "ISO_IR 192"
    _say(ds, rules.options, masked)
    return ds


def _dataset(ds: Any, rules: DicomRules, path: str) -> None:
    for tag in list(ds.keys()):
        number = int(tag)
        group = number >> 16
        if group & 1:
            rules.dropped["private attributes"] += 1
            del ds[tag]
        elif not number & 0xFFFF or 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:  # group lengths, curves, overlays
            rules.dropped["curves and overlays"] += bool(number & 0xFFFF)
            del ds[tag]
        elif number not in _LEFT:
            action = _action(number, rules.options)
            if action in ("", "K") and is_plain_number(ds.get_item(tag)):
                continue
            if action == "X":
                _left_out(ds, tag, rules, path)
                continue
            element = ds[tag]
            _attribute(ds, element, rules, f"{path}{element.keyword or str(tag)}")
        elif number == 0x00080005 and path:
            del ds[tag]  # one character set for all


def _left_out(ds: Any, tag: Any, rules: DicomRules, path: str) -> None:
    """What goes altogether need not be understood."""
    raw = ds.get_item(tag)
    if raw.value not in (None, "", b"", []):
        kind = _KIND.get(raw.VR or "", "other")
        rules.taken.found[kind, "field"] += 1
        rules.replacer.count(kind, "remove")
    rules.dropped[f"{path}{_keyword(int(tag))}"] += 1
    del ds[tag]


def _attribute(ds: Any, element: Any, rules: DicomRules, path: str) -> None:
    action = _action(int(element.tag), rules.options)
    if element.VR == "SQ" and action not in ("X", "Z"):
        _sequence(element, action, rules, path)
    elif action in ("", "K"):
        _unnamed(ds, element, rules, path, kept=action == "K")
    elif action == "C":
        _cleaned(ds, element, rules, path)
    else:
        _removed(ds, element, action, rules, path)


def _sequence(element: Any, action: str, rules: DicomRules, path: str) -> None:
    """Items are searched; where the table wants a dummy in its place, one item is left, of dummies."""
    if action in ("", "K", "C", "X/Z/U*", "U"):
        for item in element.value:
            _dataset(item, rules, f"{path}.")
        return
    rules.taken.found["other", "field"] += 1
    rules.replacer.count("other", "dummy")
    if element.keyword == "ContentSequence":
        element.value = [_comment()] if element.value else []
        return
    for item in element.value:
        _dummies(item, rules)


def _comment() -> Any:
    """What a report says when it says nothing: one text (PS3.16, TID 300's kind of item, concept 121106)."""
    from pydicom import Dataset  # noqa: PLC0415  # the room is imported without it

    item, name = Dataset(), Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121106", "DCM", "Comment"
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "REMOVED"
    item.ConceptNameCodeSequence = [name]
    return item


def _dummies(ds: Any, rules: DicomRules) -> None:
    """Every text, name, date of an item a dummy; codes say no more of anybody than that something was coded."""
    for tag in list(ds.keys()):
        if int(tag) >> 16 & 1:
            del ds[tag]
            continue
        element = ds[tag]
        if element.VR == "SQ":
            for item in element.value:
                _dummies(item, rules)
        elif element.VR == "UI":
            element.value = _uids(element.value, rules)
        elif element.VR not in ("CS", "US", "SS", "UL", "SL", "FL", "FD", "AT"):
            element.value = _dummy(element.VR)


def _removed(ds: Any, element: Any, action: str, rules: DicomRules, path: str) -> None:
    """X, Z, D, U and their either-ors: the one that every type of attribute bears."""
    kind = _KIND.get(element.VR, "other")
    if element.value not in (None, "", b"", []):
        rules.taken.found[kind, "field"] += 1
        rules.replacer.count(kind, {"X": "remove", "Z": "empty", "U": "another"}.get(action, "dummy"))
    if action == "X":
        rules.dropped[path] += 1
        del ds[element.tag]
    elif action in ("U", "X/Z/U*"):
        element.value = _uids(element.value, rules)
    elif element.keyword == "PatientID":
        element.value = rules.token("patient", str(element.value)) if element.value else ""
    elif action in ("Z", "X/Z"):
        element.value = [] if element.VR == "SQ" else None
    elif element.value not in (None, ""):
        element.value = _dummy(element.VR)


def _uids(value: Any, rules: DicomRules) -> Any:
    found = [rules.uid(v) for v in _values(value)]
    return found if len(found) > 1 else (found or [""])[0]


_TEXTS = dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED")
_BYTES = {"OB": b"\0\0", "OW": b"\0\0", "OD": b"\0" * 8, "OF": b"\0" * 4, "OL": b"\0" * 4, "OV": b"\0" * 8, "UN": b"\0\0"}
_NUMBERS = dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), 0) | {"FL": 0.0, "FD": 0.0, "DS": "0", "IS": "0"}
_TIMES = {"AS": "000Y", "DA": "19000101", "DT": "19000101000000", "TM": "000000"}
_DUMMY: dict[str, Any] = {**_TEXTS, **_BYTES, **_NUMBERS, **_TIMES, "UR": "urn:removed"}


def _dummy(vr: str) -> Any:
    return _DUMMY.get(vr)


def _unnamed(ds: Any, element: Any, rules: DicomRules, path: str, *, kept: bool) -> None:
    """What the table does not name, or an option keeps: names, dates and texts of it are still no secret of anybody's."""
    vr = element.VR
    if vr == "AS":
        element.value = [_age(v, rules) for v in _values(element.value)] or None
    elif kept:
        return
    elif (
        vr == "UI"
        and int(element.tag) not in _STANDARD_UIDS
        and not element.keyword.startswith(("CodingScheme", "Mapping", "Context"))
    ):
        element.value = _uids(element.value, rules)
    elif vr in ("PN", "UN", "UR", "DA", "DT") and element.value not in (None, "", b""):
        keep = vr in ("DA", "DT") and "full-dates" in rules.options
        if vr in ("DA", "DT") and "modified-dates" in rules.options:
            _cleaned(ds, element, rules, path)
        elif not keep:
            _removed(ds, element, "X" if vr in ("UN", "UR") else "D", rules, path)
    elif vr in _FREE:
        element.value = [_searched(v, rules, rules.detector) for v in _values(element.value)] or None
    elif (
        vr in _SHORT and element.keyword not in _CODES
    ):  # words of a manufacturer or a terminology: what is known, and what has a form
        element.value = [_searched(v, rules, rules.plain) for v in _values(element.value)] or None


def _searched(value: str, rules: DicomRules, detector: Detector) -> str:
    return deidentify_text(value, detector, rules.replacer, rules.known, rules.taken)


def _age(value: str, rules: DicomRules) -> str:
    """Ages above 89 are one (45 CFR 164.514(b)(2)(i)(C))."""
    years = value.endswith("Y") and value[:-1].isdigit() and int(value[:-1]) > 89
    if years:
        rules.taken.found["age", "field"] += 1
        rules.replacer.count("age", "generalise")
    return "090Y" if years else value


def _cleaned(ds: Any, element: Any, rules: DicomRules, path: str) -> None:
    """C: dates moved with the patient's others, texts searched."""
    vr = element.VR
    values = _values(element.value)
    if vr in ("DA", "DT"):
        rules.taken.found["date", "field"] += len(values)
        element.value = [m for v in values if (m := _moved(v, rules))] or None
    elif vr == "TM":
        return  # the time of a day that is moved by whole days
    elif vr == "PN":
        rules.taken.found["name", "field"] += len(values)
        element.value = [rules.replacer.value("name", v) for v in values] or None
    elif vr in _FREE | _SHORT:
        limit = {"SH": 16, "LO": 64}.get(vr, 10_000_000)
        element.value = [_searched(v, rules, rules.detector)[:limit] for v in values] or None
    else:
        _removed(ds, element, "D", rules, path)


def _moved(value: str, rules: DicomRules) -> str:
    """DA or DT, moved by the patient's days; '' for what is less than a day."""
    day, rest = value[:8], value[8:]
    return (shift_date(day, rules.replacer.days).text or "") + rest if len(day) == 8 and day.isdigit() else ""


def _say(ds: Any, options: Iterable[str], masked: bool) -> None:
    """0012,0062 to 0012,0064 and 0028,0303: that identity was removed, and how."""
    from pydicom import Dataset  # noqa: PLC0415

    done = ["", *(["pixels"] if masked else []), *(o for o in OPTIONS if o in set(options))]
    codes = []
    for option in done:
        item = Dataset()
        item.CodeValue, item.CodeMeaning = METHODS[option]
        item.CodingSchemeDesignator = "DCM"
        codes.append(item)
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = ["Galenic", "PS3.15 2024b"]
    ds.DeidentificationMethodCodeSequence = codes
    kept = set(options)
    ds.LongitudinalTemporalInformationModified = (
        "UNMODIFIED" if "full-dates" in kept else "MODIFIED" if "modified-dates" in kept else "REMOVED"
    )
