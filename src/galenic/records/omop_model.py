"""OMOP Common Data Model 5.3 and 5.4: columns of its tables, and the columns of events."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

VERSIONS = ("5.3", "5.4")


@cache
def columns_of(table: str, version: str) -> tuple[str, ...]:
    """Columns of a table in one version of the model, in order; none for a table that is not described here.

    From omop_columns.csv; source: https://ohdsi.github.io/CommonDataModel.
    """
    text = files("galenic.records").joinpath("omop_columns.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(r["column"] for r in rows if r["table"] == table and r["version"] in ("", version))


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Columns of a table that contain the parts of an event; times without _date and _datetime, empty if the table has none."""

    key: str
    start: str
    end: str
    concept: str
    number: str = ""
    text: tuple[str, ...] = ()
    chosen: str = ""  # concept id of a value
    unit: str = ""
    operator: str = ""


EVENT_TABLES = {
    "visit_occurrence": EventColumns("visit_occurrence_id", "visit_start", "visit_end", "visit"),
    "condition_occurrence": EventColumns("condition_occurrence_id", "condition_start", "condition_end", "condition", text=("stop_reason",)),
    "drug_exposure": EventColumns("drug_exposure_id", "drug_exposure_start", "drug_exposure_end", "drug", number="quantity"),
    "procedure_occurrence": EventColumns("procedure_occurrence_id", "procedure", "procedure_end", "procedure", number="quantity"),
    "device_exposure": EventColumns("device_exposure_id", "device_exposure_start", "device_exposure_end", "device", number="quantity"),
    "measurement": EventColumns(
        "measurement_id", "measurement", "", "measurement", "value_as_number", ("value_source_value",), "value_as_concept_id",
        "unit", "operator_concept_id",
    ),
    "observation": EventColumns(
        "observation_id", "observation", "", "observation", "value_as_number", ("value_as_string", "value_source_value"),
        "value_as_concept_id", "unit",
    ),
}  # fmt: skip
VOCABULARY = frozenset(
    ("concept", "concept_ancestor", "concept_class", "concept_relationship", "concept_synonym", "domain", "drug_strength")
) | {"relationship", "vocabulary"}
