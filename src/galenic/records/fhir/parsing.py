"""Strict parsing of FHIR JSON that preserves every number as written, and of NDJSON in bounded memory."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

import orjson

from galenic.errors import RecordError

LARGEST = 64 * 2**20  # bytes of one document
CHUNK = 1 << 20
BOM = b"\xef\xbb\xbf"
# a number that a float cannot preserve as written: trailing zero, exponent, tiny, more digits than a float has, -0
INEXACT = re.compile(
    rb"[:\[,\s]-?(?:\d+\.\d*0|\d+(?:\.\d+)?[eE][+-]?\d+|0\.0{4}\d*|\d{16,}|[\d.]{17,})(?=[,\]}\s])|[:\[,\s]-0(?=[,\]}\s])"
)
KEY = re.compile(rb'"\s*:')


class ExactNumber(str):
    """A decimal as it was written, such as 1.10."""

    __slots__ = ()


@dataclass(frozen=True)
class Document:
    """One JSON document. resource: numbers as floats."""

    raw: bytes
    resource: dict[str, Any]

    @cached_property
    def exact(self) -> dict[str, Any]:
        """The resource, with decimals that a float would change as ExactNumber."""
        return _exact(self.raw) if INEXACT.search(self.raw) else self.resource


def _exact(raw: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(raw, parse_float=ExactNumber, parse_int=_whole)
    return found


def parse(raw: bytes, where: str = "the document") -> Document:
    """Parses a resource. Raise RecordError with the position of a JSON error, never the content."""
    if len(raw) > LARGEST:
        raise RecordError(
            f"{where} has {len(raw):,} bytes; one resource or Bundle may have at most {LARGEST:,}. Send NDJSON with one "
            "resource per line, or smaller Bundles."
        )
    raw = raw.removeprefix(BOM)
    try:
        resource = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"{where} is not valid JSON: {_reason(error, raw)}") from None
    if not isinstance(resource, dict):
        raise RecordError(f"{where} is not a JSON object. Expected one FHIR resource.")
    try:
        keys = orjson.dumps(resource).count(b'":')
    except orjson.JSONEncodeError:
        raise RecordError(
            f"{where} is nested more than 254 levels deep, which no valid FHIR resource is. Export it again."
        ) from None
    if (raw.count(b'":') != keys and len(KEY.findall(raw)) != keys) or b'\\":' in raw or b"u0022:" in raw:
        _refuse_repeats(raw, where)
    return Document(raw, resource)


def parse_exact(raw: bytes) -> dict[str, Any]:
    """The exact resource from bytes that `parse` has accepted before."""
    return _exact(raw)


def write_json(exact: dict[str, Any]) -> bytes:
    """A resource as compact JSON, every decimal as it was written: parse(write(x)).exact == x."""
    return orjson.dumps(exact, default=_number, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def _whole(text: str) -> Any:
    return int(text) if len(text) < 19 and text != "-0" else ExactNumber(text)


def _number(value: Any) -> orjson.Fragment:
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.encode())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _reason(error: orjson.JSONDecodeError, raw: bytes) -> str:
    if not raw.strip():
        return "it is empty."
    head = raw.lstrip()[:1]
    if head == b"<":
        return "it looks like XML. Send FHIR as JSON."
    what = re.sub(r": line \d+ column \d+ \(char \d+\)$", "", str(error))
    hints = (
        ("end of data", "It is truncated: send it again."),
        ("UTF-8", "Encode it as UTF-8."),
        ("after document", "JSON has no comments, and a document must contain one resource; use NDJSON for several."),
        ("surrogate", "An unpaired surrogate is not a valid character."),
        ("infinity", "The number is too large."),
        ("depth", "It is nested more than 1,024 levels deep."),
    )
    hint = next((h for mark, h in hints if mark in what), "See RFC 8259.")
    return f"{what} (line {error.lineno}, column {error.colno}). {hint}"


def _refuse_repeats(raw: bytes, where: str) -> None:
    repeated: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        repeated.extend(n for n in dict.fromkeys(names) if names.count(n) > 1)
        return dict(found)

    json.loads(raw, object_pairs_hook=pairs)
    if repeated:
        shown = repeated[0] if re.fullmatch(r"\w{1,64}", repeated[0]) else "(an invalid element name)"
        raise RecordError(
            f"{where} has the name {shown} twice in one object. Keep one: it is not defined which of them counts."
        )


def read_whole(path: Path) -> bytes:
    """File with one document, plain or gzip, up to LARGEST plus one byte. Raise RecordError if it cannot be read."""
    whole = b""
    for chunk in _chunks(path):
        whole += chunk
        if len(whole) > LARGEST:
            break
    return whole


@dataclass(frozen=True, slots=True)
class NdjsonLine:
    """One line of NDJSON: a document, or the fault of the line."""

    number: int
    raw: bytes
    document: Document | None
    fault: str = ""


def is_ndjson(path: Path) -> bool:
    """True if a file is NDJSON, by its name."""
    return ".ndjson" in path.name.lower() or ".jsonl" in path.name.lower()


def read_ndjson(path: Path) -> Iterator[NdjsonLine]:
    """Every line that is not empty, plain or gzip, with any line ending. Memory is bounded by the longest line.

    Raise RecordError if the file itself cannot be read to the end; an invalid line is an NdjsonLine with its fault.
    """
    number = 0
    for number, raw in lines(path):
        try:
            yield NdjsonLine(number, raw, parse(raw, f"line {number}"))
        except RecordError as error:
            yield NdjsonLine(number, raw, None, str(error))
    if not number:
        raise RecordError(f"{path.name} is empty. Expected one resource per line.")


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number, bytes) of every line that is not empty, unparsed. Raise RecordError for a line that is too long."""
    number, rest, after_return = 0, b"", False
    for chunk in _chunks(path):
        if not number and not rest:
            chunk = chunk.removeprefix(BOM)
        if after_return and chunk[:1] == b"\n":  # \r\n cut in two by the end of a chunk
            chunk = chunk[1:]
        after_return = chunk[-1:] == b"\r"
        *whole, rest = re.split(rb"\r\n|\r|\n", rest + chunk)
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
        if len(rest) > LARGEST:
            raise RecordError(
                f"line {number + 1} of {path.name} is longer than {LARGEST:,} bytes. Expected one resource per line."
            )
    if rest.strip():
        yield number + 1, rest


def _chunks(path: Path) -> Iterator[bytes]:
    with ExitStack() as stack:
        try:
            file: IO[bytes] = stack.enter_context(path.open("rb"))
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if path.suffix.lower() == ".gz" and not path.stat().st_size:
                raise EOFError
            if packed:
                file = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=file)))
            # read1, because read would lose the data before the position where a gzip file is damaged
            while chunk := file.read1(CHUNK) if packed else file.read(CHUNK):  # type: ignore[attr-defined]
                yield chunk
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise RecordError(f"{path.name} is a gzip file that is truncated or damaged. Send it again.") from None
        except OSError as error:
            raise RecordError(f"{path} cannot be read ({error.strerror}). Check the path and its permissions.") from None
