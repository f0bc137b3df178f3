"""De-identification of DICOM objects: each attribute by PS3.15 Annex E, at every depth; others by their value representation."""

import hmac
import re
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from galenic.errors import RecordError
from galenic.privacy.deidentification.rules.coded_text import search_coded
from galenic.privacy.deidentification.rules.coded_words import is_plain
from galenic.privacy.deidentification.rules.codes import known_words
from galenic.privacy.deidentification.rules.dicom_profile import METHODS, OPTIONS, ProfileOptions, profile_action
from galenic.privacy.deidentification.rules.joined_identifiers import states_identifier
from galenic.privacy.deidentification.rules.pixels import clean_pixels
from galenic.privacy.text import (
    Detector,
    Replacer,
    StatedIdentifiers,
    TextFindings,
    check_time,
    deidentify_text,
    holds_names,
    shift_date,
)
from galenic.records.dicom import is_plain_number

STANDARD_ROOT = "1.2.840.10008."  # of UIDs that the standard assigns
_STANDARD_UIDS = frozenset(
    (0x00080016, 0x0008010C, 0x00080117, 0x00080118, 0x00081150, 0x0008001B, 0x00041510, 0x00041512, 0x0008001A)
)
_CODES = ("CodeValue", "LongCodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodingSchemeName")
_UNTOUCHED = frozenset(
    (0x00080005, 0x7FE00010, 0x7FE00008, 0x7FE00009, 0x00280303)
)  # character set, pixels, and what is set at the end
_FREE, _SHORT = frozenset(("LT", "ST", "UT", "UC")), frozenset(("LO", "SH"))
_KIND = {"PN": "name", "DA": "date", "DT": "date", "TM": "date", "AS": "age", "UI": "record", "AE": "device", "UR": "url"}
_IDENTIFIERS = {  # attributes whose values are searched for in every text
    "name": (
        "PatientName OtherPatientNames PatientBirthName PatientMotherBirthName ResponsiblePerson ReferringPhysicianName "
        "PerformingPhysicianName OperatorsName RequestingPhysician NameOfPhysiciansReadingStudy PhysiciansOfRecord"
    ),
    "record": "PatientID OtherPatientIDs AccessionNumber AdmissionID StudyID IssuerOfPatientID",
    "place": "PatientAddress InstitutionAddress", "phone": "PatientTelephoneNumbers", "organisation": "InstitutionName",
}  # fmt: skip


