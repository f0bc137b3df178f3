"""Text of output files, in blocks, without the code that wrote them."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from galenic import records
from galenic.schema import MISSING_TOKENS

_BLOCK = 4 << 20  # bytes
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # tag (7FE0,0010), little and big endian


def texts_of(path: Path) -> Iterator[str]:
    """Text of a file, or of all files of a folder: all values of a columnar file, the header of an image."""
    for file in sorted(f for f in (path.rglob("*") if path.is_dir() else [path]) if f.is_file()):
        yield from _texts(file)


def _texts(file: Path) -> Iterator[str]:
    suffix = file.suffix.casefold()
    if suffix in (".parquet", ".pq"):
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=20_000):
                yield _values(batch)
        return
    if suffix in (".arrow", ".feather"):
        with pa.ipc.open_file(str(file)) as reader:
            for number in range(reader.num_record_batches):
                yield _values(reader.get_batch(number))
        return
    if suffix in (".dcm", ".dicom", ".ima", ""):  # an image: the header, up to the pixels
        content = file.read_bytes()
        if content[128:132] == b"DICM":
            pixels = [at for tag in _PIXEL_DATA if (at := content.find(tag)) > 0]
            yield content[: min(pixels, default=len(content))].decode("utf-8", "replace")
            return
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as raw:
        rest = b""
        while block := raw.read(_BLOCK):
            cut = max(block.rfind(b" "), block.rfind(b"\n")) + 1 or len(block)
            yield (rest + block[:cut]).decode("utf-8", "replace")
            rest = block[cut:]
        yield rest.decode("utf-8", "replace")


def cells_of(column: pa.ChunkedArray) -> list[str | None]:
    """The cells of a table's column as text, missing ones as None; nested values as Python writes them."""
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return [None if v is None else str(v) for v in column.to_pylist()]
    return list(records.clean_text(column, MISSING_TOKENS).to_pylist())


def _values(batch: pa.RecordBatch) -> str:
    return "".join(f"{v}\n" for column in batch.columns for v in column.to_pylist() if v is not None)
