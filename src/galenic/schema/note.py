"""Text about a patient, and places in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class TextSpan:
    """Signs [start, end) of a text that identify somebody. kind: of galenic.privacy.text's kinds; layer: what found it; score:
    how sure a learned tagger was, 1 for the rest."""

    start: int
    end: int
    kind: str
    layer: str
    score: float = 1.0
