"""De-identification of tables (CSV, Parquet, Arrow): each column by its role, then anonymization of quasi-identifiers."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from galenic import records
from galenic.errors import OptionError, RecordError, UnknownNameError
from galenic.privacy.anonymization import TableOptions, TableRecoding, rare_values, recode
from galenic.privacy.deidentification.column_profile import cell_text
from galenic.privacy.deidentification.rules.columns import ColumnRules
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.deidentification.table_files import EXTENSIONS, SPREADSHEETS, TableWriter
from galenic.privacy.deidentification.table_layout import TableLayout, layout_of, table_settings
from galenic.privacy.text import Replacer, StatedIdentifiers, check_time
from galenic.records import Source

MAX_REPLACERS = 20_000  # patients with replacers in memory


class TableDeidentifier:
    """One table per file."""

    def recognizes(self, path: Path) -> bool:
        """By the file name; spreadsheets too, to explain why they are refused."""
        return path.suffix.lower() in (*EXTENSIONS, *SPREADSHEETS)

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Does nothing: identifiers in other columns are searched for row by row."""

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write one table: identifiers removed, texts searched, rows grouped according to the policy's [table] section."""
        if file.suffix.lower() in SPREADSHEETS:
            raise RecordError(
                "is a spreadsheet: its formulas, comments and hidden sheets cannot be searched. Export each sheet as CSV."
            )
        try:
            source = records.read(file)
            table = _Table(source, run)
            with TableWriter(out, source) as target:
                for batch in table.batches():
                    target.write(batch)
        except (pa.ArrowException, UnicodeError) as error:
            raise RecordError(
                f"cannot be read to the end ({type(error).__name__}). Expected one table in one encoding: export it "
                "again as UTF-8."
            ) from None
        table.add_to_report(out.name)


