"""DICOM in and out, strictly: a file is read whole and every value of it understood, or refused."""

from galenic.records.dicom.reader import MISREAD, is_dicom, is_plain_number, read, understood
from galenic.records.dicom.writer import write

__all__ = ["MISREAD", "is_dicom", "is_plain_number", "read", "understood", "write"]
