"""Images: text in pixels masked or refused, one patient's files stay together, what can not be read does not come out."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from galenic.errors import ConfigurationError, RecordError
from galenic.privacy import deidentification
from galenic.records import dicom

US, MR, SC = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"


def image(kind: str = MR, modality: str = "MR", *, number: int = 1, **more: Any) -> Dataset:
    """A picture of 40 by 50, grey 200 all over."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = kind, f"1.2.3.777.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.777.100", "1.2.3.777.200"
    ds.Modality, ds.PatientName, ds.PatientID = modality, "Zwingli^Agathe", "P-0815-77"
    ds.StudyDate, ds.PatientAge, ds.PatientBirthDate = "20240229", "093Y", "19310102"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 40, 50, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = np.full((40, 50), 200, np.uint8).tobytes()
    for name, value in more.items():
        setattr(ds, name, value)
    return ds


def through(ds: Dataset, place: Path, policy: str = "safe-harbor") -> tuple[Dataset | None, list[tuple[str, str]]]:
    place.mkdir(exist_ok=True)
    ds.save_as(place / "a.dcm", enforce_file_format=True)
    done = deidentification.deidentify(
        [place / "a.dcm"], place / "out", deidentification.DeidentificationOptions(policy=policy)
    )
    out = place / "out" / "a.dcm"
    return (pydicom.dcmread(out) if out.exists() else None), done.refusals


def policy(place: Path, dicom_says: str) -> str:
    (place / "site.toml").write_text(f'like = "safe-harbor"\n[dicom]\n{dicom_says}\n', encoding="utf-8")
    return str(place / "site.toml")


def test_ultrasound_is_masked_outside_of_its_regions(tmp_path: Path) -> None:
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1 = (
        5,
        10,
        44,
        39,
    )
    clean, refused = through(image(US, "US", SequenceOfUltrasoundRegions=[region]), tmp_path)
    assert clean is not None
    assert not refused
    assert (clean.pixel_array[:10] == 0).all()
    assert (clean.pixel_array[10:, 5:45] == 200).all()
    assert (clean.pixel_array[:, 45:] == 0).all()
    assert clean.BurnedInAnnotation == "NO"
    assert {"113100", "113101"} == {i.CodeValue for i in clean.DeidentificationMethodCodeSequence}


def test_compressed_pictures_are_masked_too(tmp_path: Path) -> None:
    ds = image(US, "US")
    ds.PixelData = np.random.default_rng(1).integers(1, 255, (40, 50)).astype(np.uint8).tobytes()
    ds.compress(RLELossless)
    clean, _ = through(ds, tmp_path, policy(tmp_path, '[[dicom.mask]]\nmodality = "US"\nboxes = [[0, 0, 49, 9]]'))
    assert clean is not None
    assert (clean.pixel_array[:10] == 0).all()
    assert (clean.pixel_array[10:] > 0).all()