class _Table:
    """One table: the treatment of each column, and the counts while rows are written."""

    def __init__(self, source: Source, run: DeidentificationRun) -> None:
        self.source, self.run = source, run
        self.options: TableOptions = table_settings(run.report.policy)[0]
        self.rows_written = 0
        self.layout: TableLayout = layout_of(source, run)
        self.patient = self.layout.patient
        report = run.report
        self.rules = ColumnRules(run.detector, report.policy.treat, run.key, report.findings)
        self.treatments = {n: t for n in source.names if (t := self.layout.treatment(n, self.rules, run)) is not None}
        if not self.treatments:
            raise RecordError(
                "has no column whose values are recognized as free of identifiers, so nothing can be written. Declare "
                "columns with --column NAME=KIND."
            )
        withheld = self.layout.withheld()
        report.omissions.update(
            f"column {self.layout.shown(n)}" for n in source.names if n not in self.treatments and n not in withheld
        )
        self.replacers: dict[str, Replacer] = {}
        is_copy = run.layout is not None  # of some rows, in which other values are rare and other groups small than in the file
        self.recoding = None if is_copy else self._recode()
        self.labels = {} if self.recoding is None else self.recoding.labels()
        self.rare = {} if is_copy else self._rare_values()
        self.replacers.clear()  # their counts are from reading the table for the first time
        self.rules.withheld.clear()

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
                f"columns {', '.join(removed)} cannot be quasi-identifiers, because the output does not contain them: the "
                "policy removes them, or their values are not recognized. Leave them out of --quasi, or declare them "
                "with --column NAME=KIND."
            )
        names = names or [n for n in self.treatments if self.layout.is_demographic(n)]
        if not names:
            return None
        kinds = {n: self.layout.anonymization_kind(n) for n in names}
        return recode(kinds, self.options, lambda wanted: self._text_batches(wanted, names))

    def _rare_values(self) -> dict[str, frozenset[str]]:
        """By categorical column: values that too few rows share; quasi-identifiers have k instead."""
        names = [n for n in self.treatments if self.layout.roles[n].kind in ("category", "code") and n not in self.labels]
        quasi = list(self.recoding.names) if self.recoding else []
        return rare_values(names, self.options.min_rows, lambda wanted: self._text_batches(wanted, quasi))

    def _text_batches(self, names: list[str], quasi: list[str]) -> Iterator[dict[str, list[str | None]]]:
        """Values as text: ISO dates, numbers as numbers, missing as None; quasi-identifiers as they would be written without groups."""
        uncounted = ColumnRules(self.run.detector, self.run.report.policy.treat, self.run.key)
        treatments = {n: t for n in quasi if (t := self.layout.treatment(n, uncounted, self.run)) is not None}
        first_row = 0
        for _, batch in self.source.raw(list(dict.fromkeys([*names, *([self.patient] if self.patient else [])]))):
            check_time()
            values = {n: cell_text(batch[n]).to_pylist() for n in names}
            replacers = self._replacers_of(batch, first_row)
            nothing: list[StatedIdentifiers | None] = [None] * batch.num_rows
            treated = {n: treatments[n](v, replacers, nothing) if n in treatments else v for n, v in values.items()}
            yield {n: self.layout.comparable(n, v) if n in treatments else v for n, v in treated.items()}
            first_row += batch.num_rows

    # rows

    def batches(self) -> Iterator[pa.Table]:
        """The output, batch by batch."""
        first_row = 0
        shown = [n for n in self.source.names if n in self.treatments or n in self.labels]
        searched = self.layout.searched_kinds()
        released = self.recoding.anonymized.released if self.recoding and self.recoding.anonymized else None
        for _, batch in self.source.raw():
            check_time()
            end = first_row + batch.num_rows
            replacers = self._replacers_of(batch, first_row)
            stated = self._stated_by_rows(batch, searched if self.layout.has_text() else {})
            columns = {}
            for name in shown:
                if name in self.labels:
                    positions, names = self.labels[name]
                    columns[self.layout.shown(name)] = pa.array(names, pa.string()).take(pa.array(positions[first_row:end]))
                else:
                    columns[self.layout.shown(name)] = self._column(name, batch[name], replacers, stated)
            table = pa.table(columns)
            table = table if released is None else table.filter(pa.array(released[first_row:end]))
            first_row = end
            self.rows_written += table.num_rows
            yield table
        self._count_replacers()

    def _column(
        self, name: str, old: pa.ChunkedArray, replacers: list[Replacer], stated: list[StatedIdentifiers | None]
    ) -> pa.Array | pa.ChunkedArray:
        values = cell_text(old).to_pylist()
        new = self.treatments[name](values, replacers, stated)
        rare = self.rare.get(name)
        if rare:
            new = [None if v in rare else n for v, n in zip(values, new, strict=True)]
            self.run.report.omissions[f"column {self.layout.shown(name)}: values of too few rows"] += sum(
                v in rare for v in values
            )
        return self._typed(name, old, new)

    def _typed(self, name: str, old: pa.ChunkedArray, new: list[str | None]) -> pa.Array | pa.ChunkedArray:
        """The new values in the column's type, where they are numbers or dates still; else text."""
        role, kind = self.layout.roles[name].kind, old.type
        if pa.types.is_primitive(kind) and not pa.types.is_temporal(kind):
            if (
                role in ("category", "code", "number", "verbatim")
                and name not in self.rare
                and old.null_count == new.count(None)
            ):
                return old
            return (
                pa.array(new, pa.string()).cast(kind)
                if role in ("age", "number", "category", "code")
                else pa.array(new, pa.string())
            )
        days = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        if days and role in ("date", "birth", "verbatim") and self.run.report.policy["date"] in ("keep", "surrogate"):
            return pa.array(new, pa.string()).cast(pa.timestamp("us")).cast(kind)
        return pa.array(new, pa.string())

    def _replacers_of(self, batch: pa.Table, first_row: int) -> list[Replacer]:
        """The replacer of each row's patient; without a patient column, one per row."""
        if self.patient is None:
            patients: list[str | None] = [f"row {first_row + i}" for i in range(batch.num_rows)]
        else:
            patients = cell_text(batch[self.patient]).to_pylist()
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
        values = {name: cell_text(batch[name]).to_pylist() for name in searched}
        out: list[StatedIdentifiers | None] = []
        for i in range(batch.num_rows):
            stated: dict[str, tuple[str, ...]] = {}
            for name, kind in searched.items():
                if values[name][i]:
                    stated[kind] = (*stated.get(kind, ()), str(values[name][i]))
            out.append(StatedIdentifiers(stated, self.run.detector.common) if stated else None)
        return out

    def add_to_report(self, file: str) -> None:
        """Add withheld columns and cells, declarations, and the re-identification risk of the output to the report."""
        report = self.run.report
        report.resources["tables"] += 1
        report.resources["rows"] += self.rows_written
        report.columns += self.layout.column_reports(file, self.rules.withheld, self.treatments)
        if self.recoding is None:
            report.remarks.append((file, "has no quasi-identifiers: no re-identification risk was measured"))
        else:
            report.risks.append(self.recoding.risk_json(file))
