"""Tables (CSV, Parquet, Arrow): columns by what they are, then rows made alike, and the risk that is left measured on what comes out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galenic import records
from galenic.errors import DescriptionError, RecordError
from galenic.privacy import anonymization
from galenic.privacy.anonymization import PrivacyModel, QuasiIdentifier
from galenic.privacy.deidentification.rules.columns import ColumnRules, is_demographic
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import Replacer, StatedIdentifiers
from galenic.records import Source
from galenic.schema import MISSING_TOKENS, Column

ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".arrow", ".feather")
SHEETS = (".xlsx", ".xls", ".ods", ".xlsm", ".xlsb")
SAYS = ("quasi", "sensitive", "k", "l", "t", "method", "suppress", "fraction", "rare", "patient", "hierarchies")


def is_table(file: Path) -> bool:
    """By its ending; spreadsheets too, to say why they are refused."""
    return file.suffix.lower() in (*ENDINGS, *SHEETS)


def write_table(file: Path, out: Path, run: DeidentificationRun) -> None:
    """One table: identifiers gone, texts searched, rows alike as the policy's [table] says."""
    if file.suffix.lower() in SHEETS:
        raise RecordError(
            "is a spreadsheet, whose formulas, comments and hidden sheets are not searched here. Export each sheet as CSV."
        )
    source = records.read(file)
    plan = _Plan(source, run)
    with _Writer(out, source) as target:
        for batch in plan.batches():
            target.write(batch)
    plan.report(out.name)


