"""Writer of events as OMOP CDM 5.4 tables in CSV: codes as source values, with known concept ids."""

import csv
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from galenic.records.omop_model import columns_of
from galenic.records.writer import safe_text
from galenic.schema import BIRTH, DEATH

Row = dict[str, Any]
TABLES = {  # of FHIR types and OMOP tables
    "Encounter": "visit_occurrence", "Condition": "condition_occurrence", "MedicationRequest": "drug_exposure",
    "MedicationStatement": "drug_exposure", "MedicationAdministration": "drug_exposure", "Immunization": "drug_exposure",
    "Procedure": "procedure_occurrence", "Observation": "measurement", "AllergyIntolerance": "observation",
}  # fmt: skip
STEMS = {
    "visit_occurrence": ("visit", "visit_start", "visit_end"), "condition_occurrence": ("condition", "condition_start", "condition_end"),
    "drug_exposure": ("drug", "drug_exposure_start", "drug_exposure_end"), "procedure_occurrence": ("procedure", "procedure", "procedure_end"),
    "measurement": ("measurement", "measurement", ""), "observation": ("observation", "observation", ""),
}  # fmt: skip
NUMBERS = {
    "measurement": "value_as_number",
    "observation": "value_as_number",
    "drug_exposure": "quantity",
    "procedure_occurrence": "quantity",
}
TEXTS = {"measurement": "value_source_value", "observation": "value_as_string", "condition_occurrence": "stop_reason"}
GENDER = {"M": 8507, "male": 8507, "F": 8532, "female": 8532, "8507": 8507, "8532": 8532}
TYPE = 32817  # EHR (https://athena.ohdsi.org, domain Type Concept)
WRITTEN = ("person", "death", *STEMS)


class OmopWriter:
    """Writer of one data set into a folder, used in a with statement. dropped: number of events and values without a column."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dropped = folder, Counter[str]()
        self.rows = Counter[str]()
        self._stack = ExitStack()

    def __enter__(self) -> "OmopWriter":
        files = {
            t: self._stack.enter_context((self.folder / f"{t}.csv").open("w", newline="", encoding="utf-8")) for t in WRITTEN
        }
        self._writers = {t: csv.DictWriter(f, columns_of(t, "5.4"), restval="", lineterminator="\n") for t, f in files.items()}
        for writer in self._writers.values():
            writer.writeheader()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def put(self, person: int, rows: list[Row]) -> None:
        """Writes all events of one person."""
        about: Row = {"person_id": person, "gender_concept_id": 0, "race_concept_id": 0, "ethnicity_concept_id": 0}
        visits: dict[str, int] = {}
        for row in sorted(rows, key=lambda r: _table(r) != "visit_occurrence"):
            if self._person(about, row):
                continue
            table = _table(row)
            if table is None:
                self.dropped[f"{str(row['code']).partition('//')[0]}: no table for it"] += 1
            elif row["time"] is None:
                self.dropped[f"{table}: no time"] += 1
            else:
                self._event(table, person, row, visits)
        if "year_of_birth" not in about:
            self.dropped["person: no birth date"] += 1
            about["year_of_birth"] = 0
        self._write("person", about)

    def _person(self, about: Row, row: Row) -> bool:
        code = str(row["code"])
        label, _, value = code.partition("//")
        if code == BIRTH and row["time"] is not None:
            at = _at(row["time"])
            about |= {"year_of_birth": at.year, "month_of_birth": at.month, "day_of_birth": at.day, "birth_datetime": _text(at)}
        elif code == DEATH:
            if row["time"] is None:
                self.dropped["death: no time"] += 1
            else:
                at = _at(row["time"])
                death = {"person_id": about["person_id"], "death_date": at.date(), "death_datetime": _text(at)}
                self._write("death", {**death, "death_type_concept_id": TYPE})
        elif label in ("GENDER", "SEX", "RACE", "ETHNICITY"):
            name = "gender" if label == "SEX" else label.lower()
            value = value or str(row["text_value"])
            known = GENDER.get(value, 0) if name == "gender" else int(value) if value.isdecimal() and len(value) == 7 else 0
            about |= {f"{name}_concept_id": known, f"{name}_source_value": value.rpartition("//")[2]}
        else:
            return False
        return True

    def _event(self, table: str, person: int, row: Row, visits: dict[str, int]) -> None:
        concept, start, end = STEMS[table]
        self.rows[table] += 1
        key = self.rows[table]
        at = _at(row["time"])
        code = str(row["code"])
        own = code.removeprefix("OMOP//") if code.startswith("OMOP//") else "0"
        out: Row = {f"{table}_id": key, "person_id": person, f"{concept}_concept_id": own, f"{concept}_source_value": code}
        out |= {f"{start}_date": at.date(), f"{start}_datetime": _text(at), f"{concept}_type_concept_id": TYPE}
        out[f"{concept}_source_concept_id"] = 0
        if end and (row["end_time"] is not None or table in ("visit_occurrence", "drug_exposure")):
            last = _at(row["time"] if row["end_time"] is None else row["end_time"])
            out |= {f"{end}_date": last.date(), f"{end}_datetime": _text(last)}
        visit = row["encounter_id"]
        if table == "visit_occurrence":
            visits[str(visit)] = key
        elif visit:
            out["visit_occurrence_id"] = visits.get(str(visit), "")
        self._value(table, row, out)
        self._write(table, out)

    def _value(self, table: str, row: Row, out: Row) -> None:
        number, text = row["numeric_value"], row["text_value"]
        if number is not None and table in NUMBERS:
            out[NUMBERS[table]] = row["value_text"] or number
            if row["unit"] and table in ("measurement", "observation"):
                out["unit_source_value"] = row["unit"]
        elif number is not None:
            self.dropped[f"{table}: value"] += 1
        if text and table in TEXTS:
            out[TEXTS[table]] = text
        elif text and table != "visit_occurrence":
            self.dropped[f"{table}: text"] += 1

    def _write(self, table: str, row: Row) -> None:
        if table == "person":
            self.rows["person"] += 1
        self._writers[table].writerow({k: safe_text(v) if isinstance(v, str) else v for k, v in row.items()})


def _table(row: Row) -> str | None:
    source = str(row["source_ref"] or "").partition("/")[0]
    if source in STEMS:
        return source
    return TABLES.get(source) if source else "observation"


def _at(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
