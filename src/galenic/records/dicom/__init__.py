"""DICOM reader and writer: every value of a file is decoded, or the file is refused."""

from galenic.records.dicom.reader import DECODING_ERRORS, is_dicom, is_plain_number, read, strict_decoding
from galenic.records.dicom.writer import write

__all__ = ["DECODING_ERRORS", "is_dicom", "is_plain_number", "read", "strict_decoding", "write"]
