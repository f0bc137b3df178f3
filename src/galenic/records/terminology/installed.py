"""Codes and units: looked up, compared, loaded, converted."""

from pathlib import Path

from galenic import settings
from galenic.errors import DescriptionError
from galenic.records.terminology.loaders import LOADERS, load
from galenic.records.terminology.tables import Terminology


def terminology(home: Path | None = None) -> Terminology:
    """What is shipped, and what this installation has loaded."""
    return Terminology(settings.load(home).home / "terminology")


def load_terminology(kind: str, place: Path, home: Path | None = None) -> int:
    """Loads a release that the site has; returns how many codes it has."""
    if kind not in LOADERS:
        raise DescriptionError(f"{kind!r} has no loader. Expected one of {', '.join(LOADERS)}.")
    return load(kind, place, settings.load(home).home / "terminology")
