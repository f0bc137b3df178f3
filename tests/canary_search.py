"""Search of folders for planted values in every form: text in several encodings, binary numbers, and within compressed files."""

import base64
import gzip
import io
import sqlite3
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

TEXTS = {
    "identifier": "CNRY-774411",
    "name": "Zebulonqx",
    "note": "xylophonic quokka ledger",
    "phone": "612-555-884177",
    "code": "QZX98871",
    "extreme as text": "184733.25",
}
EXTREME = 184733.25
DEEPEST = 4  # archives within archives


def forms() -> dict[bytes, str]:
    """Every byte pattern of every planted value, with what it is."""
    found: dict[bytes, str] = {}
    for name, text in TEXTS.items():
        raw = text.encode()
        variants = {raw, raw.lower(), raw.upper(), text.encode("utf-16-le"), text.encode("utf-16-be"), raw.hex().encode()}
        variants |= {raw.hex().upper().encode()}
        for shift in range(3):  # the alignments of Base64, without the characters that its neighbors decide
            coded = base64.b64encode(b"\0" * shift + raw)
            variants.add(coded[(0, 2, 3)[shift] : len(coded) - 4])
        found |= dict.fromkeys(variants, name)
    numbers = [struct.pack(order + kind, EXTREME if kind == "d" else int(EXTREME)) for order in "<>" for kind in "dq"]
    return found | dict.fromkeys(numbers, "extreme as number")


FORMS = forms()


def contents(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes, and what they hold if they are compressed, an archive, Arrow, Parquet or SQLite."""
    yield data
    if depth >= DEEPEST:
        return
    for inner in _unpacked(data):
        yield from contents(inner, depth + 1)


def _unpacked(data: bytes) -> Iterator[bytes]:
    try:
        if data[:2] == b"\x1f\x8b":
            yield gzip.decompress(data)
        elif data[:4] == b"\x28\xb5\x2f\xfd":
            yield pa.input_stream(pa.py_buffer(data), compression="zstd").read()
        elif data[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                for name in packed.namelist():
                    yield packed.read(name)
        elif data[:4] == b"PAR1":
            yield from _cells(pq.read_table(io.BytesIO(data)))
        elif data[:6] == b"ARROW1":
            yield from _cells(pa.ipc.open_file(io.BytesIO(data)).read_all())
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, pa.ArrowException):
        return


def _cells(table: pa.Table) -> Iterator[bytes]:
    for column in table.columns:
        for value in column.to_pylist():
            if value is not None:
                yield value if isinstance(value, bytes) else str(value).encode()


def _database(place: Path) -> Iterator[bytes]:
    """Every cell of a SQLite database, as the database reads it."""
    try:
        with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in connection.execute(f'SELECT * FROM "{name}"'):
                    yield from (v if isinstance(v, bytes) else str(v).encode() for v in row if v is not None)
    except sqlite3.Error:
        return


def found_in(*folders: Path) -> dict[str, set[str]]:
    """Planted values by file."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for place in sorted(p for p in folder.rglob("*") if p.is_file()):
            data = place.read_bytes()
            parts = list(contents(data))
            if data[:15] == b"SQLite format 3":
                parts.append(b"\n".join(inner for cell in _database(place) for inner in contents(cell)))
            hits = {what for pattern, what in FORMS.items() if any(pattern in part for part in parts)}
            hits |= {what for pattern, what in FORMS.items() if pattern in place.name.encode()}
            if hits:
                found[str(place)] = hits
    return found


def plant_controls(folder: Path) -> int:
    """One file for each form, and some within archives; returns how many. A search that misses one of them proves nothing."""
    folder.mkdir(parents=True)
    for number, pattern in enumerate(FORMS):
        (folder / f"{number}.bin").write_bytes(b"\x01\x02" + pattern + b"\x03")
    text = " ".join(TEXTS.values()).encode()
    for shift in range(3):
        (folder / f"b{shift}.txt").write_bytes(base64.b64encode(b"." * shift + text))
    (folder / "g.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(folder / "z.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inner.gz", gzip.compress(text))
    table = pa.table({"t": [text.decode()], "n": [EXTREME]})
    pq.write_table(table, folder / "p.parquet", compression="zstd")
    with pa.ipc.new_file(folder / "a.arrow", table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    with sqlite3.connect(folder / "s.db") as connection:
        connection.execute("CREATE TABLE t (v BLOB)")
        connection.execute("INSERT INTO t VALUES (?)", (gzip.compress(text),))
    return len(list(folder.iterdir()))