class _Plan:
    """What happens to each column of one table, and what is counted on the way."""

    def __init__(self, source: Source, run: DeidentificationRun) -> None:
        said = run.done.policy.table
        wrong = sorted(set(said) - set(SAYS))
        if wrong:
            raise DescriptionError(
                f"policy {run.done.policy.name!r}: [table] says {', '.join(wrong)}. Expected {', '.join(SAYS)}."
            )
        self.source, self.run, self.said = source, run, said
        self.rows = 0  # that came out
        self._refuse_named_headers()
        self.columns = records.describe(source, said.get("patient"))
        self.patient = next((c.name for c in self.columns if c.role == "patient"), None)
        self.rules = ColumnRules(run.detector, run.done.policy.treat, run.key, run.done.taken, run.done.dropped)
        self.treat = {c.name: t for c in self.columns if (t := self.rules.treatment(c)) is not None}
        run.done.dropped.update(f"column {c.name}" for c in self.columns if c.name not in self.treat)
        self.replacers: dict[str, Replacer] = {}
        self._alike()
        self.rare = self._rare(int(said.get("rare", 0)))
        self.replacers.clear()  # their counts are of a first reading

    def _refuse_named_headers(self) -> None:
        """A table that was turned round has people in its header."""
        for number, name in enumerate(self.source.names):
            found = [
                s
                for s in self.run.detector.find(f"Seen: {name}.")
                if s.layer == "rule" and s.kind not in ("date", "age", "place")
            ]
            if found:
                raise RecordError(
                    f"has an identifier ({found[0].kind}) in its header, column {number + 1}. Turn the table round, or rename it."
                )

    # the quasi-identifiers

    def _alike(self) -> None:
        said, named = self.said, [*self.said.get("quasi", ())]
        absent = [n for n in (*named, *([said["sensitive"]] if said.get("sensitive") else ())) if n not in self.source.names]
        if absent:
            raise DescriptionError(
                f"the table has no column {', '.join(absent)}, which the policy or --quasi names. It has {', '.join(self.source.names)}."
            )
        by_name = {c.name: c for c in self.columns}
        gone = [n for n in named if n not in self.treat]
        if gone:
            raise DescriptionError(
                f"columns {', '.join(gone)} are left out by the policy, so nobody can know them from what comes out. Take them out of --quasi."
            )
        self.quasi_names = named or [c.name for c in self.columns if is_demographic(c) and c.name in self.treat]
        self.generalised = bool(named)
        self.places = {n: i for i, n in enumerate(self.quasi_names)}
        self.before = self.after = None
        self.labels: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
        self.kept: np.ndarray | None = None
        self.quasi: tuple[QuasiIdentifier, ...] = ()
        if not self.quasi_names:
            return
        wanted = list(dict.fromkeys([*self.quasi_names, *([said["sensitive"]] if said.get("sensitive") else ())]))
        read = {n: _Dictionary() for n in wanted}
        for batch in self._plain(wanted):
            for name in wanted:
                read[name].add(batch[name])
        hierarchies = said.get("hierarchies", {})
        self.quasi = tuple(
            anonymization.quasi_identifier(
                n, _kind(by_name[n], read[n].values), read[n].values, _hierarchy(n, hierarchies.get(n))
            )
            for n in self.quasi_names
        )
        codes = np.column_stack([read[q.name].codes(q.values) for q in self.quasi])
        self.before = np.unique(codes, axis=0, return_counts=True)[1]
        if not self.generalised:
            return
        sensitive = (
            read[said["sensitive"]].codes(tuple(sorted(read[said["sensitive"]].values))) if said.get("sensitive") else None
        )
        self.sensitive = sensitive
        self.wanted = PrivacyModel(int(said.get("k", 5)), int(said.get("l", 1)), float(said.get("t", 1.0)))
        self.method = str(said.get("method", "mondrian"))
        self.made = anonymization.anonymize(
            self.quasi, codes, self.wanted, method=self.method, share=float(said.get("suppress", 0.01)), sensitive=sensitive
        )
        self.labels = {
            q.name: (label, names) for q, label, names in zip(self.quasi, self.made.label, self.made.names, strict=True)
        }
        self.kept = self.made.kept

    def _rare(self, least: int) -> dict[str, frozenset[str]]:
        """By column of categories: values that fewer rows share than that, cells too small to be told; the quasi-identifiers have k."""
        names = [c.name for c in self.columns if self.treat.get(c.name) == self.rules.values and c.name not in self.labels]
        if least < 2 or not names:
            return {}
        read = {n: _Dictionary() for n in names}
        for batch in self._plain(names):
            for name in names:
                read[name].add(batch[name])
        found = {}
        for name, one in read.items():
            codes = one.codes(tuple(one.values))
            found[name] = frozenset(one.values[c] for c in np.unique(codes[anonymization.is_rare(codes, least)])) - {""}
        return found

    def _plain(self, names: list[str]) -> Iterator[dict[str, list[str | None]]]:
        """Values as text: dates as ISO, numbers as numbers, missing as None; ages and codes as they would come out without groups."""
        by_name = {c.name: c for c in self.columns}
        uncounted = ColumnRules(self.run.detector, self.run.done.policy.treat, self.run.key)
        first = {n: t for n in self.quasi_names if (t := uncounted.treatment(by_name[n])) is not None}
        whole = list(dict.fromkeys([*names, *([self.patient] if self.patient else [])]))
        at = 0
        for _, batch in self.source.raw(whole):
            values = {n: _texts(batch[n], by_name[n]) for n in names}
            replacers = self._replacers(batch, by_name, at)
            nobody: list[StatedIdentifiers | None] = [None] * batch.num_rows
            yield {n: first[n](v, replacers, nobody) if n in first else v for n, v in values.items()}
            at += batch.num_rows

    # rows

    def batches(self) -> Iterator[pa.Table]:
        """What comes out, batch by batch."""
        at = 0
        by_name = {c.name: c for c in self.columns}
        shown = [n for n in self.source.names if n in self.treat or n in self.labels]
        knows = {c.name: kind for c in self.columns if (kind := self.rules.knows(c))}
        texts = any(c.kind == "text" for c in self.columns)
        for _, batch in self.source.raw():
            size = batch.num_rows
            replacers = self._replacers(batch, by_name, at)
            known: list[StatedIdentifiers | None] = self._known(batch, knows) if texts else [None] * size
            kept = None if self.kept is None else self.kept[at : at + size]
            columns = {}
            for name in shown:
                if name in self.labels:
                    label, names = self.labels[name]
                    columns[name] = pa.array(names, pa.string()).take(pa.array(label[at : at + size]))
                    continue
                old = batch[name]
                values = _texts(old, by_name[name])
                new = self.treat[name](values, replacers, known)
                if self.rare.get(name):
                    new = [None if v in self.rare[name] else n for v, n in zip(values, new, strict=True)]
                    self.run.done.dropped[f"column {name}: values of too few rows"] += sum(v in self.rare[name] for v in values)
                columns[name] = self._typed(name, old, new)
            table = pa.table(columns)
            at += size
            out = table if kept is None else table.filter(pa.array(kept))
            self.rows += out.num_rows
            yield out
        for replacer in self.replacers.values():
            self.run.done.treated.update(replacer.counted)

    def _typed(self, name: str, old: pa.ChunkedArray, new: list[str | None]) -> pa.Array | pa.ChunkedArray:
        """Numbers stay numbers and dates dates where what comes out is one still; all else is text."""
        treat, kind = self.treat[name], old.type
        if pa.types.is_primitive(kind) and not pa.types.is_temporal(kind):
            if treat in (self.rules.values, self.rules.numbers):
                return old
            return pa.array(new, pa.string()).cast(kind) if treat == self.rules.ages else pa.array(new, pa.string())
        if pa.types.is_temporal(kind) and self.run.done.policy["date"] in ("keep", "surrogate"):
            return pa.array(new, pa.string()).cast(pa.timestamp("us")).cast(kind)
        return pa.array(new, pa.string())

    def _replacers(self, batch: pa.Table, by_name: dict[str, Column], at: int) -> list[Replacer]:
        if self.patient is None:
            whose: list[str | None] = [f"row {at + i}" for i in range(batch.num_rows)]
        else:
            whose = _texts(batch[self.patient], by_name[self.patient])
        out = []
        for person in whose:
            name = person or ""
            found = self.replacers.get(name)
            if found is None:
                if len(self.replacers) > 20_000:
                    for replacer in self.replacers.values():
                        self.run.done.treated.update(replacer.counted)
                    self.replacers.clear()
                found = self.replacers[name] = self.run.replacer(name)
            out.append(found)
        return out

    def _known(self, batch: pa.Table, knows: dict[str, str]) -> list[StatedIdentifiers | None]:
        own = {name: pc.cast(batch[name], pa.string()).to_pylist() for name in knows}
        out: list[StatedIdentifiers | None] = []
        for i in range(batch.num_rows):
            stated: dict[str, tuple[str, ...]] = {}
            for name, kind in knows.items():
                if own[name][i]:
                    stated[kind] = (*stated.get(kind, ()), str(own[name][i]))
            out.append(StatedIdentifiers(stated, self.run.detector.common) if stated else None)
        return out

    def report(self, name: str) -> None:
        """The risk of what came out, by what others may know."""
        done = self.run.done
        done.resources["tables"] += 1
        done.resources["rows"] += self.rows
        if self.before is None:
            done.remarks.append((name, "has no column that others are known to know: no risk of being found was measured"))
            return
        fraction = self.said.get("fraction")
        said: dict[str, Any] = {
            "file": name, "known to others": list(self.quasi_names), "fraction of the population": fraction,
            "before": anonymization.measure_risk(self.before, fraction).as_dict(), "after": None,
        }  # fmt: skip
        if self.generalised:
            labels = [label[self.made.kept] for label in self.made.label]
            sensitive = None if self.sensitive is None else self.sensitive[self.made.kept]
            sizes, distinct, furthest = anonymization.measure_groups(labels, sensitive)
            said |= {
                "after": anonymization.measure_risk(sizes, fraction).as_dict(),
                "method": self.method,
                "asked": {"k": self.wanted.k, "l": self.wanted.l, "t": self.wanted.t},
                "has": {"k": int(sizes.min()) if len(sizes) else 0, "l": distinct or None, "t": furthest if distinct else None},
                "rows suppressed": self.made.suppressed,
                "information loss (NCP)": self.made.loss,
            }
        done.risks.append(said)


