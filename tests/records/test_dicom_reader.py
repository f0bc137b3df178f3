"""DICOM files as they are stored: pixels of one to sixteen bits must be as many as the header states."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from galenic.errors import RecordError
from galenic.privacy.deidentification.rules.pixels import PixelMask, _black, _set, burned_in_reason, clean_pixels
from galenic.records import dicom
from galenic.records.dicom.reader import _sentinel


def image(**more: Any) -> Dataset:
    """An image of 3 rows and 5 columns, 1 bit a pixel, unless `more` says otherwise."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7.1", "1.2.3.1"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, 5, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit, ds.PixelRepresentation = 0, 0
    for name, value in more.items():
        setattr(ds, name, value)
    return ds


def accepted(place: Path, ds: Dataset) -> bool:
    ds.save_as(place / "a.dcm", enforce_file_format=True)
    try:
        dicom.read(place / "a.dcm")
    except RecordError as error:
        assert "bytes of pixel data" in str(error)
        return False
    return True


@pytest.mark.parametrize(
    ("size", "need"),
    [
        pytest.param({"Rows": 4, "Columns": 8}, 4, id="32 pixels of 1 bit fill 4 bytes"),
        pytest.param({"Rows": 3, "Columns": 11}, 6, id="33 pixels of 1 bit fill 5 bytes, written as 6"),
        pytest.param({"Rows": 5, "Columns": 5}, 4, id="25 pixels of 1 bit fill 4 bytes"),
        pytest.param({"NumberOfFrames": 3}, 6, id="45 pixels of three frames of 1 bit fill 6 bytes"),
        pytest.param({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Columns": 4}, 12, id="a byte a pixel"),
        pytest.param({"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}, 30, id="two bytes a pixel"),
        pytest.param(
            {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Columns": 4, "SamplesPerPixel": 3, "PlanarConfiguration": 0},
            36,
            id="three samples a pixel",
        ),
        pytest.param(
            {
                "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Columns": 4, "SamplesPerPixel": 3, "PlanarConfiguration": 0,
                "PhotometricInterpretation": "YBR_FULL_422",
            },
            24,
            id="two pixels share their color",
        ),
    ],
)  # fmt: skip
def test_pixels_are_as_many_as_the_header_states(size: dict[str, Any], need: int, tmp_path: Path) -> None:
    assert accepted(tmp_path, image(PixelData=bytes(need), **size))
    assert not accepted(tmp_path, image(PixelData=bytes(need - 2), **size))


def test_pixels_without_a_size_are_refused(tmp_path: Path) -> None:
    ds = image(PixelData=bytes(2))
    del ds.Rows
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(RecordError, match="rows, columns, bits"):
        dicom.read(tmp_path / "a.dcm")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_cut_within_its_last_value_is_refused(syntax: Any, tmp_path: Path) -> None:
    ds = image(PatientName="A^B", PatientComments="c" * 64)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert dicom.read(tmp_path / "a.dcm").PatientName == "A^B"
    whole = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(whole[:-1])
    with pytest.raises(RecordError, match="truncated"):
        dicom.read(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("syntax", "header"),
    [
        (ImplicitVRLittleEndian, b"\xfc\xff\xfc\xff\x02\0\0\0"),
        (ExplicitVRLittleEndian, b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0"),
        (ExplicitVRBigEndian, b"\xff\xfc\xff\xfcOB\0\0\0\0\0\x02"),
        (DeflatedExplicitVRLittleEndian, b""),
        ("", b"\xfc\xff\xfc\xff\x02\0\0\0"),
    ],
)
def test_padding_is_appended_in_the_transfer_syntax_of_the_file(syntax: str, header: bytes) -> None:
    name = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = b"\x02\0\x10\0UI" + len(name).to_bytes(2, "little") + name if syntax else b""
    assert _sentinel(bytes(132) + meta + b"1.2.840") == (header + b"\0\0" if header else b"")


@pytest.mark.parametrize(
    ("representation", "length", "plain"),
    [
        *((r, 2, True) for r in ("US", "SS")),
        *((r, 3, False) for r in ("US", "SS")),
        *((r, 8, True) for r in ("UL", "SL", "FL", "FD", "AT")),
        *((r, 6, False) for r in ("UL", "SL", "FL", "FD", "AT")),
        ("FD", 4, False),
        ("LO", 2, False),
    ],
)
def test_a_binary_number_has_the_length_of_its_type(representation: str, length: int, plain: bool) -> None:
    assert dicom.is_plain_number(SimpleNamespace(is_raw=True, VR=representation, value=bytes(length))) is plain


@pytest.mark.parametrize(
    ("representation", "value", "plain"),
    [
        ("DS", b"-1.5e3\\2 ", True),
        ("IS", b"12\\-3", True),
        ("CS", b"MR_1 A", True),
        ("DS", b"1,5", False),
        ("IS", b"1.5", False),
        ("CS", b"a", False),
    ],
)
def test_a_number_or_code_as_text_holds_nothing_else(representation: str, value: bytes, plain: bool) -> None:
    assert dicom.is_plain_number(SimpleNamespace(is_raw=True, VR=representation, value=value)) is plain
    assert not dicom.is_plain_number(SimpleNamespace(is_raw=False, VR=representation, value=value))
    assert not dicom.is_plain_number(SimpleNamespace(is_raw=True, VR=representation, value=None))


def test_an_ultrasound_region_without_a_place_and_pixels_that_cannot_be_decoded_are_refused() -> None:
    size = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Modality": "US"}
    with pytest.raises(RecordError, match="ultrasound region"):
        clean_pixels(image(PixelData=bytes(16), SequenceOfUltrasoundRegions=[Dataset()], **size), (), False, [])
    with pytest.raises(RecordError, match="Decompress it first"):
        clean_pixels(image(PixelData=bytes(2), **size), (PixelMask(((0, 0, 1, 1),)),), False, [])


def test_samples_are_by_pixel_where_the_header_does_not_say() -> None:
    ds = image(BitsAllocated=8, SamplesPerPixel=3, PixelData=b"")
    _set(ds, np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3))
    assert list(ds.PixelData) == list(range(12))


def test_a_file_is_recognized_by_its_name_or_by_the_letters_after_the_preamble(tmp_path: Path) -> None:
    for name, raw, expected in (
        ("a.dcm", b"", True),
        ("a.IMA", b"", True),
        ("a", bytes(128) + b"DICM", True),
        ("b", bytes(127) + b"DICM", False),
        ("c.txt", b"DICM", False),
    ):
        (tmp_path / name).write_bytes(raw)
        assert dicom.is_dicom(tmp_path / name) is expected, name


@pytest.mark.parametrize(
    ("photometric", "stored", "expected"),
    [
        ("MONOCHROME2", 1, 0),
        ("MONOCHROME1", 1, 1),
        ("MONOCHROME1", 12, 4095),
        ("RGB", 8, 0),
        ("YBR_FULL", 8, [0, 128, 128]),
    ],
)
def test_black_depends_on_how_pixels_are_shown(photometric: str, stored: int, expected: Any) -> None:
    assert np.array_equal(_black(image(PhotometricInterpretation=photometric, BitsStored=stored)), expected)


@pytest.mark.parametrize(
    ("bits", "representation", "length"), [(8, "OB", 16), (16, "OW", 30)], ids=["bytes are padded to even", "words"]
)
def test_pixels_are_written_back_in_the_representation_of_their_size(bits: int, representation: str, length: int) -> None:
    ds = image(BitsAllocated=bits, PixelData=b"")
    _set(ds, np.ones((1, 3, 5), np.uint8 if bits == 8 else np.uint16))
    assert (ds["PixelData"].VR, len(ds.PixelData)) == (representation, length)


def test_samples_by_plane_are_written_back_by_plane() -> None:
    pixels = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(1, 2, 2, 3)
    for plane, expected in ((0, list(range(12))), (1, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11])):
        ds = image(BitsAllocated=8, SamplesPerPixel=3, PlanarConfiguration=plane, PixelData=b"")
        _set(ds, pixels)
        assert list(ds.PixelData) == expected


def test_a_mask_fits_objects_of_its_device_and_size() -> None:
    ds = image(Modality="US", Manufacturer="Acme", ManufacturerModelName="One")
    assert PixelMask(()).fits(ds)
    assert PixelMask((), "us", "ACME", "one", (3, 5)).fits(ds)
    for other in (PixelMask((), "MR"), PixelMask((), "", "X"), PixelMask((), "", "", "Two"), PixelMask((), size=(5, 3))):
        assert not other.fits(ds)


def test_boxes_are_masked_to_their_last_pixel_and_nothing_beyond() -> None:
    size = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 4, "Columns": 6}
    ds = image(PixelData=bytes([9]) * 24, Modality="US", **size)
    assert clean_pixels(ds, (PixelMask(((1, 1, 3, 2),)),), False, [])
    found = ds.pixel_array
    assert (found[1:3, 1:4] == 0).all()
    assert (found == 0).sum() == 6
    assert ds.BurnedInAnnotation == "NO"


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_every_frame_is_masked(frames: int) -> None:
    size = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 2, "Columns": 4, "NumberOfFrames": frames}
    ds = image(PixelData=bytes([9]) * 8 * frames, Modality="US", **size)
    assert clean_pixels(ds, (PixelMask(((0, 0, 1, 0),)),), False, [])
    assert ds.PixelData == (bytes(2) + bytes([9]) * 6) * frames


@pytest.mark.parametrize(
    ("header", "strict", "reason"),
    [
        ({}, False, "secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, False, ""),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, True, "does not"),
        ({"BurnedInAnnotation": "YES"}, False, "states that its pixels contain text"),
        ({"BurnedInAnnotation": "NO"}, True, ""),
        ({"SOPClassUID": "1.2", "BurnedInAnnotation": "MAYBE"}, False, "does not"),
        ({"SOPClassUID": "1.2", "Modality": "XA"}, False, "modality XA"),
        ({"SOPClassUID": "1.2", "ImageType": ["A", "SCREEN SAVE"]}, False, "screen"),
    ],
)
def test_why_text_may_stand_in_the_pixels(header: dict[str, Any], strict: bool, reason: str) -> None:
    found = burned_in_reason(image(PixelData=b"\0\0", **header), strict)
    assert reason in found
    assert bool(found) == bool(reason)
    without = image(**header)
    assert burned_in_reason(without, strict) == ""


def test_what_cannot_hold_text_is_left_alone_and_a_silent_header_is_remarked() -> None:
    remarks: list[str] = []
    ds = image(PixelData=b"\1\0", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    assert not clean_pixels(ds, (), False, remarks)
    assert len(remarks) == 1
    ds.BurnedInAnnotation = "NO"
    assert not clean_pixels(ds, (), False, remarks)
    assert len(remarks) == 1
    assert ds.PixelData == b"\1\0"
