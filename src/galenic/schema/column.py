"""Description of one column of a patient table, with the origin of its kind, bounds and categories."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, get_args

from galenic.errors import DescriptionError

Kind = Literal["numeric", "integer", "category", "ordinal", "date", "identifier", "text", "unknown"]
Origin = Literal["declared", "dictionary", "paid", "observed"]
Strays = Literal["refuse", "missing"]
Role = Literal["value", "patient", "drop"]

KINDS: tuple[str, ...] = get_args(Kind)
ORIGINS: tuple[str, ...] = get_args(Origin)
ROLES: tuple[str, ...] = get_args(Role)
BINNED = ("numeric", "integer", "date")
MISSING_TOKENS = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none", ".")
OTHER = "OTHER"


@dataclass(frozen=True)
class Column:
    """One column: its kind, unit, bounds, categories and missingness, and where each was learned.

    kind_origin: origin of the kind, and of format, step, missing and role with it.
    low, high: smallest and largest value, in `unit` (days since 1970-01-01 for dates, days after `anchor` when set).
    edges: bin edges, ascending, length bins + 1; a bin holds [edge, next edge), the last one is closed.
    categories: values in level order; `other` adds one level for every value that is not listed.
    step: spacing of the lattice that values lie on (1 for integers; 0.1 for one decimal).
    heaps: values that many rows share exactly (0 cost, 120 mm[Hg]); a bin that holds one stands for that value alone.
    hierarchy: of codes whose beginning is their parent (ICD, ATC): lengths of the beginnings, longest first, such as (3, 1); a code
    that is not listed is told as its nearest listed parent.
    strays: what becomes of a value that does not fit: refused with its row, or (in a private fit, where no single row may decide
    that the fit stops) missing; OTHER in a column without missing values, and the first level in one without OTHER.
    """

    name: str
    kind: Kind = "unknown"
    unit: str = ""
    role: Role = "value"
    missing: bool = True
    missing_tokens: tuple[str, ...] = MISSING_TOKENS
    low: float | None = None
    high: float | None = None
    bounds_origin: Origin = "declared"
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    categories_origin: Origin = "declared"
    other: bool = False
    step: float | None = None
    heaps: tuple[float, ...] = ()
    format: str = ""
    anchor: str = ""
    hierarchy: tuple[int, ...] = ()
    strays: Strays = "refuse"
    kind_origin: Origin = "declared"

    def __post_init__(self) -> None:
        where = f"column {self.name!r}"
        for what, value, allowed in (
            ("kind", self.kind, KINDS),
            ("role", self.role, ROLES),
            ("strays", self.strays, get_args(Strays)),
            ("kind_origin", self.kind_origin, ORIGINS),
            ("bounds_origin", self.bounds_origin, ORIGINS),
            ("categories_origin", self.categories_origin, ORIGINS),
        ):
            if value not in allowed:
                raise DescriptionError(f"{where}: {what} is unknown. Expected one of {', '.join(allowed)}. Correct it.")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise DescriptionError(f"{where}: low is above high, or not a number. Correct the bounds.")
        if any(not a < b for a, b in zip(self.edges, self.edges[1:], strict=False)) or len(self.edges) == 1:
            raise DescriptionError(f"{where}: edges must be two or more ascending numbers. Sort them, and remove duplicates.")
        if len(set(self.categories)) != len(self.categories):
            raise DescriptionError(f"{where}: a category is listed twice. List each once.")
        if any(n < 1 for n in self.hierarchy) or any(a <= b for a, b in pairwise(self.hierarchy)):
            raise DescriptionError(
                f"{where}: hierarchy must list lengths of prefixes, longest first, such as [3, 1]. Correct it."
            )
        if self.hierarchy and self.kind not in ("category", "unknown"):
            raise DescriptionError(f'{where}: only codes can have a hierarchy. Set kind = "category".')
        if self.step is not None and not self.step > 0:
            raise DescriptionError(f"{where}: step must be above 0. Leave it out if values are not multiples of a step.")

    @property
    def binned(self) -> bool:
        """True if levels are bins of numbers (numeric, integer, date)."""
        return self.kind in BINNED

    @property
    def levels(self) -> int:
        """Number of levels of the coded column, including the missing level and OTHER."""
        base = max(len(self.edges) - 1, 0) if self.binned else len(self.categories) + int(self.other)
        return base + int(self.missing)

    @property
    def coded(self) -> bool:
        """True if the column has everything needed to turn values into levels."""
        return bool(self.edges) if self.binned else bool(self.categories) or self.other

    def but(self, **changes: Any) -> "Column":
        """Copy of the column with changed fields, checked again."""
        return replace(self, **changes)
