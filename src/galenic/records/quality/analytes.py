"""Units and plausible ranges of analytes, for quality measurement and for clinical models."""

import csv
import re
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TOKEN = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Analyte:
    """One measurement. possible: range of living patients; typical: range of almost all patients; both in `unit`. others: unit
    → (factor, offset): value in `unit` = factor * value + offset."""

    loinc: tuple[str, ...]
    names: tuple[str, ...]
    reads: str
    unit: str
    possible: tuple[float, float]
    typical: tuple[float, float]
    others: dict[str, tuple[float, float]]

    def converted(self, values: Floats, unit: str) -> Floats:
        """Values in `unit`; NaN if the unit does not belong to this measurement."""
        if unit in (self.unit, ""):
            return values
        factor, offset = self.others.get(unit, (np.nan, 0.0))
        found: Floats = values * factor + offset
        return found

    def is_possible(self, values: Floats) -> NDArray[np.bool_]:
        """Mask of the values, in `unit`, that a living patient can have."""
        found: NDArray[np.bool_] = (values >= self.possible[0]) & (values <= self.possible[1])
        return found

    def is_typical(self, values: Floats) -> NDArray[np.bool_]:
        """Mask of the values, in `unit`, in the range of almost all patients."""
        found: NDArray[np.bool_] = (values >= self.typical[0]) & (values <= self.typical[1])
        return found


def _other(text: str) -> tuple[str, tuple[float, float]]:
    unit, _, rest = text.partition("=")
    parts = re.fullmatch(r"([0-9.]+)([+-][0-9.]+)?", rest)
    assert parts, text
    return unit, (float(parts[1]), float(parts[2] or 0))


def _read() -> tuple[Analyte, ...]:
    text = files("galenic.records.quality").joinpath("analytes.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Analyte(
            tuple(r["loinc"].split("|")), tuple(r["names"].split("|")), r["reads"], r["unit"],
            (float(r["possible_low"]), float(r["possible_high"])), (float(r["typical_low"]), float(r["typical_high"])),
            dict(_other(o) for o in r["others"].split("|") if o),
        )
        for r in rows
    )  # fmt: skip


ANALYTES = _read()
_BY_NAME = {name: a for a in ANALYTES for name in a.names}
_BY_LOINC = {code: a for a in ANALYTES for code in a.loinc}


def analyte_of(name: str) -> Analyte | None:
    """Measurement of a column or a code (LOINC//2160-0); None if it is unknown."""
    if name.startswith("LOINC//"):
        return _BY_LOINC.get(name.removeprefix("LOINC//"))
    plain = TOKEN.sub("_", name.lower()).strip("_")
    if plain in _BY_NAME:
        return _BY_NAME[plain]
    shorter = re.sub(r"_(mean|min|max|first|last|value|result|lab|mgdl|mg_dl|mmol_l|kg|cm|c|f|mmhg|bpm|\d+)$", "", plain)
    return _BY_NAME.get(shorter)