@cache
def _keyword(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag  # noqa: PLC0415  # optional

    return str(keyword_for_tag(tag))


@dataclass
class DicomRules:
    """Rules for one object. key: 32 bytes of the run; UIDs and ids are replaced under it. replacer: of the object's patient.
    omissions: by attribute."""

    detector: Detector
    replacer: Replacer
    key: bytes
    profile: ProfileOptions
    stated: StatedIdentifiers | None = None
    findings: TextFindings = field(default_factory=TextFindings)
    omissions: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.without_tagger = replace(self.detector, tagger=None)

    def uid(self, value: str) -> str:
        """New UID for an object, the same at each occurrence; UIDs of the standard are unchanged."""
        if not value or value.startswith(STANDARD_ROOT):
            return value
        return f"2.25.{uuid.UUID(bytes=hmac.digest(self.key, b'uid ' + value.encode(), 'sha256')[:16], version=4).int}"

    def token(self, kind: str, value: str) -> str:
        """A keyed token of 16 characters, which fits into SH and LO."""
        return hmac.digest(self.key, f"{kind}\0{value}".encode(), "sha256")[:8].hex().upper()


def identifiers_of_header(ds: Any) -> dict[str, tuple[str, ...]]:
    """Identifiers that an object's header states of the patient and of other people, by kind."""
    identifiers: dict[str, tuple[str, ...]] = {}
    for kind, keywords in _IDENTIFIERS.items():
        values = [v for keyword in keywords.split() for v in _values(ds.get(keyword))]
        identifiers[kind] = tuple(v.replace("^", " ").replace("=", " ") for v in values)
    return identifiers


def _values(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    many = value if isinstance(value, list | tuple) or value.__class__.__name__ == "MultiValue" else [value]
    return [str(v) for v in many if str(v)]


def deidentify_dicom(ds: Any, rules: DicomRules) -> Any:
    """De-identify the object in place: its header, and pixels that may contain text. Raise RecordError if that is not possible."""
    if "EncapsulatedDocument" in ds:
        raise RecordError("contains a document (PDF, CDA) that cannot be searched. Send the document separately, as text.")
    masked = clean_pixels(ds, rules.profile.masks, rules.profile.strict, rules.remarks)
    _dataset(ds, rules, "")
    ds.SpecificCharacterSet = "ISO_IR 192"
    _set_method(ds, rules.profile.options, masked)
    return ds


def _dataset(ds: Any, rules: DicomRules, path: str) -> None:
    for tag in list(ds.keys()):
        number = int(tag)
        group = number >> 16
        if group & 1:
            rules.omissions["private attributes"] += 1
            del ds[tag]
        elif not number & 0xFFFF or 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:  # group lengths, curves, overlays
            rules.omissions["curves and overlays"] += bool(number & 0xFFFF)
            del ds[tag]
        elif number not in _UNTOUCHED:
            action = profile_action(number, rules.profile.options)
            if action in ("", "K") and is_plain_number(ds.get_item(tag)) and ds.get_item(tag).VR != "CS":
                continue
            if action == "X":
                _delete_undecoded(ds, tag, rules, path)
                continue
            element = ds[tag]
            _attribute(ds, element, rules, f"{path}{element.keyword or str(tag)}")
        elif number == 0x00080005 and path:
            del ds[tag]  # one character set for all


def _delete_undecoded(ds: Any, tag: Any, rules: DicomRules, path: str) -> None:
    """Remove an attribute without decoding it."""
    raw = ds.get_item(tag)
    if raw.value not in (None, "", b"", []):
        kind = _KIND.get(raw.VR or "", "other")
        rules.findings.counts[kind, "field"] += 1
        rules.replacer.count(kind, "remove")
    rules.omissions[f"{path}{_keyword(int(tag))}"] += 1
    del ds[tag]


def _attribute(ds: Any, element: Any, rules: DicomRules, path: str) -> None:
    action = profile_action(int(element.tag), rules.profile.options)
    if element.VR == "SQ" and action not in ("X", "Z"):
        _sequence(element, action, rules, path)
    elif action in ("", "K"):
        _unlisted(ds, element, rules, path, keep=action == "K")
    elif action == "C":
        _cleaned(ds, element, rules, path)
    else:
        _removed(ds, element, action, rules, path)


def _sequence(element: Any, action: str, rules: DicomRules, path: str) -> None:
    """Items are de-identified; where the table demands a dummy, the items are filled with dummies."""
    if action in ("", "K", "C", "X/Z/U*", "U"):
        for item in element.value:
            _dataset(item, rules, f"{path}.")
        return
    rules.findings.counts["other", "field"] += 1
    rules.replacer.count("other", "dummy")
    if element.keyword == "ContentSequence":
        element.value = [_comment()] if element.value else []
        return
    for item in element.value:
        _dummies(item, rules)


def _comment() -> Any:
    """The content of an empty report: one text item (PS3.16, TID 300, concept 121106)."""
    from pydicom import Dataset  # noqa: PLC0415  # optional

    item, name = Dataset(), Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121106", "DCM", "Comment"
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "REMOVED"
    item.ConceptNameCodeSequence = [name]
    return item


def _dummies(ds: Any, rules: DicomRules) -> None:
    """Replace every text, name and date of an item by a dummy; coded values are kept."""
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
    """Actions X, Z, D, U and their combinations, of which the one that every type of attribute allows is taken."""
    kind = _KIND.get(element.VR, "other")
    if element.value not in (None, "", b"", []):
        rules.findings.counts[kind, "field"] += 1
        rules.replacer.count(kind, {"X": "remove", "Z": "empty", "U": "another"}.get(action, "dummy"))
    if action == "X":
        rules.omissions[path] += 1
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
    uids = [rules.uid(v) for v in _values(value)]
    return uids if len(uids) > 1 else (uids or [""])[0]


_TEXTS = dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED")
_BYTES = {"OB": b"\0\0", "OW": b"\0\0", "OD": b"\0" * 8, "OF": b"\0" * 4, "OL": b"\0" * 4, "OV": b"\0" * 8, "UN": b"\0\0"}
_NUMBERS = dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), 0) | {"FL": 0.0, "FD": 0.0, "DS": "0", "IS": "0"}
_TIMES = {"AS": "000Y", "DA": "19000101", "DT": "19000101000000", "TM": "000000"}
_DUMMY: dict[str, Any] = {**_TEXTS, **_BYTES, **_NUMBERS, **_TIMES, "UR": "urn:removed"}


def _dummy(vr: str) -> Any:
    return _DUMMY.get(vr)


