"""Outcome of erasing one patient for one artifact that holds the patient's data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ErasureOutcome:
    """One line of an erasure receipt. id and kind: of the artifact; place: inside or outside the installation; fate: text."""

    id: str
    kind: str
    place: str
    fate: str
