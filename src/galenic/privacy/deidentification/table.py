"""De-identification of tables (CSV, Parquet, Arrow): each column by its description, then anonymization of quasi-identifiers."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from galenic import records
from galenic.errors import OptionError, RecordError, UnknownNameError
from galenic.privacy.anonymization import TableOptions, TableRecoding, rare_values, read_table_options, recode
from galenic.privacy.deidentification.rules.columns import ColumnRules, is_demographic
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.deidentification.table_files import EXTENSIONS, SPREADSHEETS, TableWriter, anonymization_kind, as_text
from galenic.privacy.text import Replacer, StatedIdentifiers
from galenic.records import Source

MAX_REPLACERS = 20_000  # patients with replacers in memory


class TableDeidentifier:
    """One table per file."""

    def recognizes(self, path: Path) -> bool:
        """By the file name; spreadsheets too, to explain why they are refused."""
        return path.suffix.lower() in (*EXTENSIONS, *SPREADSHEETS)

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Nothing: identifiers in other columns are searched for row by row."""

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write one table: identifiers removed, texts searched, rows grouped as the policy's [table] section says."""
        if file.suffix.lower() in SPREADSHEETS:
            raise RecordError(
                "is a spreadsheet: its formulas, comments and hidden sheets cannot be searched. Export each sheet as CSV."
            )
        source = records.read(file)
        table = _Table(source, run)
        with TableWriter(out, source) as target:
            for batch in table.batches():
                target.write(batch)
        table.add_risk(out.name)


