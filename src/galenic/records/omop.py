"""OMOP CDM 5.3 and 5.4 (CSV, Parquet, DuckDB) as events: what maps, what is dropped, and a report of tables and columns."""

import contextlib
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from galenic.errors import RecordError
from galenic.records.columnar import by_subject
from galenic.schema import BIRTH, DEATH, TIMELINE

BATCH = 50_000
# https://ohdsi.github.io/CommonDataModel: columns of both versions; + only in 5.4, - only in 5.3
COLUMNS = {
    "person": "person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime race_concept_id "
    "ethnicity_concept_id location_id provider_id care_site_id person_source_value gender_source_value gender_source_concept_id "
    "race_source_value race_source_concept_id ethnicity_source_value ethnicity_source_concept_id",
    "death": "person_id death_date death_datetime death_type_concept_id cause_concept_id cause_source_value cause_source_concept_id",
    "visit_occurrence": "visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime visit_end_date "
    "visit_end_datetime visit_type_concept_id provider_id care_site_id visit_source_value visit_source_concept_id "
    "-admitting_source_concept_id -admitting_source_value -discharge_to_concept_id -discharge_to_source_value "
    "+admitted_from_concept_id +admitted_from_source_value +discharged_to_concept_id +discharged_to_source_value "
    "preceding_visit_occurrence_id",
    "condition_occurrence": "condition_occurrence_id person_id condition_concept_id condition_start_date condition_start_datetime "
    "condition_end_date condition_end_datetime condition_type_concept_id condition_status_concept_id stop_reason provider_id "
    "visit_occurrence_id visit_detail_id condition_source_value condition_source_concept_id condition_status_source_value",
    "drug_exposure": "drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_exposure_start_datetime "
    "drug_exposure_end_date drug_exposure_end_datetime verbatim_end_date drug_type_concept_id stop_reason refills quantity "
    "days_supply sig route_concept_id lot_number provider_id visit_occurrence_id visit_detail_id drug_source_value "
    "drug_source_concept_id route_source_value dose_unit_source_value",
    "procedure_occurrence": "procedure_occurrence_id person_id procedure_concept_id procedure_date procedure_datetime "
    "+procedure_end_date +procedure_end_datetime procedure_type_concept_id modifier_concept_id quantity provider_id "
    "visit_occurrence_id visit_detail_id procedure_source_value procedure_source_concept_id modifier_source_value",
    "device_exposure": "device_exposure_id person_id device_concept_id device_exposure_start_date device_exposure_start_datetime "
    "device_exposure_end_date device_exposure_end_datetime device_type_concept_id unique_device_id +production_id quantity "
    "provider_id visit_occurrence_id visit_detail_id device_source_value device_source_concept_id +unit_concept_id "
    "+unit_source_value +unit_source_concept_id",
    "measurement": "measurement_id person_id measurement_concept_id measurement_date measurement_datetime measurement_time "
    "measurement_type_concept_id operator_concept_id value_as_number value_as_concept_id unit_concept_id range_low range_high "
    "provider_id visit_occurrence_id visit_detail_id measurement_source_value measurement_source_concept_id unit_source_value "
    "+unit_source_concept_id value_source_value +measurement_event_id +meas_event_field_concept_id",
    "observation": "observation_id person_id observation_concept_id observation_date observation_datetime "
    "observation_type_concept_id value_as_number value_as_string value_as_concept_id qualifier_concept_id unit_concept_id "
    "provider_id visit_occurrence_id visit_detail_id observation_source_value observation_source_concept_id unit_source_value "
    "qualifier_source_value +value_source_value +observation_event_id +obs_event_field_concept_id",
}


@dataclass(frozen=True, slots=True)
class Spec:
    """Where a table keeps what an event needs; names without _date and _datetime, empty where it has none."""

    key: str
    start: str
    end: str
    concept: str
    number: str = ""
    text: tuple[str, ...] = ()
    chosen: str = ""  # concept id of a value
    unit: str = ""
    operator: str = ""


