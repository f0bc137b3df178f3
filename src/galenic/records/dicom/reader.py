"""Reader of DICOM files by pydicom; its warnings are errors, because a value that was not decoded cannot be searched."""

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

# errors of pydicom and its decoders for a value that does not match its type (thousands of mutated files raised no others)
DECODING_ERRORS = (
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
LARGEST = 2**30  # bytes of a deflated data set, unpacked
_PART = 1 << 20
_PADDING = 0xFFFCFFFC
_CUT = ("end of file", "eof", "end of the file", "truncated")
_MAGIC = 128
_SYNTAX = b"\x02\0\x10\0UI"  # (0002,0010): the meta information is always explicit, little endian (PS3.10, 7.1)
_BINARY = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4}  # bytes of one value
_DECIMAL = {
    "DS": re.compile(rb"[0-9+\-.eE \\\0]*"),
    "IS": re.compile(rb"[0-9+\- \\\0]*"),
    "CS": re.compile(rb"[A-Z0-9_ \\\0]*"),
}


def require_pydicom() -> None:
    """Raise MissingExtraError if pydicom is not installed; it is imported on first use."""
    if find_spec("pydicom") is None:
        raise MissingExtraError("DICOM files need the package pydicom, which is not installed", "dicom")


def is_dicom(file: Path) -> bool:
    """True if the file is DICOM, by its name or by the four letters after the preamble (PS3.10, 7.1)."""
    if file.suffix.casefold() in (".dcm", ".dicom", ".ima"):
        return True
    with file.open("rb") as raw:
        raw.seek(_MAGIC)
        return raw.read(4) == b"DICM"


@contextmanager
def strict_decoding() -> Iterator[list[warnings.WarningMessage]]:
    """Turn decoding errors of pydicom into RecordError; yields its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield caught
        except (EOFError, zlib.error) as error:
            raise RecordError(
                f"is not a DICOM file, or it was truncated ({error.__class__.__name__}). Export it again."
            ) from None
        except DECODING_ERRORS as error:
            raise RecordError(
                f"cannot be read as DICOM ({error.__class__.__name__}): a value has the wrong type, or the transfer "
                "syntax is wrong. Export it again."
            ) from None


def read(file: Path, *, whole: bool = True) -> "Dataset":
    """The data set of a file (PS3.10). whole: decode every value that is not private; otherwise the caller decodes within
    `strict_decoding`.

    Raise RecordError if the file is not DICOM, is truncated, has another transfer syntax than stated, or contains no patient
    object (a DICOMDIR, a message).
    """
    require_pydicom()
    from pydicom import dcmread  # noqa: PLC0415
    from pydicom.uid import UID, DeflatedExplicitVRLittleEndian  # noqa: PLC0415

    with strict_decoding() as caught:
        raw = file.read_bytes()
        _require_bounded(raw)
        ds = dcmread(io.BytesIO(raw + _sentinel(raw)), force=True)
        count = _decode_all(ds) if whole else len(ds)
    syntax = getattr(ds, "file_meta", {}).get("TransferSyntaxUID")
    if syntax is None:
        raise RecordError(
            "does not state its transfer syntax (0002,0010). Expected a PS3.10 file with file meta information. Export "
            "it again."
        )
    if not isinstance(syntax, UID) or not syntax.is_transfer_syntax or syntax.is_private:
        raise RecordError("states a transfer syntax (0002,0010) that the standard does not define. Export it again.")
    if _PADDING not in ds and syntax != DeflatedExplicitVRLittleEndian:
        raise RecordError("was truncated: a value ends before its stated length. Export it again.")
    ds.pop(_PADDING, None)
    with strict_decoding():
        _refuse_invalid(ds, count - 1, [str(w.message).casefold() for w in caught])
    return ds


def is_plain_number(raw: Any) -> bool:
    """True if an undecoded element holds only numbers, codes or sizes: it need not be decoded."""
    if not getattr(raw, "is_raw", False) or raw.value is None:
        return False
    if raw.VR in _BINARY:
        return not len(raw.value) % _BINARY[raw.VR]
    return raw.VR in _DECIMAL and _DECIMAL[raw.VR].fullmatch(raw.value) is not None


def _decode_all(ds: "Dataset") -> int:
    """Decode every value that may hold text, except private ones; returns the number of elements."""
    count = 0
    for tag in list(ds.keys()):
        count += 1
        if int(tag) >> 16 & 1 or is_plain_number(ds.get_item(tag)):
            continue
        element = ds[tag]
        if element.VR == "SQ":
            count += sum(_decode_all(item) for item in element.value)
    return count


def _require_bounded(raw: bytes) -> None:
    """Raise RecordError for a deflated data set (PS3.5, A.5) that decompresses to more than LARGEST bytes."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian  # noqa: PLC0415

    if _syntax_of(raw) != DeflatedExplicitVRLittleEndian:
        return
    length = raw.find(b"\x02\0\0\0UL\x04\0", 0, 4_096)  # (0002,0000): bytes of the meta information after this element
    if length < 0:
        raise RecordError("does not state the length of its meta information (0002,0000), as PS3.10 requires. Export it again.")
    start = length + 12 + int.from_bytes(raw[length + 8 : length + 12], "little")
    unpacker, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, raw[start:]
    while rest and not unpacker.eof and size <= LARGEST:
        size += len(unpacker.decompress(rest, _PART))
        rest = unpacker.unconsumed_tail
    if size > LARGEST:
        raise RecordError(f"decompresses to more than {LARGEST:,} bytes. Send it without the deflated transfer syntax.")


