"""Identifying spans in a text about a patient."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class TextSpan:
    """Characters [start, end) of a text that identify a person. kind: as in galenic.privacy.text; layer: the detector; score:
    confidence of a learned tagger, 1 for the other layers."""

    start: int
    end: int
    kind: str
    layer: str
    score: float = 1.0