SPECS = {
    "visit_occurrence": Spec("visit_occurrence_id", "visit_start", "visit_end", "visit"),
    "condition_occurrence": Spec("condition_occurrence_id", "condition_start", "condition_end", "condition", text=("stop_reason",)),
    "drug_exposure": Spec("drug_exposure_id", "drug_exposure_start", "drug_exposure_end", "drug", number="quantity"),
    "procedure_occurrence": Spec("procedure_occurrence_id", "procedure", "procedure_end", "procedure", number="quantity"),
    "device_exposure": Spec("device_exposure_id", "device_exposure_start", "device_exposure_end", "device", number="quantity"),
    "measurement": Spec(
        "measurement_id", "measurement", "", "measurement", "value_as_number", ("value_source_value",), "value_as_concept_id",
        "unit", "operator_concept_id",
    ),
    "observation": Spec(
        "observation_id", "observation", "", "observation", "value_as_number", ("value_as_string", "value_source_value"),
        "value_as_concept_id", "unit",
    ),
}  # fmt: skip
VOCABULARY = frozenset(
    ("concept", "concept_ancestor", "concept_class", "concept_relationship", "concept_synonym", "domain", "drug_strength")
) | {"relationship", "vocabulary"}
OPERATORS = {"4172704": ">", "4171756": "<", "4172703": "=", "4171755": ">=", "4171754": "<="}
PARTS = ("subject", *(n for n in TIMELINE.names if n not in ("subject_id", "ingest_id")))
FOUND = pa.schema([("subject", pa.string()), *(TIMELINE.field(n) for n in PARTS[1:])])  # records assigns subject ids


@dataclass
class TableReport:
    """What one table held and gave."""

    rows: int = 0
    events: int = 0
    absent: list[str] = field(default_factory=list)  # columns of the model that are not there
    strange: list[str] = field(default_factory=list)  # columns that the model does not have
    counted: dict[str, int] = field(default_factory=dict)  # no-time, unmapped, end-before-start, no-person, …


