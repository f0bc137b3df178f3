"""Planted copies of tables: the values of columns that look like identifiers are replaced by others of the same form."""

import csv
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from galenic import records
from galenic.errors import RecordError
from galenic.privacy.deidentification.output_text import cells_of
from galenic.privacy.deidentification.planting.columns import form_of_column
from galenic.privacy.deidentification.planting.copies import TEXT_LIMIT, PlantedCopy, Planting
from galenic.privacy.deidentification.planting.dates import format_of
from galenic.privacy.deidentification.planting.identifiers import TRIES, Plant
from galenic.privacy.deidentification.planting.single_cells import CellPlanter, added_columns, columns_for_ages
from galenic.privacy.deidentification.table_layout import TableLayout, layout_of

MOST_PLANTS = 60  # in one column of one copy
FEW = 10  # distinct values of a column that are all changed
BLOCK_ROWS, BLOCKS = 100, 2  # rows of the sample: blocks of neighboring rows, so that patients keep their repeated rows
SHARE = 0.5  # of the distinct values of a column, and of its texts, that a copy changes
Cells = list[str | None]


class TablePlanter:
    """Planter that changes values consistently: the numbers of distinct and repeated values stay the same, so that no column is
    described differently."""

    most_copies = 80

    def copies(self, file: Path, folder: Path, planting: Planting) -> Iterator[PlantedCopy]:
        """Copies of a sample of the rows."""
        sample = _sample(file, planting)
        if sample is None:
            return
        layout = layout_of(records.read(file), planting.run)
        forms = {**_forms(sample, planting), **{n: "text" for n, role in layout.roles.items() if role.kind == "text"}}
        kept = [n for n in layout.written if n in sample.column_names and n not in forms]
        for_ages = columns_for_ages(records.read(file), {n: layout.roles[n] for n in kept})
        table = _SampledTable(sample, forms, planting, layout, kept, for_ages)
        while True:
            yield table.planted(folder / file.name)

    def parts(self, output: Path) -> frozenset[str] | None:
        """Columns of the output, which may have no value left."""
        try:
            return frozenset(records.read(output).names)
        except RecordError:
            with output.open(encoding="utf-8", newline="") as file:
                return frozenset(next(csv.reader(file, delimiter="\t" if output.suffix == ".tsv" else ","), []))

    def part_of(self, stratum: str) -> str:
        """The column of a stratum."""
        return stratum.removeprefix("column ").rpartition(", ")[0]


def _sample(file: Path, planting: Planting) -> pa.Table | None:
    """Random blocks of rows, or all of a short table; one pass."""
    rng, chosen = planting.maker.rng, list[tuple[float, int, pa.Table]]()
    for offset, batch in records.read(file).raw():
        for start in range(0, batch.num_rows, BLOCK_ROWS):
            chosen.append((rng.random(), offset + start, batch.slice(start, BLOCK_ROWS)))
        chosen = sorted(chosen, key=lambda block: block[0])[:BLOCKS]
    return pa.concat_tables(block for _, _, block in sorted(chosen, key=lambda block: block[1])) if chosen else None


def _forms(sample: pa.Table, planting: Planting) -> dict[str, str]:
    """Kind of identifier, or "text", by column; without kinds that the policy keeps."""
    forms = {}
    for name in sample.column_names:
        values = [v for v in cells_of(sample[name]) if v and v.strip()]
        form = form_of_column(name, dict.fromkeys(values), len(values), planting.run.detector.common)
        if form and form not in planting.kept:
            forms[name] = form
    return forms


