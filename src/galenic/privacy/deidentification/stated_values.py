"""Values about people in the input's records, as terms to search the output for."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from galenic import records
from galenic.errors import RecordError
from galenic.privacy.deidentification.output_text import cells_of
from galenic.privacy.deidentification.planting.columns import form_of_column
from galenic.privacy.deidentification.registry import DEIDENTIFIERS
from galenic.privacy.deidentification.run import MAX_PATIENTS, SEARCHED_KINDS, DeidentificationRun

_NAME_PART = re.compile(r"[^\W\d_]{2,}")
_NUMBER_KINDS = SEARCHED_KINDS - {"name"}
_MISSING_WORDS = frozenset(
    """unknown none missing other refused declined unbekannt keine keiner fehlt inconnu inconnue aucun aucune absent desconocido
    desconocida ninguno ninguna sconosciuto sconosciuta nessuno nessuna desconhecido desconhecida nenhum nenhuma onbekend geen""".split()  # noqa: SIM905
)
_UNCHANGED = ("keep", "surrogate")  # treatments after which another person's value may be in the output
MAX_VALUES = 200_000  # of tables, held in memory while the output is searched
MIN_CELL, MIN_DIGITS = (
    4,
    5,
)  # characters of a whole cell that is searched for, and of one of digits alone: shorter numbers are anywhere


@dataclass
class SearchTerms:
    """numbers: also e-mail addresses, as words. name_pairs: given names next to family names. cells: complete table cells.
    fields: records and columns with identifiers. is_complete: True if all their values are included."""

    numbers: set[str] = field(default_factory=set)
    name_pairs: set[tuple[str, str]] = field(default_factory=set)
    cells: set[str] = field(default_factory=set)
    fields: int = 0
    is_complete: bool = True

    @property
    def count(self) -> int:
        """Number of terms."""
        return len(self.numbers) + len(self.name_pairs) + len(self.cells)

    def add(self, kind: str, value: str) -> None:
        """Add a stated value of a kind."""
        if kind in _NUMBER_KINDS:
            if sum(c.isdigit() for c in value) >= 5:
                self.numbers |= {value.casefold(), alphanumeric(value.casefold())}
            elif "@" in value:
                self.numbers.add(value.casefold())
        elif kind == "name":
            parts = [w.casefold() for w in _NAME_PART.findall(value)]
            self.name_pairs |= {(a, b) for a in parts for b in parts if a != b and len(a) > 2 < len(b)}


def alphanumeric(word: str) -> str:
    """The word without separators."""
    return "".join(c for c in word if c.isalnum())


def terms_of_records(run: DeidentificationRun) -> SearchTerms:
    """Terms of what the run learned from records."""
    terms = SearchTerms(fields=run.stating_records, is_complete=len(run.stated_identifiers) < MAX_PATIENTS)
    for identifiers in run.stated_identifiers.values():
        for kind, values in identifiers.items():
            for value in values:
                terms.add(kind, value)
    return terms


def terms_of_tables(files: list[Path], run: DeidentificationRun) -> SearchTerms:
    """Terms of the columns of tables whose values look like identifiers, by the values and the header alone."""
    terms = SearchTerms()
    for file in files:
        if DEIDENTIFIERS["table"].recognizes(file):
            try:
                _add_table(file, run, terms)
            except RecordError:
                continue  # reported when the file itself is de-identified
    return terms


def _add_table(file: Path, run: DeidentificationRun, terms: SearchTerms) -> None:
    forms: dict[str, str] | None = None
    for _, batch in records.read(file).raw():
        if forms is None:
            forms = _identifier_columns(batch, run)
            terms.fields += len(forms)
        for name, form in forms.items():
            for value in _distinct(batch, name):
                terms.add(form, value)
                if _is_distinctive(value, form) and run.report.policy[form] not in _UNCHANGED:
                    terms.cells.add(value.casefold())
        if terms.count > MAX_VALUES:
            terms.is_complete = False
            return


def _is_distinctive(cell: str, form: str) -> bool:
    """True if a cell states somebody's identifier: not in words that say that it is missing, and long enough to be nowhere by
    chance."""
    if cell.casefold() in _MISSING_WORDS or (form != "name" and not any(c.isdigit() or c == "@" for c in cell)):
        return False
    return len(cell) >= (MIN_DIGITS if cell.isdigit() else MIN_CELL)


def _identifier_columns(batch: pa.Table, run: DeidentificationRun) -> dict[str, str]:
    forms = {}
    for name in batch.column_names:
        values = _distinct(batch.slice(0, 1_000), name)
        form = form_of_column(name, values, min(batch.num_rows, 1_000), run.detector.common)
        if form in ("name", "date", *_NUMBER_KINDS):
            forms[name] = form
    return forms


def _distinct(batch: pa.Table, name: str) -> list[str]:
    return [v.strip() for v in dict.fromkeys(cells_of(batch[name])) if v and any(c.isalnum() for c in v)]
