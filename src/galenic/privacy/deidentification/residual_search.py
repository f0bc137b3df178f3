"""Everything that came out searched for what patients' own records state of them: by words and numbers alone, by none of the finder's code."""

import gzip
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from galenic.privacy.deidentification.run import DeidentificationRun

_WORD = re.compile(r"[^\W_]+(?:[@.+-][^\W_]+)*")
_PART = re.compile(r"[^\W\d_]{2,}")
_BLOCK = 4 << 20
_PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # (7FE0,0010), little and big endian


def search_residuals(places: list[Path], run: DeidentificationRun) -> tuple[int, int]:
    """(values searched for, places where one still stands): numbers of five digits or more, addresses of mail, given name with family name."""
    numbers, pairs = _wanted(run)
    left = 0
    for file in sorted(f for p in places for f in (p.rglob("*") if p.is_dir() else [p]) if f.is_file()):
        for text in _texts(file):
            words = [w.casefold() for w in _WORD.findall(text)]
            left += sum(w in numbers or (any(c.isdigit() for c in w) and _bare(w) in numbers) for w in words)
            left += sum(pair in pairs for pair in pairwise(words))
    return len(numbers) + len(pairs), left


def _bare(word: str) -> str:
    return "".join(c for c in word if c.isalnum())


def _wanted(run: DeidentificationRun) -> tuple[set[str], set[tuple[str, str]]]:
    numbers: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for stated in run.known.values():
        for kind in ("record", "phone", "ssn", "email", "plan", "account"):
            for value in stated.get(kind, ()):
                if sum(c.isdigit() for c in value) >= 5:
                    numbers |= {value.casefold(), _bare(value.casefold())}
                elif "@" in value:
                    numbers.add(value.casefold())
        for value in stated.get("name", ()):
            names = [w.casefold() for w in _PART.findall(value)]
            pairs |= {(a, b) for a in names for b in names if a != b and len(a) > 2 < len(b)}
    return numbers, pairs


def _texts(file: Path) -> Iterator[str]:
    if file.suffix in (".parquet", ".pq"):
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=20_000):
                yield "\n".join(str(v) for column in batch.columns for v in column.to_pylist() if v is not None)
        return
    if file.suffix.casefold() in (".dcm", ".dicom", ".ima", ""):  # an image: all that stands before its pixels
        raw_bytes = file.read_bytes()
        if raw_bytes[128:132] == b"DICM":
            pixels = [at for mark in _PIXELS if (at := raw_bytes.find(mark)) > 0]
            yield raw_bytes[: min(pixels, default=len(raw_bytes))].decode("utf-8", "replace")
            return
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as raw:
        rest = b""
        while block := raw.read(_BLOCK):
            cut = max(block.rfind(b" "), block.rfind(b"\n")) + 1 or len(block)
            yield (rest + block[:cut]).decode("utf-8", "replace")
            rest = block[cut:]
        yield rest.decode("utf-8", "replace")
