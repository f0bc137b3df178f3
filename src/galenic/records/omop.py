"""OMOP CDM 5.3 and 5.4 (CSV, Parquet, DuckDB): rows by person, events, and a report of tables and columns."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from galenic.errors import RecordError
from galenic.records.columnar import by_subject
from galenic.records.links import refuse_links
from galenic.records.omop_model import VOCABULARY, columns_of
from galenic.records.omop_sql import EVENT_QUERIES, FOUND, MACROS, NO_CONCEPTS, concepts_query, csv_source, quoted

BATCH = 50_000


@dataclass
class TableReport:
    """Counts of one table: rows and events; absent: columns of the model that it lacks; unknown: columns that the model lacks;
    counted: doubtful rows by reason (no person, no time, end before start, unmapped)."""

    rows: int = 0
    events: int = 0
    absent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)


class Omop:
    """One OMOP data set: a folder of CSV (also .csv.gz) or Parquet files, a DuckDB file, or tables in memory (`hold`).

    Memory is limited to `memory`; nothing is written to disk, where it would not be encrypted.
    """

    def __init__(self, place: Path | None = None, *, threads: int = 1, memory: str = "2GB") -> None:
        self.place = place or Path()
        self._db = duckdb.connect(
            config={"threads": threads, "memory_limit": memory, "temp_directory": "", "lock_configuration": False}
        )
        for macro in MACROS:
            self._db.execute(macro)
        self.tables = self._find() if place is not None else {}
        if place is not None and "person" not in self.tables:
            raise RecordError(
                f"{place} has no table named person, so it is not an OMOP data set. Expected person.csv, "
                "person.parquet, or a DuckDB file."
            )
        self.report: dict[str, TableReport] = {name: TableReport() for name in self.tables}
        self._concepts_ready = False

    def hold(self, tables: dict[str, pa.Table]) -> None:
        """Replaces the tables in memory by others (columns of text). The vocabulary remains until another one is given."""
        for name in [n for n in self.tables if n not in VOCABULARY]:
            del self.tables[name]
        for name, table in tables.items():
            self._db.register(f"held_{name}", table)
            self.tables[name] = f"held_{name}"
            self._concepts_ready = self._concepts_ready and name not in VOCABULARY
        self.report = {name: TableReport() for name in self.tables}

    def rows(self, table: str, part: int = 0, parts: int = 1) -> Iterator[pa.Table]:
        """Rows of one table as text: of the persons of one part, ordered by _person; all rows if it is about no person."""
        query = f"SELECT COLUMNS(*)::VARCHAR FROM {self.tables[table]}"
        if self.has_persons(table):
            query = f"SELECT coalesce(id(person_id), '') AS _person, COLUMNS(*)::VARCHAR FROM {self.tables[table]} "
            query += f"WHERE hash(coalesce(id(person_id), '')) % {parts} = {part} ORDER BY _person"
        elif part:
            return
        yield from self._batches(table, query)

    def persons(self, table: str, part: int, parts: int) -> Iterator[tuple[str, pa.Table]]:
        """(person_id, all rows of that person) of one table; "" for rows without a person."""
        waiting: list[pa.Table] = []
        current = ""
        for batch in self.rows(table, part, parts):
            for person, rows in by_subject(batch, "_person"):
                if waiting and person != current:
                    yield current, pa.concat_tables(waiting)
                    waiting = []
                current = person
                waiting.append(rows.drop_columns("_person"))
        if waiting:
            yield current, pa.concat_tables(waiting)

    def compare_columns(self, table: str) -> None:
        """Compares the columns of a table with those of the model, for the report."""
        if columns_of(table, "5.4"):
            with self._explained(table):
                self._compare(table, self.report[table])

    def has_persons(self, table: str) -> bool:
        """True if a table is about persons."""
        return "person_id" in self._columns(table)

    def close(self) -> None:
        """Closes the files."""
        self._db.close()

    def events(self) -> Iterator[pa.Table]:
        """Batches of events (columns FOUND), table by table in the order of the files. `report` is filled meanwhile."""
        if not self._concepts_ready:
            concepts = concepts_query(self.tables["concept"]) if "concept" in self.tables else NO_CONCEPTS
            self._db.execute(f"CREATE OR REPLACE TEMP TABLE concepts AS {concepts}")
            self._concepts_ready = True
        for table, source in self.tables.items():
            if table in EVENT_QUERIES:
                yield from self._events(table, EVENT_QUERIES[table](source, self._columns(table)))
            else:
                self._count_rows(table)

    def names(self) -> dict[str, str]:
        """Names of the concepts of the vocabulary, by SYSTEM//code."""
        rows = self._db.execute("SELECT system || '//' || code, name FROM concepts WHERE name IS NOT NULL").fetchall()
        return {str(code): str(name) for code, name in rows}

    def _find(self) -> dict[str, str]:
        """SQL that reads each table, by lower-case name; all columns as text, so that no type is inferred."""
        if self.place.is_file():
            return self._attach()
        found: dict[str, str] = {}
        if self.place.is_dir():
            refuse_links(self.place)
        for path in sorted(self.place.iterdir()) if self.place.is_dir() else ():
            name, _, suffix = path.name.lower().partition(".")
            if suffix in ("csv", "csv.gz"):
                found[name] = csv_source(path)
            elif suffix in ("parquet", "pq"):
                found[name] = f"read_parquet({quoted(str(path))})"
        return found

    def _attach(self) -> dict[str, str]:
        with self._explained(self.place.name):
            self._db.execute(f"ATTACH {quoted(str(self.place))} AS source (READ_ONLY)")
            names = self._db.execute(
                "SELECT table_name, table_schema FROM information_schema.tables WHERE table_catalog = 'source'"
            )
            return {str(n).lower(): f'source."{s}"."{n}"' for n, s in names.fetchall()}

    @contextlib.contextmanager
    def _explained(self, where: str) -> Iterator[None]:
        """Replaces errors of DuckDB, which may quote a row, by errors without values."""
        try:
            yield
        except duckdb.OutOfMemoryException:
            raise RecordError(
                f"{where} needs more memory than the limit allows. Raise the limit, or split the table by person."
            ) from None
        except duckdb.Error as error:
            raise RecordError(
                f"{where} cannot be read ({type(error).__name__}). Expected UTF-8, a header, and the same number of "
                "fields in every row."
            ) from None

    def _columns(self, table: str) -> set[str]:
        with self._explained(table):
            return {str(r[0]).lower() for r in self._db.execute(f"DESCRIBE SELECT * FROM {self.tables[table]}").fetchall()}

    def _batches(self, table: str, query: str) -> Iterator[pa.Table]:
        with self._explained(table):
            reader = self._db.sql(query).to_arrow_reader(BATCH)
        while True:
            with self._explained(table):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            yield pa.Table.from_batches([batch])

    def _count_rows(self, table: str) -> None:
        """Counts a table without events (vocabulary, derived eras), so that the report includes it."""
        with self._explained(table):
            self.report[table].rows = self._db.execute(f"SELECT count(*) FROM {self.tables[table]}").fetchall()[0][0]

    def _events(self, table: str, query: str) -> Iterator[pa.Table]:
        report = self.report[table]
        with self._explained(table):
            self._compare(table, report)
        persons: set[str] = set()
        for batch in self._batches(table, query):
            rows = batch.cast(FOUND)
            events = rows.filter(pc.is_valid(rows["subject"]))
            _count(report, table, rows, events)
            if table == "person":
                persons.update(events["source_ref"].to_pylist())
            report.events += events.num_rows
            yield events
        if table == "person":  # a person has several events
            report.rows = len(persons) + report.counted.get("no person", 0)

    def _compare(self, table: str, report: TableReport) -> None:
        """Fills the report with the version of the model that the columns match better; 5.3 in case of a tie."""
        columns = self._columns(table)
        older, newer = set(columns_of(table, "5.3")), set(columns_of(table, "5.4"))
        model = newer if len(columns & (newer - older)) > len(columns & (older - newer)) else older
        report.absent, report.unknown = sorted(model - columns), sorted(columns - model)
        if "person_id" not in columns:
            raise RecordError(f"table {table} has no column person_id. Expected the columns of OMOP CDM 5.3 or 5.4.")


def _count(report: TableReport, table: str, rows: pa.Table, events: pa.Table) -> None:
    """Adds the doubtful rows of one batch to the report."""
    report.rows += rows.num_rows
    timed = events.filter(pc.starts_with(events["code"], "MEDS_")) if table == "person" else events
    counts = {
        "no person": rows.num_rows - events.num_rows,
        "no time": timed["time"].null_count,
        "end before start": pc.sum(pc.less(events["end_time"], events["time"])).as_py() or 0,
        "unmapped": pc.sum(pc.starts_with(events["code"], f"{table.upper()}//")).as_py() or 0,
    }
    for reason, count in counts.items():
        if count:
            report.counted[reason] = report.counted.get(reason, 0) + count
