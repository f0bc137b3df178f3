"""DICOM without identity, held against what others made: a maintained table, pydicom's files, dicom3tools' validator."""

import re
import shutil
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2024b as others
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from galenic.privacy import deidentification
from galenic.privacy.deidentification.rules.dicom_profile import profile_table
from galenic.records import dicom

FILES = Path(pydicom.__file__).parent / "data"
ACTIONS = {
    "D": "D",
    "Z": "Z",
    "X": "X",
    "U": "U",
    "Z_D": "Z/D",
    "X_Z": "X/Z",
    "X_D": "X/D",
    "X_Z_D": "X/Z/D",
    "X_Z_U_STAR": "X/Z/U*",
}
OPTIONS: dict[str, tuple[str, ...]] = {  # what each policy says of images
    "safe-harbor": (),
    "limited-data-set": ("full-dates", "patient"),
    "expert": ("modified-dates", "patient", "descriptors", "structured"),
}
TEXT = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR")


def test_the_table_is_the_one_that_dicom_anonymizer_carries() -> None:
    theirs = {
        f"{tag[0]:04X}{tag[1]:04X}": action
        for name, action in ACTIONS.items()
        for tag in getattr(others, f"{name}_TAGS")
        if len(tag) == 2
    }
    ours = {tag: row.basic for tag, row in profile_table().items() if "X" not in tag}
    assert ours == theirs


def marked(vr: str, number: int) -> Any:
    """A value that can be told again."""
    if vr in TEXT:
        return f"ZQXV{number:05d}"
    times = {"DA": "19550723", "DT": "19550723112233.456", "TM": "112233.456", "AS": "044Y"}
    return {**times, "UI": f"1.2.3.55555.{number}", "DS": "44.5", "IS": "4455", "CS": f"M{number}"}.get(vr)


def filled(tags: list[int]) -> Dataset:
    ds = Dataset()
    for number, tag in enumerate(tags):
        vr = dictionary_VR(tag).split(" or ", maxsplit=1)[0]
        if vr == "SQ":
            inner = Dataset()
            inner.PatientName, inner.StudyDate, inner.TextValue = f"ZQXV{number:05d}", "19550723", f"ZQXV{number:05d}"
            ds.add_new(tag, vr, [inner])
        elif marked(vr, number) is not None:
            ds.add_new(tag, vr, marked(vr, number))
        elif vr in ("OB", "OW", "UN"):
            ds.add_new(tag, vr, b"ZQXV0000")
    ds.add_new(0x00091001, "LO", "ZQXVprivate")
    return ds


def everything() -> Dataset:
    """One object with every attribute of the table, at the top and two sequences deep, with curves, overlays and private ones."""
    tags = [int(t, 16) for t in profile_table() if "X" not in t and t[:4] not in ("0000", "0002") and t != "00420011"]
    ds = filled(tags)
    inner, deep = filled(tags), filled(tags)
    item = Dataset()
    item.ConceptCodeSequence = [deep]
    inner.add_new(0x00089215, "SQ", [item])  # DerivationCodeSequence: the table does not name it
    ds.add_new(0x00082218, "SQ", [inner])  # AnatomicRegionSequence
    ds.add_new(0x60003000, "OW", b"ZQXV0000")
    ds.add_new(0x60004000, "LT", "ZQXVoverlay")
    ds.add_new(0x50003000, "OW", b"ZQXV0000")
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.55555.1", "MR"
    ds.PatientName, ds.PatientID, ds.SeriesDescription = "Zwingli^Agathe", "ID-4711-XY", "for Agathe Zwingli"
    ds.ImageComments = "seen with Mrs. Zwingli, ID-4711-XY"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def leaves(ds: Dataset) -> Iterator[tuple[str, str]]:
    for element in ds.iterall():
        if element.VR != "SQ":
            values = element.value if isinstance(element.value, list | pydicom.multival.MultiValue) else [element.value]
            yield from ((element.keyword or str(element.tag), str(v)) for v in values)


@pytest.mark.parametrize("policy", OPTIONS)
def test_every_attribute_of_the_profile_is_handled_nested_and_private_too(policy: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        everything().save_as(tmp_path / "all.dcm", enforce_file_format=True)
    done = deidentification.deidentify(
        [tmp_path / "all.dcm"], tmp_path / "out", deidentification.DeidentificationOptions(policy=policy, measured=False)
    )
    assert not done.refusals
    clean = pydicom.dcmread(tmp_path / "out" / "all.dcm")
    kept = {
        pydicom.datadict.keyword_for_tag(int(tag, 16))
        for tag, row in profile_table().items()
        if "X" not in tag and any(row.options.get(option) in ("K", "C") for option in OPTIONS[policy])
    }
    left = [(k, v) for k, v in leaves(clean) if re.search(r"ZQXV|1\.2\.3\.55555|Zwingli|Agathe|ID-4711", v) and k not in kept]
    assert not left
    dates = [(k, v) for k, v in leaves(clean) if v.startswith(("19550723", "112233"))]
    assert not dates or policy != "safe-harbor"
    assert all(k in kept for k, _ in dates)
    raw = (tmp_path / "out" / "all.dcm").read_bytes()
    assert b"Zwingli" not in raw
    assert b"ZQXVprivate" not in raw
    assert b"ZQXVoverlay" not in raw
    assert not [e.tag for e in clean.iterall() if e.tag.is_private or 0x5000 <= e.tag.group <= 0x60FF]
    assert clean.PatientIdentityRemoved == "YES"
    assert {i.CodeValue for i in clean.DeidentificationMethodCodeSequence} >= {"113100"}
    assert clean.file_meta.MediaStorageSOPInstanceUID == clean.SOPInstanceUID


IDENTITY = [
    "PatientID",
    "AccessionNumber",
    "StudyID",
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
    "PatientAddress",
    "DeviceSerialNumber",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pydicom's own files, by Safe Harbor."""
    out = tmp_path_factory.mktemp("dicom") / "out"
    source = out.parent / "in"
    source.mkdir()
    for number, file in enumerate(
        sorted(p for p in FILES.rglob("*") if p.is_file() and (p.suffix == ".dcm" or dicom.is_dicom(p)))
    ):
        shutil.copy(file, source / f"f{number:03d}.dcm")
    done = deidentification.deidentify([source], out)
    assert len(done.files) >= 100
    assert all(why for _, why in done.refusals)
    return out


def test_no_value_of_an_identity_attribute_of_pydicoms_files_is_left(results: Path) -> None:
    told = 0
    for file in sorted(results.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source, clean = pydicom.dcmread(results.parent / "in" / file.name), pydicom.dcmread(file)
            now = "\n".join(v for _, v in leaves(clean))
            for element in source.iterall():
                if element.VR not in ("PN", "UI", "DA") and element.keyword not in IDENTITY:
                    continue
                for value in re.split(r"[\\^=]", str(element.value)):
                    if len(value) >= 5 and not value.startswith("1.2.840.10008") and element.keyword != "CodingSchemeUID":
                        told += 1
                        assert value not in now, (file.name, element.keyword)
    assert told > 1_000


def test_what_was_valid_stays_valid(results: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")

    def errors(file: Path) -> Counter[str]:
        done = subprocess.run(["dciodvfy", file], capture_output=True, text=True, errors="replace", check=False)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
        return Counter(re.sub(r"<[^>]*>|= *\S+|\d+", "", line) for line in lines)

    worse = {f.name: new for f in sorted(results.glob("*.dcm")) if (new := errors(f) - errors(results.parent / "in" / f.name))}
    assert {k: set(v) for k, v in worse.items() if set(v) - set(errors(results.parent / "in" / k))} == {}
