"""The bytes of each resource in a Bundle, as they stand there."""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

from galenic.records.fhir.compartment import references

SPACE = re.compile(r"[ \t\n\r]*")
KEY = re.compile(rb'\n(?P<indent>[ \t]+)(?:[{,] ?)?"resource" ?: ?\{')
DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class SplitBundle:
    """A Bundle and the bytes of each entry's resource (None where it has none). refers: the references of each, where known."""

    bundle: dict[str, Any]
    bytes_of: list[bytes | None]
    refers: list[list[str]] | None = None


def split_bundle(raw: bytes) -> SplitBundle | None:
    """A Bundle that is written line by line, each part parsed once; None where it is not written so, or where anything is odd:
    then `parse` and `slices` say what.

    Each resource is parsed by itself and what stands around them with {} in their place. JSON is such that both together are what
    parsing the whole would give, if there are just as many entries with a resource, and each of them holds the {}.
    """
    around, found, at = [], [], 0
    while (key := KEY.search(raw, at)) is not None:
        start = key.end() - 1
        end = raw.find(b"\n" + key["indent"] + b"}", start) + len(key["indent"]) + 2
        if end < start:
            return None
        around += [raw[at:start], b"{}"]
        found.append(raw[start:end])
        at = end
    shell = b"".join([*around, raw[at:]])
    try:
        bundle = orjson.loads(shell)
        if _keys_twice(shell, orjson.dumps(bundle)):
            return None
        resources, refers = [], []
        for text in found:
            resource = orjson.loads(text)
            compact = orjson.dumps(resource)
            if _keys_twice(text, compact):
                return None
            resources.append(resource)
            refers.append(references(resource, compact))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    if not found or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        return None
    holding = [i for i, e in enumerate(entries) if "resource" in e]
    if len(holding) != len(found) or any(entries[i]["resource"] != {} for i in holding):
        return None
    bytes_of: list[bytes | None] = [None] * len(entries)
    named: list[list[str]] = [[]] * len(entries)
    for i, resource, text, names in zip(holding, resources, found, refers, strict=True):
        entries[i]["resource"], bytes_of[i], named[i] = resource, text, names
    return SplitBundle(bundle, bytes_of, named)


def _keys_twice(text: bytes, compact: bytes) -> bool:
    """Whether an object may have had a key twice, of which parsing keeps one."""
    return text.count(b'":') != compact.count(b'":') or b'\\":' in text or b"u0022:" in text


def resource_bytes(raw: bytes, bundle: dict[str, Any]) -> list[bytes | None]:
    """For each entry the bytes of its resource; None where it has none. bundle: parsed from `raw`, with numbers as floats."""
    entries = bundle.get("entry", ())
    return _compact(raw, entries) or _by_lines(raw, entries) or _scanned(raw, len(entries))


def _compact(raw: bytes, entries: Any) -> list[bytes | None] | None:
    """By their own text, where the Bundle is written without white space; None where it is not."""
    found: list[bytes | None] = []
    at = 0
    for entry in entries:
        text = orjson.dumps(entry["resource"]) if "resource" in entry else None
        found.append(text)
        if text is not None:
            at = raw.find(text, at)
            if at < 0:
                return None
            at += len(text)
    return found


def _by_lines(raw: bytes, entries: Any) -> list[bytes | None] | None:
    """By the indentation of their closing braces, where it is written line by line; None where that does not give the resource."""
    found: list[bytes | None] = []
    at = 0
    for entry in entries:
        if "resource" not in entry:
            found.append(None)
            continue
        key = KEY.search(raw, at)
        if key is None:
            return None
        end = raw.find(b"\n" + key["indent"] + b"}", key.end())
        text = raw[key.end() - 1 : end + len(key["indent"]) + 2]
        try:
            if end < 0 or orjson.loads(text) != entry["resource"]:
                return None
        except orjson.JSONDecodeError:
            return None
        found.append(text)
        at = end
    return found


def _scanned(raw: bytes, count: int) -> list[bytes | None]:
    text = raw.decode()
    found: list[bytes | None] = []
    array = next(start for name, start, _end in _members(text, _skip(text, 0)) if name == "entry")
    at = _skip(text, array + 1)
    for _ in range(count):
        mine, end = None, at
        for name, start, stop in _members(text, at):
            if name == "resource":
                mine = text[start:stop].encode()
            end = stop
        found.append(mine)
        at = _skip(text, _skip(text, end) + 1)  # past the closing brace
        at = _skip(text, at + 1)  # past the comma
    return found


def _members(text: str, at: int) -> Any:
    """(name, where its value starts, where it ends) of each member of the object that starts at `at`."""
    at = _skip(text, at + 1)
    while text[at] == '"':
        name, at = DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)  # past the colon
        _value, at = DECODER.raw_decode(text, start)
        yield name, start, at
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return match.end() if match else at