def _syntax_of(raw: bytes) -> str:
    """The transfer syntax that the meta information states; "" if there is none."""
    at = raw.find(_SYNTAX, 0, 4_096)
    length = int.from_bytes(raw[at + 6 : at + 8], "little")
    return raw[at + 8 : at + 8 + length].strip(b"\0 ").decode("ascii", "replace") if at >= 0 else ""


def _sentinel(raw: bytes) -> bytes:
    """Data set trailing padding (PS3.10, 7.2) to append. A value shorter than its stated length includes it, which reveals
    truncation."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian  # noqa: PLC0415

    syntax = _syntax_of(raw) or ImplicitVRLittleEndian
    if syntax == DeflatedExplicitVRLittleEndian:
        return b""
    if syntax == ImplicitVRLittleEndian:
        return b"\xfc\xff\xfc\xff\x02\0\0\0\0\0"
    return b"\xff\xfc\xff\xfcOB\0\0\0\0\0\x02\0\0" if syntax == ExplicitVRBigEndian else b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0"


def _refuse_invalid(ds: "Dataset", count: int, messages: list[str]) -> None:
    if any(sign in text for text in messages for sign in _CUT):
        raise RecordError("was truncated: a value ends before its stated length. Export it again.")
    if any("expected implicit vr" in text or "expected explicit vr" in text for text in messages):
        raise RecordError("is encoded in a different transfer syntax than it states (0002,0010). Export it again.")
    if "DirectoryRecordSequence" in ds or str(ds.get("SOPClassUID", "")).endswith("1.2.840.10008.1.3.10"):
        raise RecordError("is a DICOMDIR, an index that contains patient names. Generate a new one from the output.")
    if not count or "SOPClassUID" not in ds or "SOPInstanceUID" not in ds:
        raise RecordError("has no SOP Class UID and SOP Instance UID. Expected a DICOM object (PS3.3).")
    _check_pixel_length(ds)


def _check_pixel_length(ds: "Dataset") -> None:
    """Uncompressed pixel data must be as long as rows, columns and bits state."""
    if "PixelData" not in ds or ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    try:
        frames = int(ds.get("NumberOfFrames", 1) or 1)
        samples = ds.Rows * ds.Columns * ds.get("SamplesPerPixel", 1) * frames
        need = (samples * ds.BitsAllocated + 7) // 8
        if str(ds.get("PhotometricInterpretation", "")) in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            need = need * 2 // 3
    except (AttributeError, TypeError, ValueError):
        raise RecordError("has pixel data but does not state its size (rows, columns, bits). Export it again.") from None
    if len(ds.PixelData) < need:
        raise RecordError(
            f"has {len(ds.PixelData):,} bytes of pixel data, but its size requires {need:,}. It was truncated: export it again."
        )
