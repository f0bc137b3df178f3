"""Planted copies of MEDS data sets: subjects and times are replaced; texts, codes and labels get additional identifiers."""

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galenic.errors import RecordError
from galenic.privacy.deidentification.planting.copies import TEXT_LIMIT, PlantedCopy, Planting
from galenic.privacy.deidentification.planting.dates import days_of_a_week
from galenic.privacy.deidentification.planting.identifiers import Plant
from galenic.records import ORDER, VERSION, as_timeline, read_codes_whole, read_whole
from galenic.schema import TIMELINE

MOST_EVENTS, MOST_SUBJECTS, MOST_SHARDS = 400, 40, 4  # of the sample
MOST_PER_STRATUM = 40  # places of one copy at which identifiers are planted
REPEATED = 20  # repetitions of a description
_IN_CODES = ("name", "phone", "name", "email", "ssn")  # a number without a form of its own cannot be told from a code
_COLUMNS = {"code": "MEDS codes", "unit": "MEDS units and code systems", "code_system": "MEDS units and code systems"}
_TEXTS, _TIMES, _SUBJECTS = "MEDS values, text", "MEDS times", "MEDS subjects"
_DESCRIPTIONS, _OTHER = "MEDS descriptions of codes", "MEDS columns of other standards"
_CODES = pa.schema([("code", pa.string()), ("description", pa.string()), ("parent_codes", pa.list_(pa.string()))])
Row = dict[str, Any]


class MedsPlanter:
    """Copies have the events of some subjects."""

    most_copies = 40

    def copies(self, file: Path, folder: Path, planting: Planting) -> Iterator[PlantedCopy]:
        """Copies of a sample of a data set."""
        try:
            rows = _sample(file, planting.maker.rng)
            used = {row["code"] for row in rows}
            codes = [{n: row.get(n) for n in _CODES.names} for row in read_codes_whole(file).to_pylist() if row["code"] in used]
        except RecordError:
            return
        before = "\n".join(str(v) for row in (*rows, *codes) for v in row.values() if v is not None)
        while rows:
            repeated = [dict(row) for row in codes for _ in range(REPEATED)][:MOST_EVENTS]
            copy = _TimelineCopy([dict(row) for row in rows], repeated, planting)
            plants = copy.plant()
            if not plants:
                return
            copy.write(folder / file.name)
            yield PlantedCopy(folder / file.name, plants, before)

    def parts(self, _output: Path) -> frozenset[str] | None:
        """None: the columns of MEDS are written, all others are left out."""
        return None

    def part_of(self, _stratum: str) -> str:
        """None."""
        return ""


def _sample(folder: Path, rng: np.random.Generator) -> list[Row]:
    """Events of some subjects, from some files."""
    shards = read_whole(folder)
    chosen = rng.permutation(len(shards))[:MOST_SHARDS]
    shards.paths = [shards.paths[i] for i in chosen]
    rows: list[Row] = []
    for name, table in shards:
        timeline, subjects = as_timeline(table, name), np.asarray(table["subject_id"])
        for subject in rng.permutation(np.unique(subjects))[: MOST_SUBJECTS // len(chosen)]:
            at = int(np.searchsorted(subjects, subject))
            count = min(int((subjects == subject).sum()), MOST_EVENTS // MOST_SUBJECTS * 4)
            rows += timeline.slice(at, count).to_pylist()
            if len(rows) >= MOST_EVENTS:
                return rows[:MOST_EVENTS]
    return rows


@dataclass
class _TimelineCopy:
    """A sample in memory. codes: of metadata/codes.parquet. planting: what is planted into it."""

    rows: list[Row]
    codes: list[Row]
    planting: Planting

    def plant(self) -> list[Plant]:
        """Plant into places of each stratum; returns what was planted."""
        plants = [*self._subjects(), *self._times(), *self._texts()]
        for column, stratum in _COLUMNS.items():
            plants += self._labels(self.rows, column, stratum)
        plants += self._labels(self.codes, "description", _DESCRIPTIONS)
        self.other = [self.planting.maker.name("Two Words") for _ in self.rows[:MOST_PER_STRATUM]]
        if not self.planting.is_enough(_OTHER) and "name" not in self.planting.kept:
            plants += [Plant(_OTHER, "name", name) for name in self.other]
        return plants

    def _some(self, rows: list[Row], column: str) -> list[Row]:
        """Some rows with a text in a column."""
        filled = [row for row in rows if isinstance(row[column], str) and any(c.isalpha() for c in row[column])]
        return [filled[i] for i in self.planting.maker.rng.permutation(len(filled))[:MOST_PER_STRATUM]]

    def _subjects(self) -> list[Plant]:
        """New subjects in every copy: who is not planted any more is another person still."""
        rng = self.planting.maker.rng
        new = {s: int(rng.integers(100_000_000, 999_999_999)) for s in {row["subject_id"] for row in self.rows}}
        for row in self.rows:
            row["subject_id"] = new[row["subject_id"]]
        return [] if "record" in self.planting.kept else [Plant(_SUBJECTS, "record", str(s)) for s in new.values()]

    def _times(self) -> list[Plant]:
        """All times become those of one week."""
        if "date" in self.planting.kept or self.planting.is_enough(_TIMES):
            return []
        days, rng, plants = days_of_a_week(self.planting.maker.rng), self.planting.maker.rng, list[Plant]()
        for row in self.rows:
            for column in ("time", "end_time"):
                if row[column] is not None:
                    day = days[int(rng.integers(7))]
                    row[column] = datetime.datetime.combine(day, row[column].time())
                    plants.append(Plant(_TIMES, "date", day.isoformat(), day))
        return plants[:MOST_PER_STRATUM]

    def _texts(self) -> list[Plant]:
        """Identifiers in texts; texts are left out once enough was planted in them, because they cost most."""
        plants: list[Plant] = []
        if self.planting.is_enough(_TEXTS):
            self.rows = [{**row, "text_value": None} for row in self.rows]
        for row in self._some(self.rows, "text_value"):
            row["text_value"], more = self.planting.texts.plant(row["text_value"][:TEXT_LIMIT], _TEXTS, 1)
            plants += more
        return plants

    def _labels(self, rows: list[Row], column: str, stratum: str) -> list[Plant]:
        """Identifiers behind codes and labels."""
        kinds = [kind for kind in _IN_CODES if kind not in self.planting.kept]
        if not kinds or self.planting.is_enough(stratum):
            return []
        plants = []
        for number, row in enumerate(self._some(rows, column)):
            kind = kinds[number % len(kinds)]
            value = self.planting.maker.name("Two Words") if kind == "name" else self.planting.maker.value(kind)[0]
            row[column] = f"{row[column]} {value}"
            plants.append(Plant(stratum, kind, value))
        return plants

    def write(self, folder: Path) -> None:
        """Write the copy as a data set."""
        (folder / "data").mkdir(parents=True)
        (folder / "metadata").mkdir()
        table = pa.Table.from_pylist(self.rows, schema=TIMELINE).append_column(
            "seen_by", pa.array([self.other[i % len(self.other)] for i in range(len(self.rows))])
        )
        pq.write_table(table.take(pc.sort_indices(table, sort_keys=ORDER)), folder / "data" / "0.parquet")
        pq.write_table(pa.Table.from_pylist(self.codes, schema=_CODES), folder / "metadata" / "codes.parquet")
        about = {"dataset_name": "copy", "etl_name": "galenic", "meds_version": VERSION}
        (folder / "metadata" / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
