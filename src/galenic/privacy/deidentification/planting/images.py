"""Planted copies of DICOM files: values of the header are replaced at every depth, and comments get additional identifiers.

The pixels are unchanged: nothing is planted into them, and text in pixels is not measured.
"""

import re
import secrets
import string
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galenic.errors import RecordError
from galenic.privacy.deidentification.output_text import texts_of
from galenic.privacy.deidentification.planting.copies import TEXT_LIMIT, PlantedCopy, Planting
from galenic.privacy.deidentification.planting.dates import days_of_a_week
from galenic.privacy.deidentification.planting.identifiers import Plant
from galenic.privacy.deidentification.rules.dicom_profile import profile_action
from galenic.records import dicom

MOST_PER_STRATUM = 40  # places of one copy at which identifiers are planted
PER_TEXT, SENTENCES = 2, 6  # identifiers in a text, and in one that is added
ADDED = {  # attributes of the standard that a file may lack, with what they hold before identifiers are planted
    **dict.fromkeys(("PatientName", "ReferringPhysicianName", "PerformingPhysicianName"), "Family^Given"),
    "OtherPatientNames": ["Family^Given"] * 3, "PatientAddress": "1 Street", "PatientTelephoneNumbers": ["415-555-2671"] * 2,
    "AccessionNumber": "4481200", "PatientBirthDate": "19600101", "PatientAge": "040Y", "InstitutionName": "Town",
    "InstitutionAddress": "1 Street", "RequestedProcedureDescription": "Scan", "StudyDescription": "Scan", "SeriesDescription": "Scan",
    **dict.fromkeys(("PatientComments", "AdditionalPatientHistory", "TextComments", "AcquisitionComments"), "\n" * SENTENCES),
}  # fmt: skip
_BY_VR = {
    "PN": "DICOM names", "DA": "DICOM dates", "DT": "DICOM dates", "AS": "DICOM ages", "UI": "DICOM UIDs",
    **dict.fromkeys(("LT", "ST", "UT", "UC"), "DICOM comments, text"),
}  # fmt: skip
_BY_KEYWORD = (  # of short strings
    (re.compile(r".*(?:ID|IDs|SerialNumber|Identifier|AccessionNumber|Number)$"), "DICOM identifiers"),
    (re.compile(r".*Telephone.*"), "DICOM telephone numbers"),
    (re.compile(r".*(?:Address|Institution|Residence|StationName|DepartmentName).*"), "DICOM addresses and institutions"),
    (re.compile(r"(?!.*(?:CodeValue|CodingScheme|Manufacturer|SoftwareVersion|Version|Code$)).*"), "DICOM descriptions"),
)
_KINDS = {
    "DICOM names": "name", "DICOM identifiers": "record", "DICOM telephone numbers": "phone", "DICOM addresses and institutions": "place",
    "DICOM descriptions": "name", "DICOM dates": "date", "DICOM ages": "age", "DICOM UIDs": "record",
}  # fmt: skip
_STANDARD = "1.2.840.10008."  # root of UIDs that the standard assigns
_CLASS_UID = re.compile(r".*(?:ClassUID|ClassesUID|TransferSyntaxUID.*)$|(?:CodingScheme|Mapping|Context).*")
_LONGEST = {"SH": 16, "LO": 64}
_PRIVATE = "DICOM private attributes"


class DicomPlanter:
    """Planter whose copies have the whole header; of many uncompressed frames, only the first."""

    most_copies = 80

    def copies(self, file: Path, folder: Path, planting: Planting) -> Iterator[PlantedCopy]:
        """Copies of an object."""
        before = "".join(texts_of(file))
        while True:
            try:
                header = _HeaderCopy(_read(file), planting)
                with dicom.strict_decoding():
                    plants = header.plant()
                if not plants:
                    return
                target = folder / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                dicom.write(header.ds, target)
            except RecordError:  # the object is not measured
                return
            yield PlantedCopy(target, plants, before)

    def parts(self, _output: Path) -> frozenset[str] | None:
        """None: an object is written or refused as a whole."""
        return None

    def part_of(self, _stratum: str) -> str:
        """None."""
        return ""


