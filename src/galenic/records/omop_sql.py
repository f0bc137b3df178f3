"""SQL (DuckDB) that reads OMOP tables as events.

Names of tables and columns are those of the model, or quoted; no value of a record becomes part of a query.
"""

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa

from galenic.errors import RecordError
from galenic.records.omop_model import EVENT_TABLES, EventColumns
from galenic.schema import BIRTH, DEATH, TIMELINE

OPERATORS = {"4172704": ">", "4171756": "<", "4171755": ">=", "4171754": "<="}  # concept ids; "=" needs no mark
EVENT_COLUMNS = ("subject", *(n for n in TIMELINE.names if n not in ("subject_id", "ingest_id")))
FOUND = pa.schema([("subject", pa.string()), *(TIMELINE.field(n) for n in EVENT_COLUMNS[1:])])
"""Columns of events before persons have subject ids."""
SQL_TYPES = {"time": "TIMESTAMP", "end_time": "TIMESTAMP", "numeric_value": "FLOAT", "utc_offset": "SMALLINT"}
NO_CONCEPTS = "SELECT '' AS id, '' AS system, '' AS code, '' AS name WHERE false"
# some exports write ids as floats: 986.0 is 986
MACROS = (
    "CREATE MACRO plain(x) AS CASE WHEN suffix(x, '.0') THEN x[:-3] ELSE nullif(x, '') END",
    "CREATE MACRO id(x) AS plain(CAST(x AS VARCHAR))",
)

Query = Callable[[str, set[str]], str]
"""Makes a query for events: (SQL that reads the table, the table's columns) → SQL."""


