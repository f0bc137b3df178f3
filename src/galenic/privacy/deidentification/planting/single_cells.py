"""Identifiers planted into tables without any: as single cells of written columns, and as additional columns."""

from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from galenic.privacy.deidentification.column_roles import ColumnRole
from galenic.privacy.deidentification.planting.bare_values import bare_plant
from galenic.privacy.deidentification.planting.copies import Planting
from galenic.privacy.deidentification.planting.identifiers import TRIES, IdentifierMaker, Plant
from galenic.privacy.deidentification.rules.column_headers import header_kinds
from galenic.privacy.deidentification.rules.number_limits import OLDEST_PERSON
from galenic.records import Source

MOST_CELLS = 24  # of one column of one copy
SHARE = 0.25  # of the rows of a copy, in each column
# headers of added columns and the kinds they hold; the last ones say nothing about their values
ADDED = {
    "patient_name": "name",
    "date_of_birth": "date",
    "mrn": "record",
    "telephone": "phone",
    "e_mail": "email",
    "home_address": "place",
    "ssn": "ssn",
    "var_x1": "name",
    "var_x2": "date",
    "var_x3": "phone",
}
_NUMBERS = ("bare phone", "bare ssn")  # numbers longer than measurements are
_CELLS = ("name", "date", "phone", "ssn", "common name", "email", "record", "street", *_NUMBERS)
_AGE = "age"
LEAST_BEYOND = 8  # different numbers just above the oldest person's age, as weights have, from which no ages are planted
_CODES = ("name", "date", "phone", "ssn", "common name", "email", "street", "bare phone")  # of other forms than codes have
ROLES = ("category", "code", "number", "age", "year")


@dataclass
class CellPlanter:
    """Planter of cells in columns whose values are not identifiers. types: of the columns; roles: their roles in the whole
    file; may_hold_ages: columns that also get ages above 89."""

    types: dict[str, pa.DataType]
    roles: dict[str, ColumnRole]
    planting: Planting
    turns: dict[str, int] = field(default_factory=dict)
    may_hold_ages: frozenset[str] = frozenset()

    def fits(self, name: str) -> bool:
        """True if the column's role and type allow an identifier."""
        role, kind = self.roles[name], self.types[name]
        if role.declared or role.kind not in ROLES or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
            return False
        return is_text(kind) or any(holds(kind, number) for number in ("201555010", "2015550100"))

    def cells(self, name: str, old: list[str | None], plants: list[Plant]) -> list[str | None]:
        """The column with identifiers in some of its cells."""
        stratum, rng = f"column {name}, single cells", self.planting.maker.rng
        if self.planting.is_enough(stratum):
            return old
        new = list(old)
        for row in rng.permutation(len(old))[: min(MOST_CELLS, max(1, round(SHARE * len(old))))]:
            plant = self._plant(stratum, name)
            if plant is not None:
                new[row] = plant.value
                plants.append(plant)
        return new

    def _plant(self, stratum: str, name: str) -> Plant | None:
        """The next identifier of a kind that the column's type can hold and the policy does not keep."""
        kinds: tuple[str, ...] = _CODES if self.roles[name].kind == "code" else _CELLS
        kinds = kinds if is_text(self.types[name]) else _NUMBERS
        kinds = (*kinds, _AGE) if name in self.may_hold_ages else kinds
        for _ in range(TRIES):
            turn = self.turns[name] = self.turns.get(name, -1) + 1
            plant = planted_value(self.planting.maker, stratum, kinds[turn % len(kinds)], self.planting.kept)
            if plant is not None and (is_text(self.types[name]) or holds(self.types[name], plant.value)):
                return replace(plant, is_local=True)
        return None


def planted_value(maker: IdentifierMaker, stratum: str, what: str, kept: frozenset[str]) -> Plant | None:
    """One identifier; None if the policy keeps its kind."""
    kind = {"street": "place", "common name": "name"}.get(what, what.removeprefix("bare "))
    if kind in kept:
        return None
    if what == _AGE:
        return Plant(stratum, kind, maker.value(kind, "95")[0])
    if what in ("common name", "street"):
        return bare_plant(maker, stratum, {"street": 4, "common name": 6}[what], kept)
    if what.startswith("bare "):
        digits = "".join(c for c in maker.value(kind)[0].removeprefix("+1 ") if c.isdigit())
        return Plant(stratum, kind, digits)
    value, day = maker.value(kind, "Two Words" if kind == "name" else "")
    return Plant(stratum, kind, value, day)


def added_columns(rows: int, taken: set[str], planting: Planting, plants: list[Plant]) -> dict[str, list[str | None]]:
    """Columns of identifiers under headers that the table does not have."""
    columns: dict[str, list[str | None]] = {}
    for header, kind in ADDED.items():
        name = next(n for n in (header, *(f"{header}_{i}" for i in range(2, 1_000))) if n not in taken)
        stratum = f"column {name}, added"
        if kind in planting.kept or planting.is_enough(stratum):
            continue
        found = [planted_value(planting.maker, stratum, kind, planting.kept) for _ in range(rows)]
        plants += [p for p in found if p is not None]
        columns[name] = [None if p is None else p.value for p in found]
    return columns


def is_text(kind: pa.DataType) -> bool:
    """True if a column of the type holds any text."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def holds(kind: pa.DataType, number: str) -> bool:
    """True if a column of numbers can hold a whole number, and writes all its digits."""
    try:
        written = pc.cast(pc.cast(pa.array([number], pa.string()), kind), pa.string())[0].as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return number in str(written)


def columns_for_ages(source: Source, roles: dict[str, ColumnRole]) -> frozenset[str]:
    """Columns of numbers that could contain ages: the header names no measure, and the numbers do not go on above the age of
    the oldest person, as weights do. Reads these columns once."""
    names = [n for n, role in roles.items() if role.kind == "number" and not role.declared and not _is_measure(n)]
    beyond: dict[str, set[int]] = {n: set() for n in names}
    for _, batch in source.raw(names) if names else ():
        for name in names:
            numbers = (_number(str(v)) for v in pc.unique(batch[name]).to_pylist())
            beyond[name].update(int(n) for n in numbers if OLDEST_PERSON + 1 <= n <= OLDEST_PERSON + 50)
    return frozenset(n for n in names if len(beyond[n]) < LEAST_BEYOND)


def _is_measure(header: str) -> bool:
    return "measure" in header_kinds(header).values


def _number(value: str) -> float:
    try:
        return float(value.replace(",", "."))
    except ValueError:
        return 0.0
