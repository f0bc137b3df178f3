"""Ids and URLs of the source server of records: ids that R4 does not allow, and absolute references to its resources."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from galenic.errors import OptionError, RecordError
from galenic.records.fhir.definitions import r4
from galenic.records.fhir.parsing import BOM, parse, write_json
from galenic.records.fhir.reference_validation import REFERENCE

SOURCE_ID = (
    "https://galenic.dev/fhir/source-id"  # system of the identifier, or URL of the extension, that preserves the original id
)
LONG = re.compile(rb"[A-Za-z0-9\-._~]{65,}")
LONG_ID = re.compile(r"[A-Za-z0-9\-._~]{65,}")
LONG_NAME = re.compile(
    r"(?P<before>(?:https?://[^?#]+/)?[A-Z][A-Za-z]+/|#)(?P<id>[A-Za-z0-9\-._~]{65,})(?P<after>(?:/_history/[^/]+)?(?:#.*)?)"
)
ADDRESSES = ("reference", "fullUrl", "url", "location")  # properties that name a resource by its type and id
ABSOLUTE_REFERENCE = re.compile(rb'"reference"\s*:\s*"https?:')


@dataclass(frozen=True, slots=True)
class SourceServer:
    """Options for reading the export of another server. bases: its URLs; absolute references under them refer to resources of
    the import; hash_long_ids: ids of more than 64 characters are replaced by their hash."""

    bases: tuple[str, ...] = ()
    hash_long_ids: bool = False

    def __post_init__(self) -> None:
        for base in self.bases:
            if not re.fullmatch(r"https?://[^\s?#]+", base):
                raise OptionError(
                    f"the base {base!r} is not the URL of a FHIR server. Expected for example https://ehr.example.org/fhir"
                )

    def changes(self, raw: bytes) -> bool:
        """True if these options may change how a document is stored."""
        by_id = self.hash_long_ids and LONG.search(raw) is not None
        return by_id or any(base.rstrip("/").encode() in raw for base in self.bases)

    def relative(self, references: Iterable[str]) -> dict[str, str]:
        """Name (Type/id) of each absolute reference to a resource of the server."""
        found: dict[str, str] = {}
        for text in references:
            for base in self.bases:
                rest = text.removeprefix(base.rstrip("/") + "/")
                if rest != text and REFERENCE.match(rest):
                    found[text] = rest
        return found


def short_id(long: str) -> str:
    """Replacement for an id of more than 64 characters: "id-" and its SHA-256 in base32, 55 characters."""
    return "id-" + base64.b32encode(sha256(long.encode()).digest()).decode().rstrip("=").lower()


def has_long_id(raw: bytes) -> bool:
    """True if a document has an id that R4 does not allow only because of its length."""
    return LONG.search(raw) is not None and shorten_ids(raw) != raw


def shorten_ids(raw: bytes) -> bytes:
    """Document with each id of more than 64 characters, and each reference to it, replaced by its hash. The original id becomes
    an identifier of the resource. Unchanged if there is none, or if it is not JSON."""
    if LONG.search(raw) is None:
        return raw
    try:
        exact = parse(raw.removeprefix(BOM)).exact
    except RecordError:
        return raw
    return write_json(exact) if _shorten(exact) else raw


def _shorten(root: Any) -> bool:
    changed, stack = False, [root]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            own = node.get("id")
            if isinstance(node.get("resourceType"), str) and isinstance(own, str) and LONG_ID.fullmatch(own):
                node["id"], changed = short_id(own), True
                _keep_id(node, own)
            for name in ADDRESSES:
                match = LONG_NAME.fullmatch(node[name]) if isinstance(node.get(name), str) else None
                if match:
                    node[name], changed = match["before"] + short_id(match["id"]) + match["after"], True
            stack += node.values()
    return changed


def _keep_id(resource: dict[str, Any], own: str) -> None:
    """Preserves the original id: as an identifier, or as an extension of meta if the type has no identifiers."""
    kind = r4().types.get(resource["resourceType"])
    element = next((e for e in kind.elements if e.name == "identifier"), None) if kind else None
    if element is not None and element.listed and isinstance(resource.get("identifier", []), list):
        resource["identifier"] = [*resource.get("identifier", []), {"system": SOURCE_ID, "value": own}]
        return
    meta = resource.get("meta", {})
    if isinstance(meta, dict) and isinstance(meta.get("extension", []), list):
        mark = {"url": SOURCE_ID, "valueString": own}
        resource["meta"] = {**meta, "extension": [*meta.get("extension", []), mark]}


def absolute_references(references: Iterable[str], resolved: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """(base, Type/id) of each reference to a resource by its URL on another server. resolved: references that are resolved."""
    matches = (REFERENCE.match(text) for text in references if text not in resolved)
    return tuple((m["base"], f"{m['type']}/{m['id']}") for m in matches if m and m["base"] and m["type"] in r4().resources)
