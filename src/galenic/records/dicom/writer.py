"""Writer of DICOM files by PS3.10 with new file meta information; nothing is taken over from the source file."""

import warnings
import zlib
from pathlib import Path
from typing import Any

from galenic.errors import RecordError
from galenic.records.dicom.reader import DECODING_ERRORS

# {2.25.} and a UUID as an integer (PS3.5, B.2): the implementation that wrote the file
IMPLEMENTATION = "2.25.211825636083597986150731858619215669057"
NAME = "GALENIC"


def write(ds: Any, file: Path) -> None:
    """Write a data set in its own transfer syntax. The preamble is empty; text is UTF-8 (ISO_IR 192)."""
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415  # optional
    from pydicom.filewriter import write_dataset, write_file_meta_info  # noqa: PLC0415
    from pydicom.uid import DeflatedExplicitVRLittleEndian  # noqa: PLC0415

    syntax = ds.file_meta.TransferSyntaxUID
    meta = _meta(ds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            head, body = DicomBytesIO(), DicomBytesIO()
            head.is_little_endian, head.is_implicit_VR = True, False
            write_file_meta_info(head, meta)
            body.is_little_endian, body.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
            write_dataset(body, ds)
        except DECODING_ERRORS as error:  # an input value that the standard does not allow
            raise RecordError(
                f"cannot be written as DICOM ({error.__class__.__name__}: a value does not fit its type)."
            ) from None
    raw = body.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        raw = deflate.compress(raw) + deflate.flush()
        raw += b"\0" * (len(raw) % 2)
    ds.file_meta = meta
    file.write_bytes(b"\0" * 128 + b"DICM" + head.getvalue() + raw)


def _meta(ds: Any) -> Any:
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
    from pydicom.uid import UID  # noqa: PLC0415

    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0  # set when it is written
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ds.file_meta.TransferSyntaxUID
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = NAME
    return meta