class Omop:
    """One OMOP data set: a folder of CSV (also .csv.gz) or Parquet files, or a DuckDB file; or tables in memory, by `hold`.

    Memory is bounded by `memory`; nothing is spilled to disk, where it would lie in clear.
    """

    def __init__(self, place: Path | None = None, *, threads: int = 1, memory: str = "2GB") -> None:
        self.place = place or Path()
        self._db = duckdb.connect(
            config={"threads": threads, "memory_limit": memory, "temp_directory": "", "lock_configuration": False}
        )
        # some exports write ids as floats: 986.0 is 986
        self._db.execute("CREATE MACRO plain(x) AS CASE WHEN suffix(x, '.0') THEN x[:-3] ELSE nullif(x, '') END")
        self._db.execute("CREATE MACRO id(x) AS plain(CAST(x AS VARCHAR))")
        self.tables = self._find() if place is not None else {}
        if place is not None and "person" not in self.tables:
            raise RecordError(
                f"{place} has no table “person”, so it is no OMOP data set. Expected person.csv, person.parquet, or DuckDB."
            )
        self.report: dict[str, TableReport] = {name: TableReport() for name in self.tables}
        self._concepts_stand = False

    def hold(self, tables: dict[str, pa.Table]) -> None:
        """Puts tables of text in the place of those held before; the vocabulary stays until another comes."""
        for name in [n for n in self.tables if n not in VOCABULARY]:
            del self.tables[name]
        for name, table in tables.items():
            self._db.register(f"held_{name}", table)
            self.tables[name] = f"held_{name}"
            self._concepts_stand = self._concepts_stand and name not in VOCABULARY
        self.report = {name: TableReport() for name in self.tables}

    def rows(self, table: str, part: int = 0, parts: int = 1) -> Iterator[pa.Table]:
        """Rows of one table as text: of the persons of one part, ordered by _person; of all where it is about no person."""
        there = self._columns(table)
        query = f"SELECT COLUMNS(*)::VARCHAR FROM {self.tables[table]}"
        if "person_id" in there:
            query = f"SELECT coalesce(id(person_id), '') AS _person, COLUMNS(*)::VARCHAR FROM {self.tables[table]} "
            query += f"WHERE hash(coalesce(id(person_id), '')) % {parts} = {part} ORDER BY _person"
        elif part:
            return
        with self._explained(table):
            reader = self._db.sql(query).to_arrow_reader(BATCH)
        while True:
            with self._explained(table):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            yield pa.Table.from_batches([batch])

    def persons(self, table: str, part: int, parts: int) -> Iterator[tuple[str, pa.Table]]:
        """(person_id, all rows of that person) of one table; "" for rows that name nobody."""
        waiting: list[pa.Table] = []
        whose = ""
        for batch in self.rows(table, part, parts):
            for person, rows in by_subject(batch, "_person"):
                if waiting and person != whose:
                    yield whose, pa.concat_tables(waiting)
                    waiting = []
                whose = person
                waiting.append(rows.drop_columns("_person"))
        if waiting:
            yield whose, pa.concat_tables(waiting)

    def look(self, table: str) -> None:
        """Compares the columns of a table with those of the standard, for the report."""
        if table in COLUMNS:
            with self._explained(table):
                self._describe(table, self.report[table])

    def has_persons(self, table: str) -> bool:
        """Whether a table is about persons."""
        return "person_id" in self._columns(table)

    def close(self) -> None:
        """Lets go of the files."""
        self._db.close()

    def _find(self) -> dict[str, str]:
        """SQL for each table, by lower-case name; all columns as text, so that nothing is guessed."""
        if self.place.is_file():
            with self._explained(self.place.name):
                self._db.execute(f"ATTACH {_quoted(str(self.place))} AS source (READ_ONLY)")
                names = self._db.execute(
                    "SELECT table_name, table_schema FROM information_schema.tables WHERE table_catalog = 'source'"
                )
                return {str(n).lower(): f'source."{s}"."{n}"' for n, s in names.fetchall()}
        found: dict[str, str] = {}
        for path in sorted(self.place.iterdir()) if self.place.is_dir() else ():
            name, _, kind = path.name.lower().partition(".")
            if kind in ("csv", "csv.gz"):
                found[name] = _csv(path)
            elif kind in ("parquet", "pq"):
                found[name] = f"read_parquet({_quoted(str(path))})"
        return found

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """DuckDB's errors may quote a row: they are told apart, not passed on."""
        try:
            yield
        except duckdb.OutOfMemoryException:
            raise RecordError(f"{what} needs more memory than is allowed. Raise it, or split the table by person.") from None
        except duckdb.Error as error:
            raise RecordError(
                f"{what} can not be read ({type(error).__name__}). Expected a header, the same number of fields in every row, UTF-8."
            ) from None

    def _columns(self, table: str) -> set[str]:
        with self._explained(table):
            return {str(r[0]).lower() for r in self._db.execute(f"DESCRIBE SELECT * FROM {self.tables[table]}").fetchall()}

    def events(self) -> Iterator[pa.Table]:
        """Batches of events (columns FOUND), table by table in the order of the files; `report` is filled on the way."""
        if not self._concepts_stand:
            self._db.execute(f"CREATE OR REPLACE TEMP TABLE concepts AS {self._concepts()}")
            self._concepts_stand = True
        for table in self.tables:
            if table == "person":
                yield from self._run(table, self._person())
            elif table == "death":
                yield from self._run(table, self._death())
            elif table in SPECS:
                yield from self._run(table, self._generic(table, SPECS[table]))
            else:
                self._leave_out(table)

    def _leave_out(self, table: str) -> None:
        """Vocabularies, eras (derived) and what has no event: counted, so that it is not silent."""
        with self._explained(table):
            self.report[table].rows = self._db.execute(f"SELECT count(*) FROM {self.tables[table]}").fetchall()[0][0]

    def names(self) -> dict[str, str]:
        """How codes of the vocabulary read, by SYSTEM//code."""
        found = self._db.execute("SELECT system || '//' || code, name FROM concepts WHERE name IS NOT NULL").fetchall()
        return {str(c): str(n) for c, n in found}

    def _concepts(self) -> str:
        if "concept" not in self.tables:
            return "SELECT '' AS id, '' AS system, '' AS code, '' AS name WHERE false"
        return (
            "SELECT id(concept_id) AS id, vocabulary_id AS system, concept_code AS code, concept_name AS name "
            f"FROM {self.tables['concept']} WHERE id(concept_id) <> '0'"
        )

    def _run(self, table: str, query: str) -> Iterator[pa.Table]:
        report = self.report[table]
        with self._explained(table):
            self._describe(table, report)
            reader = self._db.sql(query).to_arrow_reader(BATCH)
        seen: set[str] = set()
        while True:
            with self._explained(table):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    break
            found = pa.Table.from_batches([batch]).cast(FOUND)
            kept = found.filter(pc.is_valid(found["subject"]))
            self._count(report, table, found, kept)
            if table == "person":
                seen.update(kept["source_ref"].to_pylist())
            report.events += kept.num_rows
            yield kept
        if table == "person":
            report.rows = len(seen) + report.counted.get("no person", 0)

    def _count(self, report: TableReport, table: str, found: pa.Table, kept: pa.Table) -> None:
        """What the quality report asks of each table, counted on the way."""
        report.rows += found.num_rows
        timed = kept.filter(pc.starts_with(kept["code"], "MEDS_")) if table == "person" else kept
        counts = {
            "no person": found.num_rows - kept.num_rows,
            "no time": timed["time"].null_count,
            "end before start": pc.sum(pc.less(kept["end_time"], kept["time"])).as_py() or 0,
            "unmapped": pc.sum(pc.starts_with(kept["code"], f"{table.upper()}//")).as_py() or 0,
        }
        for name, count in counts.items():
            if count:
                report.counted[name] = report.counted.get(name, 0) + count

    def _describe(self, table: str, report: TableReport) -> None:
        there = self._columns(table)
        new = {"+": 0, "-": 0}
        wanted = COLUMNS[table].split()
        for name in wanted:
            if name[0] in new and name[1:] in there:
                new[name[0]] += 1
        version = "+" if new["+"] > new["-"] else "-"
        model = {n.lstrip("+-") for n in wanted if n[0] not in new or n[0] == version}
        report.absent, report.strange = sorted(model - there), sorted(there - model)
        if "person_id" not in there:
            raise RecordError(f"table {table} has no column person_id. Expected the columns of OMOP CDM 5.3 or 5.4.")

    def _person(self) -> str:
        there = self._columns("person")

        def part(name: str, otherwise: str) -> str:
            return f"coalesce(TRY_CAST({name} AS INTEGER), {otherwise})" if name in there else otherwise

        day = f"make_timestamp(TRY_CAST(year_of_birth AS BIGINT), {part('month_of_birth', '1')}, {part('day_of_birth', '1')}, 0, 0, 0.0)"
        birth = f"coalesce(TRY_CAST(birth_datetime AS TIMESTAMP), {day})" if "birth_datetime" in there else day
        person = self.tables["person"]
        born = f"SELECT {_row(time=birth, code=_quoted(BIRTH), source_ref=_ref('person', 'person_id'))} FROM {person} t"
        fixed = [
            f"SELECT {_row(code=_code(n.upper(), f't.{n}_concept_id'), code_system='c.system', source_ref=_ref('person', 'person_id'))} "
            f"FROM {person} t LEFT JOIN concepts c ON c.id = id(t.{n}_concept_id) "
            f"WHERE coalesce(id(t.{n}_concept_id), '0') <> '0'"
            for n in ("gender", "race", "ethnicity")
            if f"{n}_concept_id" in there
        ]
        return " UNION ALL ".join([born, *fixed])

    def _death(self) -> str:
        there = self._columns("death")
        row = _row(time=_time("death", there), code=_quoted(DEATH), source_ref=_ref("death", "person_id"))
        return f"SELECT {row} FROM {self.tables['death']} t"

    def _generic(self, table: str, spec: Spec) -> str:
        there = self._columns(table)

        def column(name: str) -> str:
            if name not in there:
                return "NULL"
            return f"id(t.{name})" if name.endswith("_id") else f"CAST(t.{name} AS VARCHAR)"

        joins = [f"LEFT JOIN concepts c ON c.id = {column(spec.concept + '_concept_id')}"]
        joins.append(f"LEFT JOIN concepts s ON s.id = {column(spec.concept + '_source_concept_id')}")
        texts = [f"nullif({column(n)}, '')" for n in spec.text]
        if spec.chosen:
            joins.append(f"LEFT JOIN concepts v ON v.id = {column(spec.chosen)}")
            texts.insert(0, f"coalesce(v.system || '//' || v.code, 'OMOP//' || nullif({column(spec.chosen)}, '0'))")
        if spec.operator:
            cases = " ".join(f"WHEN '{i}' THEN '{o}'" for i, o in OPERATORS.items() if o != "=")
            texts.insert(0, f"CASE {column(spec.operator)} {cases} END")
        unit = "NULL"
        if spec.unit:
            joins.append(f"LEFT JOIN concepts u ON u.id = {column(spec.unit + '_concept_id')}")
            unit = f"coalesce(u.code, nullif({column(spec.unit + '_source_value')}, ''))"
        label, own = table.upper(), column(spec.concept + "_concept_id")
        source = f"nullif({column(spec.concept + '_source_value')}, '')"
        row = _row(
            time=_time(spec.start, there),
            end_time=_time(spec.end, there),
            code=f"coalesce(c.system || '//' || c.code, 'OMOP//' || nullif({own}, '0'), s.system || '//' || s.code, "
            f"'{label}//' || {source}, '{label}//0')",
            code_system="coalesce(c.system, s.system)",
            numeric_value=f"TRY_CAST({column(spec.number)} AS DOUBLE)" if spec.number else "NULL",
            value_text=f"nullif({column(spec.number)}, '')" if spec.number else "NULL",
            text_value=f"coalesce({', '.join(texts)})" if texts else "NULL",
            unit=unit,
            encounter_id=column("visit_occurrence_id"),
            source_ref=_ref(table, spec.key) if spec.key in there else "NULL",
        )
        return f"SELECT {row} FROM {self.tables[table]} t {' '.join(joins)}"


