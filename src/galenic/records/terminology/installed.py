"""Terminologies of an installation."""

from pathlib import Path

from galenic import settings
from galenic.errors import OptionError
from galenic.records.terminology.loaders import LOADERS, load
from galenic.records.terminology.tables import Terminology


def terminology(home: Path | None = None) -> Terminology:
    """The shipped terminologies and those that an installation has loaded."""
    return Terminology(settings.load(home).home / "terminology")


def load_terminology(kind: str, place: Path, home: Path | None = None) -> int:
    """Loads a release of a terminology. Returns the number of codes."""
    if kind not in LOADERS:
        raise OptionError(f"{kind!r} has no loader. Expected one of {', '.join(LOADERS)}.")
    return load(kind, place, settings.load(home).home / "terminology")
