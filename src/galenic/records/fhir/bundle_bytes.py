"""The original bytes of each resource in a Bundle."""

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
    """Bundle and the bytes of each entry's resource (None for an entry without). refers: references of each, if known."""

    bundle: dict[str, Any]
    bytes_of: list[bytes | None]
    refers: list[list[str]] | None = None


def split_bundle(raw: bytes) -> SplitBundle | None:
    """A Bundle with indented lines, each part parsed once; None for another layout or anything unusual, which `parse` and
    `resource_bytes` handle.

    Each resource is parsed on its own, and the rest with {} in place of the resources. Together they equal the parsed Bundle if as
    many entries have a resource, and each of these is the {}.
    """
    parts = _split(raw)
    if parts is None or not parts[1]:
        return None
    rest, texts = parts
    try:
        bundle = orjson.loads(rest)
        if _keys_twice(rest, orjson.dumps(bundle)):
            return None
        resources, refers = [], []
        for text in texts:
            resource = orjson.loads(text)
            compact = orjson.dumps(resource)
            if _keys_twice(text, compact):
                return None
            resources.append(resource)
            refers.append(references(resource, compact))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return _joined(bundle, texts, resources, refers)


def _split(raw: bytes) -> tuple[bytes, list[bytes]] | None:
    """(the Bundle with {} in place of its resources, the bytes of the resources)."""
    rest, texts, at = [], [], 0
    while (key := KEY.search(raw, at)) is not None:
        start = key.end() - 1
        end = raw.find(b"\n" + key["indent"] + b"}", start) + len(key["indent"]) + 2
        if end < start:
            return None
        rest += [raw[at:start], b"{}"]
        texts.append(raw[start:end])
        at = end
    return b"".join([*rest, raw[at:]]), texts


def _joined(bundle: Any, texts: list[bytes], resources: list[dict[str, Any]], refers: list[list[str]]) -> SplitBundle | None:
    """The Bundle with its resources; None unless as many entries have a {} as there are resources."""
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        return None
    holding = [i for i, e in enumerate(entries) if "resource" in e]
    if len(holding) != len(texts) or any(entries[i]["resource"] != {} for i in holding):
        return None
    bytes_of: list[bytes | None] = [None] * len(entries)
    refers_of: list[list[str]] = [[]] * len(entries)
    for i, resource, text, names in zip(holding, resources, texts, refers, strict=True):
        entries[i]["resource"], bytes_of[i], refers_of[i] = resource, text, names
    return SplitBundle(bundle, bytes_of, refers_of)


def _keys_twice(text: bytes, compact: bytes) -> bool:
    """True if an object may have a duplicate key; parsing would drop one."""
    return text.count(b'":') != compact.count(b'":') or b'\\":' in text or b"u0022:" in text


def resource_bytes(raw: bytes, bundle: dict[str, Any]) -> list[bytes | None]:
    """The bytes of each entry's resource, None for an entry without. bundle: parsed from `raw`, with numbers as floats."""
    entries = bundle.get("entry", ())
    return _compact(raw, entries) or _by_lines(raw, entries) or _scanned(raw, len(entries))


def _compact(raw: bytes, entries: Any) -> list[bytes | None] | None:
    """By the text of each resource, for a Bundle without white space; None for another layout."""
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
    """By the indentation of closing braces, for a Bundle with indented lines; None if that does not give the resources."""
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
