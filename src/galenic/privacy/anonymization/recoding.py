"""Anonymization of a table while it is read: quasi-identifiers are collected and recoded into groups, and their risk is
measured."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galenic.errors import ConfigurationError
from galenic.privacy.anonymization.hierarchies import quasi_identifier
from galenic.privacy.anonymization.model import PrivacyModel
from galenic.privacy.anonymization.risk import measure_risk
from galenic.privacy.anonymization.tables import (
    AnonymizationMethod,
    AnonymizedTable,
    anonymize,
    is_rare,
    measure_groups,
)

OPTIONS = ("quasi", "sensitive", "k", "l", "t", "method", "suppress", "fraction", "rare", "patient", "hierarchies")
TextBatches = Callable[
    [list[str]], Iterator[Mapping[str, list[str | None]]]
]  # names of columns to their values, batch by batch


@dataclass(frozen=True)
class TableOptions:
    """A policy's [table] section.

    quasi_identifiers: columns to generalize. sensitive: the column for l and t, or "". fraction: share of the population in the
    table. min_rows: categories of other columns shared by fewer rows are left out; 0 for none. patient: the column with the
    patient's id. hierarchies: by column, path of a CSV.
    """

    quasi_identifiers: tuple[str, ...]
    sensitive: str
    model: PrivacyModel
    method: AnonymizationMethod
    fraction: float | None
    min_rows: int
    patient: str | None
    hierarchies: Mapping[str, str]


def read_table_options(policy: str, section: Mapping[str, Any]) -> TableOptions:
    """Options of a policy's [table] section. Raise ConfigurationError for unknown keys."""
    unknown = sorted(set(section) - set(OPTIONS))
    if unknown:
        raise ConfigurationError(
            f"policy {policy!r}: [table] has unknown keys {', '.join(unknown)}. Expected some of {', '.join(OPTIONS)}."
        )
    return TableOptions(
        tuple(section.get("quasi", ())),
        str(section.get("sensitive") or ""),
        PrivacyModel(int(section.get("k", 5)), int(section.get("l", 1)), float(section.get("t", 1.0))),
        AnonymizationMethod(str(section.get("method", "mondrian")), float(section.get("suppress", 0.01))),
        section.get("fraction"),
        int(section.get("rare", 0)),
        section.get("patient"),
        section.get("hierarchies", {}),
    )


@dataclass(frozen=True)
class TableRecoding:
    """Quasi-identifiers of a table. class_sizes: rows per equivalence class before anonymization. anonymized: None if the
    policy names no quasi-identifiers; then the risk is measured and nothing is generalized."""

    options: TableOptions
    names: tuple[str, ...]
    class_sizes: np.ndarray
    anonymized: AnonymizedTable | None
    sensitive: np.ndarray | None

    def labels(self) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
        """By generalized column: (rows,) positions of the label, and the labels' names."""
        if self.anonymized is None:
            return {}
        return {
            name: (positions, names)
            for name, positions, names in zip(
                self.names, self.anonymized.group_labels, self.anonymized.label_names, strict=True
            )
        }

    def risk_json(self, file: str) -> dict[str, Any]:
        """The risk before and after, as JSON for the report."""
        fraction, before = self.options.fraction, measure_risk(self.class_sizes, self.options.fraction)
        risk: dict[str, Any] = {
            "file": file,
            "known to others": list(self.names),
            "fraction of the population": fraction,
            "before": before.as_dict(),
            "after": None,
        }
        if self.anonymized is None:
            return risk
        labels = [label[self.anonymized.released] for label in self.anonymized.group_labels]
        sensitive = None if self.sensitive is None else self.sensitive[self.anonymized.released]
        groups = measure_groups(labels, sensitive)
        model = self.options.model
        return risk | {
            "after": measure_risk(groups.sizes, fraction).as_dict(),
            "method": self.options.method.name,
            "asked": {"k": model.k, "l": model.l, "t": model.t},
            "has": {
                "k": int(groups.sizes.min()) if len(groups.sizes) else 0,
                "l": groups.l or None,
                "t": groups.t if groups.l else None,
            },
            "rows suppressed": self.anonymized.suppressed,
            "information loss (NCP)": self.anonymized.loss,
        }


def recode(kinds: Mapping[str, str], options: TableOptions, batches: TextBatches) -> TableRecoding:
    """Anonymize the columns that the options name, or only measure if they name none.

    kinds: number, date, category, or numeric (numbers unless a value is none), by quasi-identifier.
    """
    names = tuple(kinds)
    columns = collect_codes(list(dict.fromkeys([*names, *([options.sensitive] if options.sensitive else [])])), batches)
    quasi = tuple(
        quasi_identifier(
            n, _kind(kinds[n], columns[n].values), columns[n].values, _read_hierarchy(n, options.hierarchies.get(n))
        )
        for n in names
    )
    codes = np.column_stack([columns[q.name].codes(q.values) for q in quasi])
    class_sizes = np.unique(codes, axis=0, return_counts=True)[1]
    if not options.quasi_identifiers:
        return TableRecoding(options, names, class_sizes, None, None)
    sensitive = None
    if options.sensitive:
        column = columns[options.sensitive]
        sensitive = column.codes(tuple(sorted(column.values)))
    anonymized = anonymize(quasi, codes, options.model, options.method, sensitive)
    return TableRecoding(options, names, class_sizes, anonymized, sensitive)


def rare_values(names: list[str], min_rows: int, batches: TextBatches) -> dict[str, frozenset[str]]:
    """By column: values that fewer than `min_rows` rows share."""
    if min_rows < 2 or not names:
        return {}
    rare = {}
    for name, column in collect_codes(names, batches).items():
        codes = column.codes(tuple(column.values))
        rare[name] = frozenset(column.values[c] for c in np.unique(codes[is_rare(codes, min_rows)])) - {""}
    return rare


class ColumnCodes:
    """One column, dictionary-encoded as it is read."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}
        self._batches: list[np.ndarray] = []

    def add(self, values: list[str | None]) -> None:
        """Add a batch; a missing value is ""."""
        positions = self._positions
        codes = (positions.setdefault(v or "", len(positions)) for v in values)
        self._batches.append(np.fromiter(codes, np.int32, len(values)))

    @property
    def values(self) -> list[str]:
        """Distinct values in order of appearance."""
        return list(self._positions)

    def codes(self, ordered: tuple[str, ...]) -> np.ndarray:
        """(rows,) position of each row's value in `ordered`."""
        position = {v: i for i, v in enumerate(ordered)}
        return np.asarray(np.array([position[v] for v in self._positions], np.int32)[np.concatenate(self._batches)])


def collect_codes(names: list[str], batches: TextBatches) -> dict[str, ColumnCodes]:
    """Read whole columns, dictionary-encoded."""
    columns = {n: ColumnCodes() for n in names}
    for batch in batches(names):
        for name, column in columns.items():
            column.add(batch[name])
    return columns


def _kind(kind: str, values: list[str]) -> str:
    if kind != "numeric":
        return kind
    return "number" if all(_is_number(v) for v in values if v) else "category"


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _read_hierarchy(name: str, path: str | None) -> dict[str, tuple[str, ...]] | None:
    """A site's own hierarchy: a CSV whose first column is the value, and the others its names at each coarser level."""
    if path is None:
        return None
    file = Path(str(path))
    try:
        rows = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError:
        raise ConfigurationError(
            f"the hierarchy of {name!r} cannot be read: {file.name}. Expected a CSV: value, level, level, ..."
        ) from None
    return {row[0].strip(): tuple(v.strip() for v in row[1:]) for row in rows}