def _csv(path: Path) -> str:
    """How DuckDB is to read one file: nothing is guessed but the delimiter, a tab in vocabularies as OHDSI hands them out."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            head = file.readline().decode("utf-8-sig").rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{path.name} can not be read ({type(error).__name__}). Expected CSV in UTF-8, plain or gzip."
        ) from None
    tab = "\t" in head
    names = [n.strip('"').lower() for n in head.split("\t" if tab else ",")]
    if len(set(names)) != len(names) or "" in names:
        raise RecordError(f"{path.name} has a column without a name, or one name twice. Expected a header of distinct names.")
    columns = ", ".join(f"{_quoted(n)}: 'VARCHAR'" for n in names)
    marks = "delim = '\t', quote = '', escape = ''" if tab else "delim = ',', quote = '\"', escape = '\"'"
    return f"read_csv({_quoted(str(path))}, auto_detect = false, header = true, {marks}, columns = {{{columns}}}, strict_mode = true)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _ref(table: str, key: str) -> str:
    return f"'{table}/' || id(t.{key})"


def _code(label: str, concept: str) -> str:
    return f"'{label}//' || coalesce(c.code, id({concept}))"


def _time(stem: str, there: set[str]) -> str:
    """The time of an element: its datetime, else its date; NULL where neither is a time."""
    forms = [f"TRY_CAST(t.{stem}{suffix} AS TIMESTAMP)" for suffix in ("_datetime", "_date") if stem and stem + suffix in there]
    return f"coalesce({', '.join(forms)})" if forms else "CAST(NULL AS TIMESTAMP)"


def _row(**given: str) -> str:
    """The columns of FOUND, NULL where nothing is given."""
    values = {"subject": "id(t.person_id)", **given}
    kinds = {"time": "TIMESTAMP", "end_time": "TIMESTAMP", "numeric_value": "FLOAT", "utc_offset": "SMALLINT"}
    return ", ".join(f"CAST({values.get(n, 'NULL')} AS {kinds.get(n, 'VARCHAR')}) AS {n}" for n in PARTS)