class _Dictionary:
    """One column's values as places in a list of them."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}
        self.parts: list[np.ndarray] = []

    def add(self, values: list[str | None]) -> None:
        of = self.of
        self.parts.append(np.fromiter((of.setdefault(v or "", len(of)) for v in values), np.int32, len(values)))

    @property
    def values(self) -> list[str]:
        return list(self.of)

    def codes(self, ordered: tuple[str, ...]) -> np.ndarray:
        place = {v: i for i, v in enumerate(ordered)}
        codes: np.ndarray = np.array([place[v] for v in self.of], np.int32)[np.concatenate(self.parts)]
        return codes


def _kind(column: Column, values: list[str]) -> str:
    if column.kind == "date":
        return "date"
    numbers = column.kind in ("numeric", "integer") and not re.search(r"zip|postal|postcode|plz", column.name, re.I)
    return "number" if numbers and all(_is_number(v) for v in values if v) else "category"


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _hierarchy(name: str, said: Any) -> dict[str, tuple[str, ...]] | None:
    """A site's own ladder: a CSV whose first column is the value, the others what it is called on each coarser rung."""
    if said is None:
        return None
    place = Path(str(said))
    try:
        rows = [line.split(",") for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError:
        raise DescriptionError(
            f"the hierarchy of {name!r} can not be read: {place.name}. Expected a CSV: value, rung, rung, ..."
        ) from None
    return {row[0].strip(): tuple(v.strip() for v in row[1:]) for row in rows}


def _texts(array: pa.ChunkedArray, column: Column) -> list[str | None]:
    text = records.clean_text(array, MISSING_TOKENS)
    if column.kind == "date" and column.format and not column.format.startswith("%Y-%m-%d"):
        days = records.parse_dates(text, column.format)
        iso = pc.strftime(days.cast(pa.timestamp("s")), format="%Y-%m-%d")
        text = pc.if_else(pc.is_valid(days), iso, text)
    return list(text.to_pylist())


class _Writer:
    """The same format out: Parquet as Parquet, Arrow as Arrow, everything else as CSV that no spreadsheet runs as formulas."""

    def __init__(self, out: Path, source: Source) -> None:
        self.out, self.source = out, source
        self.writer: Any = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def write(self, table: pa.Table) -> None:
        """One more batch."""
        kind = self.out.suffix.lower()
        if kind not in (".parquet", ".pq", ".arrow", ".feather"):
            table = records.escape_formulas(table)
        if self.writer is None:
            self.writer = self._opened(kind, table.schema)
        self.writer.write_table(table.cast(self.writer.schema) if kind in (".parquet", ".pq") else table)

    def _opened(self, kind: str, schema: pa.Schema) -> Any:
        import pyarrow.csv as pacsv  # noqa: PLC0415

        if kind in (".parquet", ".pq"):
            return pq.ParquetWriter(self.out, schema, compression="zstd")
        if kind in (".arrow", ".feather"):
            return pa.ipc.new_file(str(self.out), schema)
        delimiter = "\t" if kind == ".tsv" else ","
        return pacsv.CSVWriter(self.out, schema, write_options=pacsv.WriteOptions(quoting_style="needed", delimiter=delimiter))