def _unlisted(ds: Any, element: Any, rules: DicomRules, path: str, *, keep: bool) -> None:
    """An attribute that the table does not list, or that an option keeps: names, dates and texts are de-identified still."""
    vr = element.VR
    if vr == "AS":
        element.value = [_age(v, rules) for v in _values(element.value)] or None
    elif keep:
        return
    elif (
        vr == "UI"
        and int(element.tag) not in _STANDARD_UIDS
        and not element.keyword.startswith(("CodingScheme", "Mapping", "Context"))
    ):
        element.value = _uids(element.value, rules)
    elif vr in ("PN", "UN", "UR", "DA", "DT") and element.value not in (None, "", b""):
        keep = vr in ("DA", "DT") and "full-dates" in rules.profile.options
        if vr in ("DA", "DT") and "modified-dates" in rules.profile.options:
            _cleaned(ds, element, rules, path)
        elif not keep:
            _removed(ds, element, "X" if vr in ("UN", "UR") else "D", rules, path)
    elif vr in _FREE:
        element.value = [_search(v, rules, rules.detector) for v in _values(element.value)] or None
    elif vr in _SHORT:  # words that no terminology has are withheld, also as codes of several words
        limit = 16 if vr == "SH" else 64
        is_code = element.keyword in _CODES
        element.value = [
            v if is_code and len(v.split()) < 2 else search_coded(v, rules)[:limit] for v in _values(element.value)
        ] or None
    elif vr == "CS":
        element.value = [v if _is_code(v, element.keyword, rules) else "REMOVED" for v in _values(element.value)] or None


def _is_code(value: str, keyword: str, rules: DicomRules) -> bool:
    """True if a code string is a defined term, a short sign or made of known words, and nothing that the patient's records
    state."""
    digits = sum(c.isdigit() for c in value)
    if digits > 6 or states_identifier(value, rules.stated):
        return False
    if value in known_words("defined_terms") and not keyword.endswith("Label"):
        return True
    text = value.replace("_", " ")
    words = re.findall(r"[^\W\d_]+", value)
    signs = not keyword.endswith("Label") and digits <= 3 and all(len(w) <= 2 for w in words)
    return signs or (is_plain(text, rules.detector.common) and not holds_names(text))


def _search(value: str, rules: DicomRules, detector: Detector) -> str:
    return deidentify_text(value, detector, rules.replacer, rules.stated, rules.findings)


def _age(value: str, rules: DicomRules) -> str:
    """Ages above 89 become 90 (45 CFR 164.514(b)(2)(i)(C))."""
    over_89 = value.endswith("Y") and value[:-1].isdigit() and int(value[:-1]) > 89
    if over_89:
        rules.findings.counts["age", "field"] += 1
        rules.replacer.count("age", "generalise")
    return "090Y" if over_89 else value


def _cleaned(ds: Any, element: Any, rules: DicomRules, path: str) -> None:
    """Action C: dates are shifted with the patient's other dates, texts searched."""
    check_time()
    vr = element.VR
    values = _values(element.value)
    if vr in ("DA", "DT"):
        rules.findings.counts["date", "field"] += len(values)
        element.value = [m for v in values if (m := _shifted(v, rules))] or None
    elif vr == "TM":
        return  # dates are shifted by whole days
    elif vr == "PN":
        rules.findings.counts["name", "field"] += len(values)
        element.value = [rules.replacer.value("name", v) for v in values] or None
    elif vr in _FREE | _SHORT:
        limit = {"SH": 16, "LO": 64}.get(vr, 10_000_000)
        element.value = [_search(v, rules, rules.detector)[:limit] for v in values] or None
    else:
        _removed(ds, element, "D", rules, path)


def _shifted(value: str, rules: DicomRules) -> str:
    """DA or DT, shifted by the patient's days; "" if it is less precise than a day."""
    day, rest = value[:8], value[8:]
    return (shift_date(day, rules.replacer.days).text or "") + rest if len(day) == 8 and day.isdigit() else ""


def _set_method(ds: Any, options: Iterable[str], masked: bool) -> None:
    """Set 0012,0062 to 0012,0064 and 0028,0303: that identity was removed, and how."""
    from pydicom import Dataset  # noqa: PLC0415

    methods = ["", *(["pixels"] if masked else []), *(o for o in OPTIONS if o in set(options))]
    codes = []
    for option in methods:
        item = Dataset()
        item.CodeValue, item.CodeMeaning = METHODS[option]
        item.CodingSchemeDesignator = "DCM"
        codes.append(item)
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = ["Galenic", "PS3.15 2024b"]
    ds.DeidentificationMethodCodeSequence = codes
    option_set = set(options)
    ds.LongitudinalTemporalInformationModified = (
        "UNMODIFIED" if "full-dates" in option_set else "MODIFIED" if "modified-dates" in option_set else "REMOVED"
    )