def csv_source(path: Path) -> str:
    """SQL that reads a CSV file; only the delimiter is detected: a tab in vocabularies as OHDSI distributes them."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            head = file.readline().decode("utf-8-sig").rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise RecordError(
            f"{path.name} cannot be read ({type(error).__name__}). Expected a UTF-8 CSV file, plain or compressed with gzip."
        ) from None
    tab = "\t" in head
    names = [n.strip('"').lower() for n in head.split("\t" if tab else ",")]
    if len(set(names)) != len(names) or "" in names:
        raise RecordError(
            f"{path.name} has a column without a name, or two columns with the same name. Expected a header of distinct names."
        )
    columns = ", ".join(f"{quoted(n)}: 'VARCHAR'" for n in names)
    marks = "delim = '\t', quote = '', escape = ''" if tab else "delim = ',', quote = '\"', escape = '\"'"
    return f"read_csv({quoted(str(path))}, auto_detect = false, header = true, {marks}, columns = {{{columns}}}, strict_mode = true)"


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def concepts_query(source: str) -> str:
    """Concepts of the vocabulary: id, system, code, name."""
    return (
        "SELECT id(concept_id) AS id, vocabulary_id AS system, concept_code AS code, concept_name AS name "
        f"FROM {source} WHERE id(concept_id) <> '0'"
    )


def person_query(source: str, columns: set[str]) -> str:
    """Birth, gender, race and ethnicity of each person."""

    def part(name: str, default: str) -> str:
        return f"coalesce(TRY_CAST({name} AS INTEGER), {default})" if name in columns else default

    day = f"make_timestamp(TRY_CAST(year_of_birth AS BIGINT), {part('month_of_birth', '1')}, {part('day_of_birth', '1')}, 0, 0, 0.0)"
    birth = f"coalesce(TRY_CAST(birth_datetime AS TIMESTAMP), {day})" if "birth_datetime" in columns else day
    queries = [f"SELECT {_row(time=birth, code=quoted(BIRTH), source_ref=_ref('person', 'person_id'))} FROM {source} t"]
    for name in ("gender", "race", "ethnicity"):
        concept = f"t.{name}_concept_id"
        if f"{name}_concept_id" in columns:
            code = f"'{name.upper()}//' || coalesce(c.code, id({concept}))"
            row = _row(code=code, code_system="c.system", source_ref=_ref("person", "person_id"))
            queries.append(
                f"SELECT {row} FROM {source} t LEFT JOIN concepts c ON c.id = id({concept}) "
                f"WHERE coalesce(id({concept}), '0') <> '0'"
            )
    return " UNION ALL ".join(queries)


def death_query(source: str, columns: set[str]) -> str:
    """Death of each person who died."""
    row = _row(time=_time("death", columns), code=quoted(DEATH), source_ref=_ref("death", "person_id"))
    return f"SELECT {row} FROM {source} t"


def event_query(table: str, spec: EventColumns, source: str, columns: set[str]) -> str:
    """One event per row of a table."""

    def column(name: str) -> str:
        if name not in columns:
            return "NULL"
        return f"id(t.{name})" if name.endswith("_id") else f"CAST(t.{name} AS VARCHAR)"

    label, concept = table.upper(), column(spec.concept + "_concept_id")
    source_code = f"nullif({column(spec.concept + '_source_value')}, '')"
    unit = f"coalesce(u.code, nullif({column(spec.unit + '_source_value')}, ''))" if spec.unit else "NULL"
    row = _row(
        time=_time(spec.start, columns),
        end_time=_time(spec.end, columns),
        code=f"coalesce(c.system || '//' || c.code, 'OMOP//' || nullif({concept}, '0'), s.system || '//' || s.code, "
        f"'{label}//' || {source_code}, '{label}//0')",
        code_system="coalesce(c.system, s.system)",
        numeric_value=f"TRY_CAST({column(spec.number)} AS DOUBLE)" if spec.number else "NULL",
        value_text=f"nullif({column(spec.number)}, '')" if spec.number else "NULL",
        text_value=_text_value(spec, column),
        unit=unit,
        encounter_id=column("visit_occurrence_id"),
        source_ref=_ref(table, spec.key) if spec.key in columns else "NULL",
    )
    return f"SELECT {row} FROM {source} t {' '.join(_joins(spec, column))}"


def _text_value(spec: EventColumns, column: Callable[[str], str]) -> str:
    """The first of: operator of a number, concept of a value, text columns."""
    texts = [f"nullif({column(n)}, '')" for n in spec.text]
    if spec.chosen:
        texts.insert(0, f"coalesce(v.system || '//' || v.code, 'OMOP//' || nullif({column(spec.chosen)}, '0'))")
    if spec.operator:
        cases = " ".join(f"WHEN '{concept}' THEN '{sign}'" for concept, sign in OPERATORS.items())
        texts.insert(0, f"CASE {column(spec.operator)} {cases} END")
    return f"coalesce({', '.join(texts)})" if texts else "NULL"


def _joins(spec: EventColumns, column: Callable[[str], str]) -> list[str]:
    """Concepts of the event (c), of its source code (s), of a value (v) and of a unit (u)."""
    joins = [
        f"LEFT JOIN concepts c ON c.id = {column(spec.concept + '_concept_id')}",
        f"LEFT JOIN concepts s ON s.id = {column(spec.concept + '_source_concept_id')}",
    ]
    if spec.chosen:
        joins.append(f"LEFT JOIN concepts v ON v.id = {column(spec.chosen)}")
    if spec.unit:
        joins.append(f"LEFT JOIN concepts u ON u.id = {column(spec.unit + '_concept_id')}")
    return joins


def _ref(table: str, key: str) -> str:
    return f"'{table}/' || id(t.{key})"


def _time(stem: str, columns: set[str]) -> str:
    """The time of an element: its datetime, else its date; NULL if neither is a time."""
    forms = [
        f"TRY_CAST(t.{stem}{suffix} AS TIMESTAMP)" for suffix in ("_datetime", "_date") if stem and stem + suffix in columns
    ]
    return f"coalesce({', '.join(forms)})" if forms else "CAST(NULL AS TIMESTAMP)"


def _row(**expressions: str) -> str:
    """The columns of FOUND, NULL where no expression is given."""
    values = {"subject": "id(t.person_id)", **expressions}
    return ", ".join(f"CAST({values.get(n, 'NULL')} AS {SQL_TYPES.get(n, 'VARCHAR')}) AS {n}" for n in EVENT_COLUMNS)


EVENT_QUERIES: dict[str, Query] = {
    "person": person_query,
    "death": death_query,
    **{table: partial(event_query, table, spec) for table, spec in EVENT_TABLES.items()},
}
"""Queries by table; other tables (vocabulary, derived eras) have no events."""