def _read(file: Path) -> Any:
    """The object, with text in UTF-8 and the attributes that are added."""
    ds = dicom.read(file)
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in ADDED.items():
        if not ds.get(keyword):
            setattr(ds, keyword, value)
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    if frames > 1 and "PixelData" in ds and not ds.file_meta.TransferSyntaxUID.is_encapsulated:
        size = -(-len(ds.PixelData) // frames)
        ds.NumberOfFrames, ds.PixelData = 1, ds.PixelData[: size + size % 2]
    return ds


@dataclass
class _HeaderCopy:
    """Object in memory. planting: planting of identifiers into it."""

    ds: Any
    planting: Planting

    def plant(self) -> list[Plant]:
        """Plant into places of each stratum; returns what was planted."""
        self.days = days_of_a_week(self.planting.maker.rng)
        places: dict[str, list[Any]] = {}
        for element in self._elements(self.ds):
            stratum = self._stratum(element)
            if stratum and not self.planting.is_enough(stratum):
                places.setdefault(stratum, []).append(element)
        plants: list[Plant] = []
        for stratum, found in places.items():
            most = len(found) if stratum == "DICOM dates" else MOST_PER_STRATUM
            for at in self.planting.maker.rng.permutation(len(found))[:most]:
                plants += self._planted(found[at], stratum)
        return plants if self.planting.is_enough(_PRIVATE) else [*plants, *self._private()]

    def _elements(self, ds: Any) -> Iterator[Any]:
        for element in list(ds):
            if element.VR == "SQ":
                for item in element.value:
                    item.pop("SpecificCharacterSet", None)
                    yield from self._elements(item)
            elif not element.tag.is_private:
                yield element

    def _stratum(self, element: Any) -> str:
        """The stratum of an attribute; "" for one that has no value, that the policy keeps by an option, or where nothing is planted."""
        if element.value in (None, "", b"", []) or self._is_kept(element):
            return ""
        if element.VR == "UI":
            assigned = any(v.startswith(_STANDARD) for v in _values(element)) or _CLASS_UID.match(element.keyword)
            return "" if assigned else _BY_VR["UI"]
        if element.VR in ("LO", "SH"):
            return next((stratum for pattern, stratum in _BY_KEYWORD if pattern.match(element.keyword)), "")
        if element.VR == "CS":
            return "DICOM descriptions" if element.keyword.endswith("Label") else ""
        return _BY_VR.get(element.VR, "")

    def _is_kept(self, element: Any) -> bool:
        options = frozenset(map(str, self.planting.run.report.policy.dicom.get("options", ())))
        by_option = profile_action(int(element.tag), options) == "K" != profile_action(int(element.tag), frozenset())
        return by_option or (element.VR in ("DA", "DT") and "full-dates" in options)

    def _planted(self, element: Any, stratum: str) -> list[Plant]:
        if stratum.endswith("text"):
            old = "\n".join(_values(element))[:TEXT_LIMIT]
            element.value, plants = self.planting.texts.plant(old, stratum, SENTENCES if not old.strip() else PER_TEXT)
            return plants
        if _KINDS[stratum] in self.planting.kept:
            return []
        make = _MAKERS.get(stratum, _HeaderCopy._short)
        made = [make(self, element, old) for old in _values(element)]
        element.value = [value for value, _ in made] if len(made) > 1 else made[0][0]
        if element.keyword == "SOPInstanceUID":
            self.ds.file_meta.MediaStorageSOPInstanceUID = self.ds.SOPInstanceUID
        return [Plant(stratum, plant.kind, plant.value, plant.day) for _, plant in made]

    def _name(self, _element: Any, _old: str) -> tuple[str, Plant]:
        given, _, family = self.planting.maker.name("Two Words").partition(" ")
        return f"{family}^{given}", Plant("", "name", f"{given} {family}")

    def _date(self, _element: Any, old: str) -> tuple[str, Plant]:
        day = self.days[int(self.planting.maker.rng.integers(len(self.days)))]
        return f"{day:%Y%m%d}{old[8:]}", Plant("", "date", day.isoformat(), day)

    def _age(self, _element: Any, _old: str) -> tuple[str, Plant]:
        age, _ = self.planting.maker.value("age", "95")
        return f"{age:0>3}Y", Plant("", "age", f"{age:0>3}")

    def _uid(self, _element: Any, _old: str) -> tuple[str, Plant]:
        number = str((1 << 127) + secrets.randbits(126))
        return f"2.25.{number}", Plant("", "record", number)

    def _description(self, element: Any, old: str) -> tuple[str, Plant]:
        """A name behind a description; alone where that is short."""
        name = self.planting.maker.name("Two Words" if element.VR == "LO" else "Word")
        if element.VR != "LO":
            name = (_plain(name) if element.VR == "CS" else name)[: _LONGEST["SH"]]
        value = f"{old[:30]} {name[:33]}" if element.VR == "LO" else name.upper() if element.VR == "CS" else name
        return value, Plant("", "name", name[:33])

    def _short(self, element: Any, old: str) -> tuple[str, Plant]:
        """A number, a street or a town that is as long as the attribute allows."""
        kind = next(kind for stratum, kind in _KINDS.items() if stratum == self._stratum(element))
        value, _ = self.planting.maker.value(kind, old)
        value = value[: _LONGEST[element.VR]].strip()
        return value, Plant("", kind, value)

    def _private(self) -> list[Plant]:
        """Attributes of a vendor."""
        made = [
            (kind, self.planting.maker.value(kind)[0]) for kind in ("name", "record", "name") if kind not in self.planting.kept
        ]
        block = self.ds.private_block(0x0011, "VENDOR NOTES", create=True)
        for number, (_, value) in enumerate(made):
            vr = ("LO", "LT", "UN")[number]
            block.add_new(number + 1, vr, value.encode() + b" " * (len(value.encode()) % 2) if vr == "UN" else value)
        return [Plant(_PRIVATE, kind, value) for kind, value in made]


_MAKERS: dict[str, Callable[[_HeaderCopy, Any, str], tuple[str, Plant]]] = {
    "DICOM names": _HeaderCopy._name,
    "DICOM dates": _HeaderCopy._date,
    "DICOM ages": _HeaderCopy._age,
    "DICOM UIDs": _HeaderCopy._uid,
    "DICOM descriptions": _HeaderCopy._description,
}


def _plain(text: str) -> str:
    """The text in the characters that a code string may have, without diacritics (PS3.5, table 6.2-1)."""
    plain = re.sub(r"[^A-Za-z0-9 _]", "", unicodedata.normalize("NFKD", text))
    return plain or "".join(secrets.choice(string.ascii_uppercase) for _ in range(8))


def _values(element: Any) -> list[str]:
    many = element.value if element.VM > 1 or isinstance(element.value, list | tuple) else [element.value]
    return [str(v) for v in many]
