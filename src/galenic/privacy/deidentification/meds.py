"""De-identification of MEDS data sets: same folder layout, new subject ids, times by policy, text searched."""

import hmac
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galenic.errors import RecordError
from galenic.privacy.deidentification.rules.coded_text import search_coded
from galenic.privacy.deidentification.rules.coded_words import is_plain
from galenic.privacy.deidentification.rules.codes import is_unit, published_system
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import (
    Detector,
    Replacer,
    StatedIdentifiers,
    TextFindings,
    check_time,
    deidentify_text,
    reveals_age_over_89,
)
from galenic.records import ORDER, VERSION, as_timeline, read_codes_whole, read_whole

COLUMNS = ("subject_id", "time", "code", "numeric_value", "text_value", "end_time", "code_system", "unit", "utc_offset")
_DAY = 86_400_000_000  # microseconds
_MAX_SUBJECT_ID = 1 << 52  # large enough for no collision within a data set, small enough for readers that use doubles


class MedsDeidentifier:
    """One data set (a folder) at a time."""

    def recognizes(self, path: Path) -> bool:
        """A folder with data/*.parquet and metadata/."""
        return (path / "data").is_dir() and (path / "metadata").is_dir() and any((path / "data").rglob("*.parquet"))

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Does nothing: MEDS has no columns for names and numbers of patients."""

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write one data set. Columns that MEDS does not define, and references to the source, are left out and counted."""
        events = _EventRewriter(run)
        shards = read_whole(file)
        (out / "metadata").mkdir(parents=True)
        count = 0
        for name, table in shards:
            run.report.omissions.update(f"MEDS column {n}" for n in table.column_names if n not in COLUMNS)
            check_time()
            clean = events.rewrite(as_timeline(table, name))
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(clean, target, compression="zstd")
            count += clean.num_rows
        _write_codes(file, out, events)
        splits = file / "metadata" / "subject_splits.parquet"
        if splits.exists():
            events.write_splits(splits, out / "metadata" / "subject_splits.parquet")
        about = {"dataset_name": "de-identified", "etl_name": "galenic", "meds_version": VERSION}
        (out / "metadata" / "dataset.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        run.report.resources["MEDS events"] += count
        for replacer in events.replacers.values():
            run.report.count(replacer)


def _write_codes(folder: Path, out: Path, events: "_EventRewriter") -> None:
    codes = read_codes_whole(folder)
    if not codes.num_rows:
        return
    columns = {"code": pa.array([events.code(c) for c in codes["code"].to_pylist()], pa.string())}
    if "description" in codes.column_names:
        columns["description"] = pa.array([d and events.code(d) for d in codes["description"].to_pylist()], pa.string())
    if "parent_codes" in codes.column_names:
        parents = codes["parent_codes"].to_pylist()
        columns["parent_codes"] = pa.array([p and [events.code(c) for c in p] for p in parents], pa.list_(pa.string()))
    pq.write_table(pa.table(columns), out / "metadata" / "codes.parquet", compression="zstd")


@dataclass
class _CodeRules:
    """Detector, replacer and counts for the search of codes and descriptions, in which names are searched word by word."""

    detector: Detector
    replacer: Replacer
    findings: TextFindings
    stated: StatedIdentifiers | None = None

    def clean(self, code: str) -> str:
        """Code or description without identifiers. If it has several words, words that no terminology has are removed."""
        if " " in code.strip():
            return search_coded(code, self)
        return deidentify_text(code, self.detector, self.replacer, None, None)

    def unit(self, unit: str) -> str | None:
        """UCUM unit, or nothing."""
        return unit if is_unit(unit) else None

    def system(self, system: str) -> str | None:
        """Published code system or one whose name consists of known words, or nothing."""
        known = published_system(system) is not None or is_plain(system.lower(), self.detector.common)
        return system if known else None


class _EventRewriter:
    def __init__(self, run: DeidentificationRun) -> None:
        self.run = run
        self.replacers = {0: run.replacer("")}
        self.date_treatment = run.report.policy["date"]
        without_tagger = Detector(None, common=run.detector.common)
        rules = _CodeRules(without_tagger, run.replacer("codes"), run.report.findings)
        self.code = lru_cache(200_000)(rules.clean)
        self.labels = {"code_system": lru_cache(10_000)(rules.system), "unit": lru_cache(10_000)(rules.unit)}

    def new_subject_id(self, subject: int) -> int:
        """New id for a subject; the same in every file with the same key."""
        return int.from_bytes(hmac.digest(self.run.key, b"subject %d" % subject, "sha256")[:8], "big") % _MAX_SUBJECT_ID

    def rewrite(self, events: pa.Table) -> pa.Table:
        """The events of one shard without identifiers, in MEDS order."""
        subjects = events["subject_id"].to_pylist()
        new_ids = self._new_subject_ids(subjects)
        columns = {
            "subject_id": pa.array([new_ids[s] for s in subjects], pa.int64()),
            "time": self._times(events["time"], subjects),
            "code": pa.array([self.code(c) for c in events["code"].to_pylist()], pa.string()),
            "numeric_value": events["numeric_value"],
            "text_value": self._texts(events["text_value"], subjects),
            "end_time": self._times(events["end_time"], subjects),
            **{name: self._labels(events[name], name) for name in self.labels},
            "utc_offset": events["utc_offset"],
        }
        out = pa.table(columns)
        return out.take(pc.sort_indices(out, sort_keys=ORDER))

    def _labels(self, values: pa.ChunkedArray, name: str) -> pa.Array:
        """Units or code systems; those that are not known are left out and counted."""
        old = values.to_pylist()
        new = [v and self.labels[name](v) for v in old]
        self.run.report.omissions[f"MEDS {name} (unknown)"] += sum(
            a is not None and b is None for a, b in zip(old, new, strict=True)
        )
        return pa.array(new, pa.string())

    def _new_subject_ids(self, subjects: list[int]) -> dict[int, int]:
        report = self.run.report
        new_ids = {s: self.new_subject_id(s) for s in dict.fromkeys(subjects)}
        if len(set(new_ids.values())) < len(new_ids):
            raise RecordError("two subjects received the same new id by chance. Run again with a different key.")
        report.findings.counts["record", "field"] += len(new_ids)
        report.replacements["record", "tokenise"] += len(new_ids)
        for subject in new_ids:
            if subject not in self.replacers:
                self.replacers[subject] = self.run.replacer(str(subject))
        return new_ids

    def _texts(self, values: pa.ChunkedArray, subjects: list[int]) -> pa.Array:
        run = self.run
        clean = [
            v and deidentify_text(v, run.detector, self.replacers[s], None, run.report.findings)
            for v, s in zip(values.to_pylist(), subjects, strict=True)
        ]
        return pa.array(clean, pa.large_string())

    def _times(self, times: pa.ChunkedArray, subjects: list[int]) -> pa.Array:
        """Kept, shifted by the subject's whole weeks, or 1 January of the year; a year that reveals an age over 89 is left out."""
        count = len(times) - times.null_count
        self.run.report.findings.counts["date", "field"] += count
        self.run.report.replacements["date", self.date_treatment] += count
        if self.date_treatment == "keep":
            return times.combine_chunks()
        if self.date_treatment == "surrogate":
            days = {s: self.replacers[s].days for s in set(subjects)}
            shift = pa.array([days[s] * _DAY for s in subjects], pa.int64())
            return pc.add(times.cast(pa.int64()), shift).cast(pa.timestamp("us")).combine_chunks()
        if self.date_treatment != "generalise":
            return pa.nulls(len(times), pa.timestamp("us"))
        firsts = [None if y is None or reveals_age_over_89(y) else f"{y:04d}-01-01" for y in pc.year(times).to_pylist()]
        return pa.array(firsts, pa.string()).cast(pa.timestamp("us"))

    def write_splits(self, source: Path, out: Path) -> None:
        """Write subject_splits.parquet with the new ids."""
        table = pq.read_table(source)
        if set(table.column_names) != {"subject_id", "split"}:
            raise RecordError("metadata/subject_splits.parquet has unexpected columns. Expected subject_id and split.")
        ids = pa.array([self.new_subject_id(s) for s in table["subject_id"].to_pylist()], pa.int64())
        pq.write_table(pa.table({"subject_id": ids, "split": table["split"]}), out, compression="zstd")
