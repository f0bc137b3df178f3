"""Search of the whole output for identifiers that patients' records state, by words and numbers, without the detector's code."""

import gzip
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from galenic.privacy.deidentification.run import DeidentificationRun, ResidualSearch

_WORD = re.compile(r"[^\W_]+(?:[@.+-][^\W_]+)*")
_NAME_PART = re.compile(r"[^\W\d_]{2,}")
_BLOCK = 4 << 20  # bytes
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # tag (7FE0,0010), little and big endian
_NUMBER_KINDS = ("record", "phone", "ssn", "email", "plan", "account")


def search_residuals(outputs: list[Path], run: DeidentificationRun) -> ResidualSearch:
    """Search files for numbers of at least five digits, e-mail addresses, and given names next to family names."""
    numbers, name_pairs = _search_terms(run)
    places = 0
    for file in sorted(f for p in outputs for f in (p.rglob("*") if p.is_dir() else [p]) if f.is_file()):
        for text in _texts(file):
            words = [w.casefold() for w in _WORD.findall(text)]
            places += sum(w in numbers or (any(c.isdigit() for c in w) and _alphanumeric(w) in numbers) for w in words)
            places += sum(pair in name_pairs for pair in pairwise(words))
    return ResidualSearch(len(numbers) + len(name_pairs), places)


def _alphanumeric(word: str) -> str:
    return "".join(c for c in word if c.isalnum())


def _search_terms(run: DeidentificationRun) -> tuple[set[str], set[tuple[str, str]]]:
    numbers: set[str] = set()
    name_pairs: set[tuple[str, str]] = set()
    for identifiers in run.stated_identifiers.values():
        for value in (v for kind in _NUMBER_KINDS for v in identifiers.get(kind, ())):
            if sum(c.isdigit() for c in value) >= 5:
                numbers |= {value.casefold(), _alphanumeric(value.casefold())}
            elif "@" in value:
                numbers.add(value.casefold())
        for value in identifiers.get("name", ()):
            parts = [w.casefold() for w in _NAME_PART.findall(value)]
            name_pairs |= {(a, b) for a in parts for b in parts if a != b and len(a) > 2 < len(b)}
    return numbers, name_pairs


def _texts(file: Path) -> Iterator[str]:
    if file.suffix in (".parquet", ".pq"):
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=20_000):
                yield "\n".join(str(v) for column in batch.columns for v in column.to_pylist() if v is not None)
        return
    if file.suffix.casefold() in (".dcm", ".dicom", ".ima", ""):  # an image: the header, up to the pixels
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
