"""Text that is burned into pixels: masked where a region is known, refused where none is. Nothing here reads pixels for text."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from galenic.errors import RecordError
from galenic.records.dicom import MISREAD

# kinds of devices that write onto their pictures as a rule (ultrasound, angiography, fluoroscopy, endoscopy, photographs, screens)
WRITING = frozenset(("US", "IVUS", "XA", "RF", "ES", "XC", "GM", "SM", "OP", "OT", "SC", "DG", "DOC", "IO"))
_BOXES = b"\0\0\0\x0cjP  "  # how a JP2 file begins; a box of length 0 in one has pydicom look for its end for ever
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage and its multi-frame kin


@dataclass(frozen=True)
class PixelMask:
    """Where a site knows that text stands. boxes: left, top, right, bottom in pixels, the last two within. modality, manufacturer, model:
    of whom; "" for any. size: rows and columns, (0, 0) for any."""

    boxes: tuple[tuple[int, int, int, int], ...]
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    size: tuple[int, int] = (0, 0)

    def fits(self, ds: Any) -> bool:
        """Whether it is for this object."""
        said = (
            (self.modality, "Modality"),
            (self.manufacturer, "Manufacturer"),
            (self.model, "ManufacturerModelName"),
        )
        same = all(not want or str(ds.get(where, "")).casefold() == want.casefold() for want, where in said)
        return same and self.size in ((0, 0), (ds.get("Rows"), ds.get("Columns")))


def burned_in_reason(ds: Any, strict: bool = False) -> str:
    """Why text may stand in the pixels; '' where that is not to be expected."""
    said = str(ds.get("BurnedInAnnotation", "")).upper()
    if not any(k in ds for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")) or said == "NO":
        return ""
    if said == "YES":
        return "says that text is burned into its pixels"
    if str(ds.get("SOPClassUID", "")).startswith(SECONDARY):
        return "is a secondary capture, as of a screen"
    modality = str(ds.get("Modality", ""))
    if modality in WRITING:
        return f"is of modality {modality}, whose devices write onto their pictures"
    if any("SCREEN" in str(v).upper() for v in ds.get("ImageType", None) or ()):
        return "is a screen that was saved"
    return "does not say that nothing is burned into its pixels" if strict or said else ""


def clean_pixels(ds: Any, masks: tuple[PixelMask, ...], strict: bool, remarks: list[str]) -> bool:
    """Masks what may hold text, and says whether it did. RecordError where it may, and no region is known."""
    why = burned_in_reason(ds, strict)
    if not why:
        if "PixelData" in ds and not str(ds.get("BurnedInAnnotation", "")):
            remarks.append("does not say whether text is burned into its pixels; its kind does not, as a rule")
        return False
    fitting = [m for m in masks if m.fits(ds)]
    regions = ds.get("SequenceOfUltrasoundRegions")
    if not fitting and not regions:
        raise RecordError(
            f"{why}, and no region to mask is known. Say BurnedInAnnotation NO where that is so, or name boxes in the policy ([[dicom.mask]])."
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
    """PS3.3, C.8.5.5: where the picture itself is."""
    try:
        box = (region.RegionLocationMinX0, region.RegionLocationMinY0, region.RegionLocationMaxX1, region.RegionLocationMaxY1)
        return int(box[0]), int(box[1]), int(box[2]), int(box[3])
    except AttributeError:
        raise RecordError(
            "has an ultrasound region that does not say where it is. Name boxes in the policy ([[dicom.mask]])."
        ) from None


def _black(ds: Any) -> Any:
    if str(ds.PhotometricInterpretation) == "MONOCHROME1":
        return (1 << int(ds.BitsStored)) - 1
    if str(ds.PhotometricInterpretation).startswith("YBR"):
        half = 1 << (int(ds.BitsStored) - 1)
        return np.array([0, half, half])
    return 0


def _pixels(ds: Any) -> np.ndarray:
    """(frames, rows, columns[, samples]), decompressed."""
    if ds.file_meta.TransferSyntaxUID.is_encapsulated and _BOXES in ds.PixelData:
        raise RecordError(
            "holds JPEG 2000 in a file of its own (JP2), where PS3.5, A.4.4 allows the bare stream alone. Export it again."
        )
    try:
        if ds.file_meta.TransferSyntaxUID.is_encapsulated:
            ds.decompress()
        found = np.array(ds.pixel_array)
    except MISREAD as error:
        raise RecordError(
            f"may have text in its pixels, which can not be decoded here to mask it ({error.__class__.__name__}). Decompress it first."
        ) from None
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    return found if frames > 1 else found[None]


def _set(ds: Any, pixels: np.ndarray) -> None:
    if pixels.ndim == 4 and ds.get("PlanarConfiguration", 0) == 1:
        pixels = pixels.transpose(0, 3, 1, 2)
    raw = np.ascontiguousarray(pixels).tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