class _Table:
    """One table: the treatment of each column, and what is counted while rows are written."""

    def __init__(self, source: Source, run: DeidentificationRun) -> None:
        self.source, self.run = source, run
        self.options: TableOptions = read_table_options(run.report.policy.name, run.report.policy.table)
        self.rows_written = 0
        self._refuse_identifiers_in_header()
        self.columns = {c.name: c for c in records.describe(source, self.options.patient)}
        self.patient = next((c.name for c in self.columns.values() if c.role == "patient"), None)
        report = run.report
        self.rules = ColumnRules(run.detector, report.policy.treat, run.key, report.findings, report.omissions)
        self.treatments = {n: t for n, c in self.columns.items() if (t := self.rules.treatment(c)) is not None}
        report.omissions.update(f"column {n}" for n in self.columns if n not in self.treatments)
        self.replacers: dict[str, Replacer] = {}
        self.recoding = self._recode()
        self.labels = {} if self.recoding is None else self.recoding.labels()
        self.rare = self._rare_values()
        self.replacers.clear()  # their counts are from reading the table for the first time

    def _refuse_identifiers_in_header(self) -> None:
        """A transposed table has patients in its header."""
        for number, name in enumerate(self.source.names):
            spans = self.run.detector.find(f"Seen: {name}.")
            identifiers = [s for s in spans if s.layer == "rule" and s.kind not in ("date", "age", "place")]
            if identifiers:
                raise RecordError(
                    f"has an identifier ({identifiers[0].kind}) in its header, column {number + 1}. Transpose the table, or "
                    "rename the column."
                )

    # quasi-identifiers

    def _recode(self) -> TableRecoding | None:
        """The anonymized quasi-identifiers; None if the table has no column that others are known to know."""
        names = list(self.options.quasi_identifiers)
        sensitive = [self.options.sensitive] if self.options.sensitive else []
        absent = [n for n in (*names, *sensitive) if n not in self.source.names]
        if absent:
            raise UnknownNameError(
                f"the table has no column {', '.join(absent)}, which the policy or --quasi names. It has {', '.join(self.source.names)}."
            )
        removed = [n for n in names if n not in self.treatments]
        if removed:
            raise OptionError(
                f"columns {', '.join(removed)} are left out by the policy, so nobody can know them from the output. Remove them "
                "from --quasi."
            )
        names = names or [n for n, c in self.columns.items() if is_demographic(c) and n in self.treatments]
        if not names:
            return None
        kinds = {n: anonymization_kind(self.columns[n]) for n in names}
        return recode(kinds, self.options, lambda wanted: self._text_batches(wanted, names))

    def _rare_values(self) -> dict[str, frozenset[str]]:
        """By categorical column: values that too few rows share; quasi-identifiers have k instead."""
        names = [n for n, t in self.treatments.items() if t == self.rules.values and n not in self.labels]
        quasi = list(self.recoding.names) if self.recoding else []
        return rare_values(names, self.options.min_rows, lambda wanted: self._text_batches(wanted, quasi))

    def _text_batches(self, names: list[str], quasi: list[str]) -> Iterator[dict[str, list[str | None]]]:
        """Values as text: ISO dates, numbers as numbers, missing as None; quasi-identifiers as they would be written without groups."""
        uncounted = ColumnRules(self.run.detector, self.run.report.policy.treat, self.run.key)
        treatments = {n: t for n in quasi if (t := uncounted.treatment(self.columns[n])) is not None}
        first_row = 0
        for _, batch in self.source.raw(list(dict.fromkeys([*names, *([self.patient] if self.patient else [])]))):
            values = {n: as_text(batch[n], self.columns[n]) for n in names}
            replacers = self._replacers_of(batch, first_row)
            nothing: list[StatedIdentifiers | None] = [None] * batch.num_rows
            yield {n: treatments[n](v, replacers, nothing) if n in treatments else v for n, v in values.items()}
            first_row += batch.num_rows

    # rows

    def batches(self) -> Iterator[pa.Table]:
        """The output, batch by batch."""
        first_row = 0
        shown = [n for n in self.source.names if n in self.treatments or n in self.labels]
        searched = {n: kind for n, c in self.columns.items() if (kind := self.rules.searched_kind(c))}
        has_text = any(c.kind == "text" for c in self.columns.values())
        released = self.recoding.anonymized.released if self.recoding and self.recoding.anonymized else None
        for _, batch in self.source.raw():
            end = first_row + batch.num_rows
            replacers = self._replacers_of(batch, first_row)
            stated = self._stated_by_rows(batch, searched if has_text else {})
            columns = {}
            for name in shown:
                if name in self.labels:
                    positions, names = self.labels[name]
                    columns[name] = pa.array(names, pa.string()).take(pa.array(positions[first_row:end]))
                else:
                    columns[name] = self._column(name, batch[name], replacers, stated)
            table = pa.table(columns)
            table = table if released is None else table.filter(pa.array(released[first_row:end]))
            first_row = end
            self.rows_written += table.num_rows
            yield table
        self._count_replacers()

    def _column(
        self, name: str, old: pa.ChunkedArray, replacers: list[Replacer], stated: list[StatedIdentifiers | None]
    ) -> pa.Array | pa.ChunkedArray:
        values = as_text(old, self.columns[name])
        new = self.treatments[name](values, replacers, stated)
        rare = self.rare.get(name)
        if rare:
            new = [None if v in rare else n for v, n in zip(values, new, strict=True)]
            self.run.report.omissions[f"column {name}: values of too few rows"] += sum(v in rare for v in values)
        return self._typed(name, old, new)

    def _typed(self, name: str, old: pa.ChunkedArray, new: list[str | None]) -> pa.Array | pa.ChunkedArray:
        """The new values in the column's type, where they are numbers or dates still; else text."""
        treatment, kind = self.treatments[name], old.type
        if pa.types.is_primitive(kind) and not pa.types.is_temporal(kind):
            if treatment in (self.rules.values, self.rules.numbers):
                return old
            return pa.array(new, pa.string()).cast(kind) if treatment == self.rules.ages else pa.array(new, pa.string())
        if pa.types.is_temporal(kind) and self.run.report.policy["date"] in ("keep", "surrogate"):
            return pa.array(new, pa.string()).cast(pa.timestamp("us")).cast(kind)
        return pa.array(new, pa.string())

    def _replacers_of(self, batch: pa.Table, first_row: int) -> list[Replacer]:
        """The replacer of each row's patient; without a patient column, one per row."""
        if self.patient is None:
            patients: list[str | None] = [f"row {first_row + i}" for i in range(batch.num_rows)]
        else:
            patients = as_text(batch[self.patient], self.columns[self.patient])
        replacers = []
        for patient in patients:
            name = patient or ""
            replacer = self.replacers.get(name)
            if replacer is None:
                if len(self.replacers) > MAX_REPLACERS:
                    self._count_replacers()
                    self.replacers.clear()
                replacer = self.replacers[name] = self.run.replacer(name)
            replacers.append(replacer)
        return replacers

    def _count_replacers(self) -> None:
        for replacer in self.replacers.values():
            self.run.report.count(replacer)

    def _stated_by_rows(self, batch: pa.Table, searched: dict[str, str]) -> list[StatedIdentifiers | None]:
        """Identifiers in the other columns of each row, to search its texts for."""
        values = {name: pc.cast(batch[name], pa.string()).to_pylist() for name in searched}
        out: list[StatedIdentifiers | None] = []
        for i in range(batch.num_rows):
            stated: dict[str, tuple[str, ...]] = {}
            for name, kind in searched.items():
                if values[name][i]:
                    stated[kind] = (*stated.get(kind, ()), str(values[name][i]))
            out.append(StatedIdentifiers(stated, self.run.detector.common) if stated else None)
        return out

    def add_risk(self, file: str) -> None:
        """Add the re-identification risk of the output to the report."""
        report = self.run.report
        report.resources["tables"] += 1
        report.resources["rows"] += self.rows_written
        if self.recoding is None:
            report.remarks.append((file, "has no column that others are known to know: no re-identification risk was measured"))
        else:
            report.risks.append(self.recoding.risk_json(file))
