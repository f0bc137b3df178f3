"""DICOM files written by PS3.10: file meta information of our own, nothing of the file it came from."""

import warnings
from pathlib import Path
from typing import Any

from galenic.errors import RecordError

# {2.25.} and a UUID as an integer (PS3.5, B.2): what wrote the file
IMPLEMENTATION = "2.25.211825636083597986150731858619215669057"
NAME = "GALENIC"


def write(ds: Any, file: Path) -> None:
    """Writes a data set in the transfer syntax that it has. The preamble is empty; text is UTF-8 (ISO_IR 192)."""
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415  # the room is imported without it
    from pydicom.uid import UID  # noqa: PLC0415

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ds.file_meta.TransferSyntaxUID
    meta.ImplementationClassUID = UID(IMPLEMENTATION)
    meta.ImplementationVersionName = NAME
    ds.file_meta, ds.preamble = meta, b"\0" * 128
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ds.save_as(file, enforce_file_format=True)
        except Exception as error:  # noqa: BLE001  # a value that the standard does not allow, which came in
            file.unlink(missing_ok=True)
            raise RecordError(
                f"can not be written as DICOM again ({error.__class__.__name__}: a value does not fit its type)."
            ) from None