@dataclass
class _SampledTable:
    sample: pa.Table
    forms: dict[str, str]
    planting: Planting
    layout: TableLayout
    kept: list[str]
    for_ages: frozenset[str]

    def __post_init__(self) -> None:
        types = {field.name: field.type for field in self.sample.schema}
        self.cell_planter = CellPlanter(types, self.layout.roles, self.planting, may_hold_ages=self.for_ages)
        self.kept = [n for n in self.kept if self.cell_planter.fits(n)]
        self.cells = {name: cells_of(self.sample[name]) for name in self.sample.column_names}
        self.before = "\n".join(v for cells in self.cells.values() for v in cells if v)
        self.formats = {n: format_of([v for v in self.cells[n] if v]) for n, form in self.forms.items() if form == "date"}

    def planted(self, target: Path) -> PlantedCopy:
        """One copy with new identifiers. Texts are left out after enough was planted in them, because they are expensive."""
        plants: list[Plant] = []
        mappings = {n: self._mapping(n, form, plants) for n, form in self.forms.items() if form != "text"}
        columns = dict(self.cells)
        for name, mapping in mappings.items():
            columns[name] = [v if v is None else mapping.get(v, v) for v in self.cells[name]]
        for name in (n for n, form in self.forms.items() if form == "text"):
            if self.planting.is_enough(stratum_of(name, "text")):
                if name != self.layout.patient:
                    del columns[name]
            else:
                columns[name] = self._texts(name, mappings, plants)
        for name in self.kept:
            columns[name] = self.cell_planter.cells(name, self.cells[name], plants)
        added = added_columns(self.sample.num_rows, set(self.sample.column_names), self.planting, plants)
        _write(self.sample.select(list(columns)), columns, {*self.forms, *self.kept}, added, target)
        strata = [stratum_of(n, self.forms[n]) for n in columns if n in self.forms]
        strata += [stratum_of(n, "single cells") for n in self.kept]
        wanted = frozenset(s for s in strata if not self.planting.is_enough(s))
        return PlantedCopy(target, plants, self.before, frozenset(columns), wanted, self.layout, self._texts_of_columns)

    def _texts_of_columns(self, file: Path) -> dict[str, str]:
        """Text of each column of a copy or of its output."""
        original = {self.layout.shown(n): n for n in self.layout.roles}
        try:
            table = pa.concat_tables(batch for _, batch in records.read(file).raw())
        except RecordError:  # every cell was left out, of the only column
            return {}
        return {original.get(n, n): "\n".join(v for v in cells_of(table[n]) if v) for n in table.column_names}

    def _mapping(self, name: str, form: str, plants: list[Plant]) -> dict[str, str]:
        """New values by old value."""
        stratum, rng = stratum_of(name, form), self.planting.maker.rng
        if self.planting.is_enough(stratum):
            return {}
        distinct = list(dict.fromkeys(v for v in self.cells[name] if v and any(c.isalnum() for c in v)))
        count = len(distinct) if len(distinct) <= FEW else min(round(SHARE * len(distinct)), MOST_PLANTS)
        mapping: dict[str, str] = {}
        taken = set(distinct)
        for at in rng.permutation(len(distinct))[:count]:
            found = self._value_like(name, form, distinct[at], taken)
            if found is None:
                continue
            new, day = found
            mapping[distinct[at]] = new
            taken.add(new)
            plants.append(Plant(stratum, form, new, day, is_local=form == "age"))
        return mapping

    def _value_like(self, name: str, form: str, old: str, taken: set[str]) -> tuple[str, datetime.date | None] | None:
        """(new value, day of a date) of a kind that the column's type can hold; None if none is found."""
        maker, kind = self.planting.maker, self.sample[name].type
        for _ in range(TRIES):
            if form == "date":
                found: tuple[str, datetime.date | None] | None = maker.date_in(old, self.formats[name] or format_of([old]))
            else:
                found = maker.value(form, old)
            if found is not None and found[0] not in taken and _fits(found[0], kind):
                return found
            if form in ("record", "phone", "ssn") and old.isdigit():  # a number of as many digits that the type can hold
                least, most = 10 ** (len(old) - 1), 10 ** len(old) - 1
                number = str(maker.rng.integers(least, max(least + 1, min(most, int(old) * 2, 2**62))))
                if number not in taken and _fits(number, kind):
                    return number, None
        return None

    def _texts(self, name: str, mappings: dict[str, dict[str, str]], plants: list[Plant]) -> Cells:
        """Texts in which new values of the row stand for old ones, and half of which have another identifier."""
        texts, rng = self.planting.texts, self.planting.maker.rng
        out: Cells = []
        for row, text in enumerate(self.cells[name]):
            if text is None:
                out.append(None)
                continue
            changed = text[:TEXT_LIMIT]
            for column, mapping in mappings.items():
                old = self.cells[column][row]
                if old is not None and len(old) >= 4 and old in mapping:
                    changed = changed.replace(old, mapping[old])
            if rng.random() < SHARE:
                changed, more = texts.plant(changed, stratum_of(name, "text"), 1)
                plants += more
            out.append(changed)
        return out


def stratum_of(column: str, form: str) -> str:
    """Name of a column's stratum."""
    return f"column {column}, {form}"


def _write(sample: pa.Table, columns: dict[str, Cells], changed: set[str], added: dict[str, Cells], target: Path) -> None:
    arrays = []
    for name in sample.column_names:
        old = sample[name]
        arrays.append(_typed(columns[name], old) if name in changed else old)
    arrays += [pa.array(cells, pa.string()) for cells in added.values()]
    table = pa.table(arrays, names=[*sample.column_names, *added])
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = target.suffix.lower()
    if kind in (".parquet", ".pq"):
        pq.write_table(table, target)
    elif kind in (".arrow", ".feather"):
        with pa.ipc.new_file(str(target), table.schema) as writer:
            writer.write_table(table)
    else:
        options = pacsv.WriteOptions(delimiter="\t" if kind == ".tsv" else ",")
        pacsv.write_csv(table, target, options)


def _typed(cells: Cells, old: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The cells in the column's type; the old column where it holds values that cannot be written as text and read again."""
    text = pa.array(cells, pa.string())
    try:
        if pa.types.is_dictionary(old.type):
            return text.dictionary_encode()
        return pc.cast(text, old.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return old


def _fits(value: str, kind: pa.DataType) -> bool:
    """True if a column of the type can hold the value, and writes it as it is."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    try:
        written = pc.cast(pa.array([value], pa.string()), kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return not pa.types.is_integer(kind) or str(written[0].as_py()) == value
