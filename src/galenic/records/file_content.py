"""Recognition of a table's file by its first bytes, and reading of compressed files without unpacking them on disk."""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from galenic.errors import RecordError

MOST_RATIO, UNSUSPICIOUS = 300, 1 << 30  # unpacked size over packed size, and the unpacked size up to which it does not matter
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz"}
_TABLES = {b"PAR1": "parquet", b"ARROW1": "arrow"}
_UNREADABLE = {
    b"%PDF": ("a PDF document", "Export the table behind it as CSV"),
    b"\xd0\xcf\x11\xe0": ("an old Office file (.xls or .doc)", "Open it in a spreadsheet program and save it as .xlsx or CSV"),
    b"FEA1": ("a Feather file of version 1", "Write it again with pyarrow.feather (version 2), or as Parquet"),
    b"SQLite format 3": ("an SQLite database", "Export one of its tables as CSV"),
    b"{\\rtf": ("a rich-text document", "Export the table as CSV"),
    b"$FL": ("an SPSS file", "Export it as CSV or Parquet"),
    b"<stata_dta>": ("a Stata file", "Export it as CSV or Parquet"),
    b"\x89HDF": ("an HDF5 file", "Export the table as Parquet"),
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc2\xea": ("a SAS file", "Export it as CSV or Parquet"),
    b"7z\xbc\xaf": ("a 7z archive", "Unpack it first"),
    b"\x89PNG": ("a picture", "Give the table itself as CSV"),
    b"\xff\xd8\xff": ("a picture", "Give the table itself as CSV"),
    b"\x80\x04\x95": ("a Python pickle, which is never opened", "Write the data frame as Parquet"),
    b"\x80\x05\x95": ("a Python pickle, which is never opened", "Write the data frame as Parquet"),
}
_NOT_TABLES = (".ds_store", "thumbs.db")


@dataclass(frozen=True)
class FileContent:
    """Content of a file. kind: csv, parquet, arrow, excel or json. packed: how it is compressed, "" if it is not. member: in a zip."""

    path: Path
    kind: str
    packed: str = ""
    member: str = ""

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its unpacked bytes. RecordError if the compressed data is damaged."""
        try:
            with _unpacked(self.path, self.packed, self.member) as file:
                yield file
        except (EOFError, zipfile.BadZipFile, lzma.LZMAError, gzip.BadGzipFile, RuntimeError) as error:
            raise RecordError(f"{self.path} cannot be unpacked ({type(error).__name__}). Copy or export it again.") from None

    def require_plausible_size(self, unpacked: int) -> None:
        """RecordError if it unpacks to far more than data does, as archives that are made to fill memory do."""
        if self.packed and unpacked > UNSUSPICIOUS and unpacked > MOST_RATIO * self.path.stat().st_size:
            raise RecordError(
                f"{self.path} unpacks to more than {MOST_RATIO} times its size. Unpack it yourself, and look at it."
            )


@contextmanager
def _unpacked(path: Path, packed: str, member: str) -> Iterator[IO[bytes]]:
    if packed == "zip":
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            yield file
    elif packed == "zstd":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield io.BufferedReader(stream)
    else:
        openers: dict[str, Any] = {"": open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
        with openers[packed](path, "rb") as file:
            yield file


def content_of(path: Path, member: str = "") -> FileContent:
    """The content of a file. member: the file within a zip. RecordError, with what to do, if it is no table."""
    with path.open("rb") as file:
        start = file.read(4096)
    packed = next((name for magic, name in _COMPRESSED.items() if start.startswith(magic)), "")
    if start.startswith(b"PK\x03\x04"):
        return _zipped(path, member)
    if not packed:
        return FileContent(path, _kind(path, start, path.suffix))
    inside = FileContent(path, "csv", packed)
    with inside.open() as file:
        kind = _kind(path, file.read(4096), Path(path.stem).suffix)
    if kind not in ("csv", "json"):
        raise RecordError(f"{path} holds a compressed {kind} file. Unpack it first; {kind} files are compressed already.")
    return FileContent(path, kind, packed)


def _kind(path: Path, start: bytes, suffix: str) -> str:
    for magic, kind in _TABLES.items():
        if start.startswith(magic):
            return kind
    for magic, (what, todo) in _UNREADABLE.items():
        if start.startswith(magic):
            raise RecordError(f"{path} is {what}, not a table that can be read. {todo}.")
    if start[128:132] == b"DICM":
        raise RecordError(f"{path} is a DICOM file, not a table. Use: galenic records import, or galenic deidentify.")
    if suffix.lower() in (".parquet", ".pq", ".arrow", ".feather", ".ipc"):
        return "parquet" if suffix.lower() in (".parquet", ".pq") else "arrow"
    return _text_kind(path, start)


def _text_kind(path: Path, start: bytes) -> str:
    text = start.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"").lstrip(b"\xff\xfe \t\r\n")
    if text[:1] == b"<" and text[1:2].isalpha() | (text[1:2] in (b"!", b"?")):
        raise RecordError(f"{path} is an XML or HTML document, not a table. Export the table as CSV.")
    inner = text[1:].lstrip(b" \t\r\n")[:1]
    return (
        "json" if (text[:1] == b"{" and inner in (b'"', b"}")) or (text[:1] == b"[" and inner in (b"{", b"[", b"]")) else "csv"
    )


def _zipped(path: Path, member: str) -> FileContent:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [i for i in archive.infolist() if not i.is_dir()]
    except zipfile.BadZipFile:
        raise RecordError(f"{path} is a damaged zip archive or Office file. Copy or save it again.") from None
    names = {i.filename for i in files}
    if "xl/workbook.xml" in names:
        return FileContent(path, "excel", member=member)
    if any(name.startswith(("word/", "ppt/", "content.xml", "xl/")) for name in names):
        raise RecordError(f"{path} is an Office document, not a table that can be read. Save the table as .xlsx or CSV.")
    tables = [i for i in files if not i.filename.startswith("__MACOSX/") and Path(i.filename).name.lower() not in _NOT_TABLES]
    chosen = [i for i in tables if i.filename == member] if member else tables
    if len(chosen) != 1:
        listed = sorted(i.filename for i in tables)[:8]
        raise RecordError(f"{path} holds {len(tables)} files: {listed}. Expected one table. Name it: {path.name}#FILE")
    if chosen[0].flag_bits & 1:
        raise RecordError(f"{path} is encrypted with a password. Unpack it first.")
    inside = FileContent(path, "csv", "zip", chosen[0].filename)
    with inside.open() as file:
        kind = _kind(path, file.read(4096), Path(chosen[0].filename).suffix)
    if kind not in ("csv", "json"):
        raise RecordError(f"{path} holds a {kind} file. Unpack it first.")
    return FileContent(path, kind, "zip", chosen[0].filename)
