"""The confidentiality profile of DICOM PS3.15, Annex E: the action for each attribute, by the chosen options."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from galenic.errors import ConfigurationError
from galenic.privacy.deidentification.rules.pixels import PixelMask

# code, meaning (PS3.16, CID 7050) by option; written to 0012,0064
METHODS = {
    "": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "graphics": ("113103", "Clean Graphics Option"),
    "structured": ("113104", "Clean Structured Content Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "full-dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modified-dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "uids": ("113110", "Retain UIDs Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}
OPTIONS = tuple(o for o in METHODS if o not in ("", "pixels", "graphics"))


@dataclass(frozen=True)
class ProfileOptions:
    """A policy's [dicom] section.

    options: options of PS3.15. masks: known regions with text in the pixels. strict: True if an object is treated as having
    text in its pixels unless it states otherwise.
    """

    options: frozenset[str] = frozenset()
    masks: tuple[PixelMask, ...] = ()
    strict: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(self.options - set(OPTIONS))
        if unknown:
            raise ConfigurationError(
                f"{', '.join(unknown)} is not a supported PS3.15 option. Expected some of {', '.join(OPTIONS)}."
            )


@dataclass(frozen=True)
class ProfileRow:
    """A row of Table E.1-1. basic: the profile's action. options: the action of an option in its place."""

    basic: str
    options: dict[str, str]


@cache
def profile_table() -> dict[str, ProfileRow]:
    """Table E.1-1 by tag as eight hexadecimal digits; XX for repeating groups."""
    text = files("galenic.privacy.deidentification.rules").joinpath("dicom.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and line[0] in "0123456789ABCDEF"]
    return {tag: ProfileRow(basic, dict(o.split("=") for o in options.split())) for tag, _, basic, options, _ in rows}


@cache
def profile_action(tag: int, options: frozenset[str]) -> str:
    """The table's action for an attribute: an option's action if it has one; "" if the table does not list the attribute."""
    row = profile_table().get(f"{tag:08X}")
    if row is None:
        return ""
    actions = [row.options[o] for o in OPTIONS if o in options and o in row.options]
    return "K" if "K" in actions else actions[0] if actions else row.basic