@pytest.mark.parametrize(
    ("ds", "why"),
    [
        (image(US, "US"), "modality US"),
        (image(SC, "CT"), "secondary capture"),
        (image(BurnedInAnnotation="YES"), "its pixels contain text"),
        (image(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "screen"),
    ],
)
def test_text_that_may_be_burned_in_is_not_let_out(ds: Dataset, why: str, tmp_path: Path) -> None:
    clean, refused = through(ds, tmp_path)
    assert clean is None
    assert why in refused[0][1]


def test_strict_wants_it_said_that_nothing_is_burned_in(tmp_path: Path) -> None:
    strict = policy(tmp_path, "strict = true")
    assert through(image(), tmp_path / "a", strict)[0] is None
    assert through(image(BurnedInAnnotation="NO"), tmp_path / "b", strict)[0] is not None
    assert through(image(), tmp_path / "c")[0] is not None


def test_a_study_stays_together_and_its_dates_move_together(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, day in ((1, "20240229"), (2, "20240310")):
        ds = image(number=number, StudyDate=day, AcquisitionDateTime=f"{day}101112.5")
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = MR, "1.2.3.777.1"
        ds.ReferencedImageSequence = [reference]
        ds.save_as(tmp_path / "in" / f"i{number}.dcm", enforce_file_format=True)
    deidentification.deidentify([tmp_path / "in"], tmp_path / "out", deidentification.DeidentificationOptions(policy="expert"))
    a, b = (pydicom.dcmread(tmp_path / "out" / f"i{n}.dcm") for n in (1, 2))
    assert a.StudyInstanceUID == b.StudyInstanceUID != "1.2.3.777.100"
    assert b.ReferencedImageSequence[0].ReferencedSOPInstanceUID == a.SOPInstanceUID
    assert a.PatientID == b.PatientID != "P-0815-77"
    days = [np.datetime64(f"{d.StudyDate[:4]}-{d.StudyDate[4:6]}-{d.StudyDate[6:]}") for d in (a, b)]
    assert (days[1] - days[0]).astype(int) == 10
    assert a.StudyDate != "20240229"
    assert a.AcquisitionDateTime == f"{a.StudyDate}101112.5"
    assert a.PatientAge == "090Y"
    assert a.LongitudinalTemporalInformationModified == "MODIFIED"


def test_what_is_known_of_the_patient_goes_from_every_text(tmp_path: Path) -> None:
    clean, _ = through(image(SeriesDescription="repeat for Agathe", ProtocolName="Zwingli knee"), tmp_path, "expert")
    assert clean is not None
    assert "Agathe" not in str(clean)
    assert "Zwingli" not in str(clean)
    assert "repeat for" in clean.SeriesDescription


def test_a_file_that_was_cut_short_or_says_another_syntax_is_refused(tmp_path: Path) -> None:
    image().save_as(tmp_path / "whole.dcm", enforce_file_format=True)
    raw = (tmp_path / "whole.dcm").read_bytes()
    for cut in (len(raw) - 1, len(raw) - 700, len(raw) - 1990, 300, 131):
        (tmp_path / "cut.dcm").write_bytes(raw[:cut])
        with pytest.raises(RecordError, match=r"truncated|transfer syntax|no SOP Class UID|cannot be read"):
            dicom.read(tmp_path / "cut.dcm")
    for other in (b"1.2.840.10008.1.2\0\0", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.9", b"1.2.3.4.5.6.7.8.9.10"):
        (tmp_path / "other.dcm").write_bytes(raw.replace(b"1.2.840.10008.1.2.1", other, 1))
        with pytest.raises(RecordError):
            dicom.read(tmp_path / "other.dcm")
    (tmp_path / "text.dcm").write_text("no DICOM at all, but called so " * 20)
    with pytest.raises(RecordError):
        dicom.read(tmp_path / "text.dcm")


def test_one_bit_pixels_are_packed_and_a_missing_byte_is_noticed(tmp_path: Path) -> None:
    ds = image("1.2.840.10008.5.1.4.1.1.66.4", "SEG", Rows=3, Columns=7, BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelData = b"\x01\x02\x03\x00"  # 21 bits in 3 bytes, padded to an even length
    ds.save_as(tmp_path / "whole.dcm", enforce_file_format=True)
    assert dicom.read(tmp_path / "whole.dcm").Rows == 3
    ds.PixelData = b"\x01\x02"
    ds.save_as(tmp_path / "short.dcm", enforce_file_format=True)
    with pytest.raises(RecordError, match="2 bytes of pixel data, but its size requires 3"):
        dicom.read(tmp_path / "short.dcm")


def test_a_document_inside_an_image_does_not_come_out(tmp_path: Path) -> None:
    clean, refused = through(image("1.2.840.10008.5.1.4.1.1.104.1", "DOC", EncapsulatedDocument=b"%PDF-1.4"), tmp_path)
    assert clean is None
    assert "document" in refused[0][1]


def test_a_policy_that_says_what_is_not_known_is_refused(tmp_path: Path) -> None:
    for says in ('options = ["everything"]', "blur = true", "[[dicom.mask]]\nboxes = [[1, 2]]"):
        with pytest.raises(ConfigurationError, match=r"option|\[dicom\]|mask"):
            through(image(), tmp_path, policy(tmp_path, says))


def test_jpeg_2000_in_a_file_of_its_own_is_refused_and_not_looked_at_for_ever(tmp_path: Path) -> None:
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0ftyp" + bytes(40)
    ds = image(US, "US", PixelData=encapsulate([boxes]))
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    clean, refused = through(ds, tmp_path, policy(tmp_path, "[[dicom.mask]]\nboxes = [[0, 0, 9, 9]]"))
    assert clean is None
    assert "JP2" in refused[0][1]


@pytest.mark.parametrize("label", ["ZWINGLI", "QWEXIBOR", "ZWINGLI_AGATHE"])
def test_a_content_label_that_may_be_a_name_is_removed(label: str, tmp_path: Path) -> None:
    out, _ = through(image(ContentLabel=label), tmp_path)
    assert out is not None
    assert out.ContentLabel == "REMOVED"


@pytest.mark.parametrize("more", [{"SeriesDescription": "Dose Report"}, {"ConversionType": "WSD"}])
def test_a_report_saved_as_an_image_is_refused(more: dict[str, str], tmp_path: Path) -> None:
    out, refusals = through(
        image("1.2.840.10008.5.1.4.1.1.2", "CT", ImageType=["DERIVED", "SECONDARY", "OTHER"], **more), tmp_path
    )
    assert out is None
    assert "report or a screen" in refusals[0][1]


@pytest.mark.parametrize("keyword", ["BodyPartExamined", "ScanningSequence", "ImageType", "SequenceVariant"])
def test_a_code_string_that_may_be_a_name_is_removed(keyword: str, tmp_path: Path) -> None:
    value = ["ORIGINAL", "PRIMARY", "ZANTUVEL"] if keyword == "ImageType" else "ZANTUVEL"
    out, _ = through(image(**{keyword: value}), tmp_path)
    assert out is not None
    assert "ZANTUVEL" not in str(out[keyword].value)


def test_a_code_of_several_words_that_may_be_a_name_is_removed(tmp_path: Path) -> None:
    out, _ = through(image(CodeValue="OLIVE FISHER", CodingSchemeDesignator="SCT"), tmp_path)
    assert out is not None
    assert "FISHER" not in str(out)
    assert out.CodingSchemeDesignator == "SCT"


def test_defined_terms_stay(tmp_path: Path) -> None:
    terms = {"BodyPartExamined": "CHEST", "ScanningSequence": ["SE", "IR"], "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}
    out, _ = through(image(PatientPosition="HFS", **terms), tmp_path)
    assert out is not None
    assert [out.BodyPartExamined, list(out.ScanningSequence), list(out.ImageType)] == list(terms.values())
    assert (out.PatientPosition, out.Modality) == ("HFS", "MR")
    assert out.PhotometricInterpretation == "MONOCHROME2"
