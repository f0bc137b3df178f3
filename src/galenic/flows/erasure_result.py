"""Result of an erasure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ErasureResult:
    """Receipt of an erasure. facts: its text; envelope: the same, signed; salt: with the patient's identifier, proves whom it names."""

    name: str
    facts: dict[str, Any]
    envelope: str
    salt: str
