"""Text in pixels: masked if its region is known, otherwise the file is refused. Pixels are not searched for text."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from galenic.errors import RecordError
from galenic.records.dicom import DECODING_ERRORS

# modalities whose devices usually write text into images (ultrasound, angiography, fluoroscopy, endoscopy, photographs, screens)
BURNED_IN_MODALITIES = frozenset(("US", "IVUS", "XA", "RF", "ES", "XC", "GM", "SM", "OP", "OT", "SC", "DG", "DOC", "IO"))
_BOXES = b"\0\0\0\x0cjP  "  # start of a JP2 file; a box of length 0 in one sends pydicom into an endless loop
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # prefix of Secondary Capture Image Storage and its multi-frame variants


@dataclass(frozen=True)
class PixelMask:
    """Known regions with text.

    boxes: left, top, right, bottom in pixels, inclusive. modality, manufacturer, model: of the device; "" for any. size: (rows,
    columns) of the image; (0, 0) for any.
    """

    boxes: tuple[tuple[int, int, int, int], ...]
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    size: tuple[int, int] = (0, 0)

    def fits(self, ds: Any) -> bool:
        """True if the mask applies to this object."""
        attributes = (
            (self.modality, "Modality"),
            (self.manufacturer, "Manufacturer"),
            (self.model, "ManufacturerModelName"),
        )
        same = all(not want or str(ds.get(where, "")).casefold() == want.casefold() for want, where in attributes)
        return same and self.size in ((0, 0), (ds.get("Rows"), ds.get("Columns")))


_REPORT = re.compile(
    r"dose (?:report|summary|record|info)|patient protocol|screen ?(?:save|shot|capture)|summary page|\breport\b", re.I
)


def burned_in_reason(ds: Any, strict: bool = False) -> str:
    """Reason why the pixels may contain text; "" if that is not expected."""
    annotation = str(ds.get("BurnedInAnnotation", "")).upper()
    if not any(k in ds for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")) or annotation == "NO":
        return ""
    if annotation == "YES":
        return "states that its pixels contain text"
    if str(ds.get("SOPClassUID", "")).startswith(SECONDARY):
        return "is a secondary capture, for example of a screen"
    modality = str(ds.get("Modality", ""))
    if modality in BURNED_IN_MODALITIES:
        return f"has modality {modality}, whose devices write text into images"
    if any("SCREEN" in str(v).upper() for v in ds.get("ImageType", None) or ()):
        return "is a saved screen"
    described = " ".join(str(ds.get(k, "")) for k in ("SeriesDescription", "ImageComments", "ProtocolName", "StudyDescription"))
    if _REPORT.search(described) or str(ds.get("ConversionType", "")) in ("WSD", "DV", "DI", "DF", "SYN", "SI", "DRW"):
        return "is a report or a screen that was saved as an image"
    return "does not state that its pixels contain no text" if strict or annotation else ""


def clean_pixels(ds: Any, masks: tuple[PixelMask, ...], strict: bool, remarks: list[str]) -> bool:
    """Mask regions that may contain text. Returns True if any was masked. Raise RecordError if there may be text in an unknown
    region."""
    why = burned_in_reason(ds, strict)
    if not why:
        if "PixelData" in ds and not str(ds.get("BurnedInAnnotation", "")):
            remarks.append("does not state whether its pixels contain text; images of its modality usually do not")
        return False
    fitting = [m for m in masks if m.fits(ds)]
    regions = ds.get("SequenceOfUltrasoundRegions")
    if not fitting and not regions:
        raise RecordError(
            f"{why}, and no region to mask is known. Set BurnedInAnnotation to NO if there is no text in the pixels, or "
            "list regions in the policy ([[dicom.mask]])."
        )
    pixels = _pixels(ds)
    if regions:
        keep = np.zeros(pixels.shape[1:3], bool)
        for region in regions:
            x0, y0, x1, y1 = _box(region)
            keep[y0 : y1 + 1, x0 : x1 + 1] = True
        pixels[:, ~keep] = _black(ds)
    for mask in fitting:
        for left, top, right, bottom in mask.boxes:
            pixels[:, top : bottom + 1, left : right + 1] = _black(ds)
    _set(ds, pixels)
    ds.BurnedInAnnotation = "NO"
    return True


def _box(region: Any) -> tuple[int, int, int, int]:
    """The region of the image itself (PS3.3, C.8.5.5)."""
    try:
        box = (region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1)
        return int(box[0]), int(box[1]), int(box[2]), int(box[3])
    except AttributeError:
        raise RecordError(
            "has an ultrasound region without coordinates. List regions to mask in the policy ([[dicom.mask]])."
        ) from None


def _black(ds: Any) -> Any:
    if str(ds.PhotometricInterpretation) == "MONOCHROME1":
        return (1 << int(ds.BitsStored)) - 1
    if str(ds.PhotometricInterpretation).startswith("YBR"):
        half = 1 << (int(ds.BitsStored) - 1)
        return np.array([0, half, half])
    return 0


def _pixels(ds: Any) -> np.ndarray:
    """Decompressed pixels, shape (frames, rows, columns[, samples])."""
    if ds.file_meta.TransferSyntaxUID.is_encapsulated and _BOXES in ds.PixelData:
        raise RecordError("contains a JPEG 2000 file (JP2); PS3.5, A.4.4 allows only the bare codestream. Export it again.")
    try:
        if ds.file_meta.TransferSyntaxUID.is_encapsulated:
            ds.decompress()
        pixels = np.array(ds.pixel_array)
    except DECODING_ERRORS as error:
        raise RecordError(
            f"may have text in its pixels, which cannot be decoded for masking ({error.__class__.__name__}). "
            "Decompress it first."
        ) from None
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    return pixels if frames > 1 else pixels[None]


def _set(ds: Any, pixels: np.ndarray) -> None:
    if pixels.ndim == 4 and ds.get("PlanarConfiguration", 0) == 1:
        pixels = pixels.transpose(0, 3, 1, 2)
    raw = np.ascontiguousarray(pixels).tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
