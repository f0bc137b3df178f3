"""DICOM files read by pydicom, with what it only warns of made an error: a value that was not understood could not be searched."""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galenic.errors import MissingExtraError, RecordError

if TYPE_CHECKING:
    from pydicom import Dataset

# how pydicom and its decoders say that a value is not what its type says (mutated files, by the thousand, gave no other)
MISREAD = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    ArithmeticError,
    OSError,
    struct.error,
)
_END = 0xFFFCFFFC
_CUT = ("end of file", "eof", "end of the file", "truncated")
_MAGIC = 128
_SYNTAX = b"\x02\0\x10\0UI"  # (0002,0010): the meta information is always explicit, little endian (PS3.10, 7.1)
_BINARY = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4}  # bytes of one value
_DECIMAL = {
    "DS": re.compile(rb"[0-9+\-.eE \\\0]*"),
    "IS": re.compile(rb"[0-9+\- \\\0]*"),
    "CS": re.compile(rb"[A-Z0-9_ \\\0]*"),
}


def needed() -> None:
    """MissingExtra where pydicom is not installed. It is loaded when it is needed, not with the room."""
    if find_spec("pydicom") is None:
        raise MissingExtraError("DICOM needs pydicom, which is not installed. Install it: pip install 'galenic[dicom]'.")


def is_dicom(file: Path) -> bool:
    """Whether it says so: by its ending, or by the four letters after the preamble (PS3.10, 7.1)."""
    if file.suffix.casefold() in (".dcm", ".dicom", ".ima"):
        return True
    with file.open("rb") as raw:
        raw.seek(_MAGIC)
        return raw.read(4) == b"DICM"


@contextmanager
def understood() -> Iterator[list[warnings.WarningMessage]]:
    """Within it a value that pydicom can not decode is a RecordError; gives what pydicom warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            yield told
        except (EOFError, zlib.error) as error:
            raise RecordError(f"is no DICOM file, or was cut short ({error.__class__.__name__}). Export it again.") from None
        except MISREAD as error:
            raise RecordError(
                f"can not be read as DICOM ({error.__class__.__name__}): a value is not of its type, or the transfer syntax is another. "
                "Export it again."
            ) from None


def read(file: Path, *, whole: bool = True) -> "Dataset":
    """The data set of a file (PS3.10). whole: every value that is not private is decoded; else who decodes one does so within `understood`.

    RecordError: what is no DICOM, was cut short, is encoded otherwise than it says, or is no object of a patient (a DICOMDIR, a message).
    """
    needed()
    from pydicom import dcmread  # noqa: PLC0415
    from pydicom.uid import UID, DeflatedExplicitVRLittleEndian  # noqa: PLC0415

    with understood() as told:
        raw = file.read_bytes()
        ds = dcmread(io.BytesIO(raw + _end_of(raw)), force=True)
        count = _decoded(ds) if whole else len(ds)
    syntax = getattr(ds, "file_meta", {}).get("TransferSyntaxUID")
    if syntax is None:
        raise RecordError("does not say its transfer syntax (0002,0010). Expected a file by PS3.10, with its meta information.")
    if not isinstance(syntax, UID) or not syntax.is_transfer_syntax or syntax.is_private:
        raise RecordError("names a transfer syntax (0002,0010) that is none of the standard's. Export it again.")
    if _END not in ds and syntax != DeflatedExplicitVRLittleEndian:
        raise RecordError("was cut short: a value ends before its length. Export it again.")
    ds.pop(_END, None)
    with understood():
        _refuse_odd(ds, count - 1, [str(w.message).casefold() for w in told])
    return ds


def is_plain_number(raw: Any) -> bool:
    """Whether an element, as it lies in the file, is a number, a code or a size, and holds nothing else: it need not be decoded."""
    if not getattr(raw, "is_raw", False) or raw.value is None:
        return False
    if raw.VR in _BINARY:
        return not len(raw.value) % _BINARY[raw.VR]
    return raw.VR in _DECIMAL and _DECIMAL[raw.VR].fullmatch(raw.value) is not None


def _decoded(ds: "Dataset") -> int:
    """Elements, after each value was decoded that may hold words; private ones are nobody's to understand."""
    count = 0
    for tag in list(ds.keys()):
        count += 1
        if int(tag) >> 16 & 1 or is_plain_number(ds.get_item(tag)):
            continue
        element = ds[tag]
        if element.VR == "SQ":
            count += sum(_decoded(item) for item in element.value)
    return count


def _end_of(raw: bytes) -> bytes:
    """An element to stand after the last (data set trailing padding, PS3.10, 7.2): where a value is shorter than it says, it is swallowed."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian  # noqa: PLC0415

    at = raw.find(_SYNTAX, 0, 4_096)
    length = int.from_bytes(raw[at + 6 : at + 8], "little")
    syntax = raw[at + 8 : at + 8 + length].strip(b"\0 ").decode("ascii", "replace") if at >= 0 else ImplicitVRLittleEndian
    if syntax == DeflatedExplicitVRLittleEndian:
        return b""
    if syntax == ImplicitVRLittleEndian:
        return b"\xfc\xff\xfc\xff\x02\0\0\0\0\0"
    return b"\xff\xfc\xff\xfcOB\0\0\0\0\0\x02\0\0" if syntax == ExplicitVRBigEndian else b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0"


def _refuse_odd(ds: "Dataset", count: int, told: list[str]) -> None:
    if any(sign in text for text in told for sign in _CUT):
        raise RecordError("was cut short: a value ends before its length. Export it again.")
    if any("expected implicit vr" in text or "expected explicit vr" in text for text in told):
        raise RecordError("is encoded in another transfer syntax than it says (0002,0010). Export it again.")
    if "DirectoryRecordSequence" in ds or str(ds.get("SOPClassUID", "")).endswith("1.2.840.10008.1.3.10"):
        raise RecordError("is a DICOMDIR, an index that repeats names of others. Make one anew from what comes out.")
    if not count or "SOPClassUID" not in ds or "SOPInstanceUID" not in ds:
        raise RecordError(
            "says of no object what it is (no SOP Class UID and SOP Instance UID). Expected a DICOM object (PS3.3)."
        )
    _whole_pixels(ds)


def _whole_pixels(ds: "Dataset") -> None:
    """Pixels that are not compressed must be as many as are said."""
    if "PixelData" not in ds or ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    try:
        frames = int(ds.get("NumberOfFrames", 1) or 1)
        samples = ds.Rows * ds.Columns * ds.get("SamplesPerPixel", 1) * frames
        need = (samples * ds.BitsAllocated + 7) // 8
        if str(ds.get("PhotometricInterpretation", "")) in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            need = need * 2 // 3
    except (AttributeError, TypeError, ValueError):
        raise RecordError("has pixels but does not say how many (rows, columns, bits). Export it again.") from None
    if len(ds.PixelData) < need:
        raise RecordError(
            f"has {len(ds.PixelData):,} bytes of pixels; its size says {need:,}. It was cut short: export it again."
        )
