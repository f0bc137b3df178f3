"""Outcome of erasing one patient for one artifact that holds the patient's data."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ErasureOutcome:
    """One line of an erasure receipt. id and kind: of the artifact; place: inside or outside the installation; fate: text."""

    id: str
    kind: str
    place: str
    fate: str


@dataclass(frozen=True)
class ErasureResult:
    """Receipt of an erasure. facts: its text; envelope: the same, signed; salt: with the patient's identifier, proves whom it names."""

    name: str
    facts: dict[str, Any]
    envelope: str
    salt: str
