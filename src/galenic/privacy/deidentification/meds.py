"""MEDS data sets: the same folder out, subjects under other numbers, times by the policy, texts searched."""

import hmac
import json
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galenic.errors import RecordError
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import deidentify_text, reveals_age_over_89
from galenic.records import ORDER, VERSION, as_timeline, read_codes_whole, read_whole

KEPT = ("subject_id", "time", "code", "numeric_value", "text_value", "end_time", "code_system", "unit", "utc_offset")
_DAY = 86_400_000_000  # microseconds
_NUMBERS = (
    1 << 52
)  # subjects' new numbers: large enough that two are never the same in one data set, small enough for any reader


def is_meds(folder: Path) -> bool:
    """A folder with data/*.parquet and metadata/."""
    return (folder / "data").is_dir() and (folder / "metadata").is_dir() and any((folder / "data").rglob("*.parquet"))


def write_meds_clean(folder: Path, out: Path, run: DeidentificationRun) -> None:
    """One data set. Columns that MEDS does not have are left out and listed, as are references to the source."""
    one = _Lines(run)
    files = read_whole(folder)
    (out / "metadata").mkdir(parents=True)
    events = 0
    for where, table in files:
        run.done.dropped.update(f"MEDS column {n}" for n in table.column_names if n not in KEPT)
        clean = one.table(as_timeline(table, where))
        target = out / where
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(clean, target, compression="zstd")
        events += clean.num_rows
    codes = read_codes_whole(folder)
    if codes.num_rows:
        columns = {"code": pa.array([one.code(c) for c in codes["code"].to_pylist()], pa.string())}
        if "description" in codes.column_names:
            columns["description"] = pa.array([d and one.code(d) for d in codes["description"].to_pylist()], pa.string())
        if "parent_codes" in codes.column_names:
            columns["parent_codes"] = codes["parent_codes"]
        pq.write_table(pa.table(columns), out / "metadata" / "codes.parquet", compression="zstd")
    splits = folder / "metadata" / "subject_splits.parquet"
    if splits.exists():
        one.splits(splits, out / "metadata" / "subject_splits.parquet")
    about = {"dataset_name": "de-identified", "etl_name": "galenic", "meds_version": VERSION}
    (out / "metadata" / "dataset.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    run.done.resources["MEDS events"] += events
    for replacer in one.replacers.values():
        run.done.treated.update(replacer.counted)


class _Lines:
    def __init__(self, run: DeidentificationRun) -> None:
        self.run = run
        self.replacers = {0: run.replacer("")}
        self.how = run.done.policy["date"]
        plain = type(run.detector)(None, common=run.detector.common)
        nobody = run.replacer("codes")
        self.code = lru_cache(200_000)(lambda text: deidentify_text(text, plain, nobody, None, None))

    def number(self, subject: int) -> int:
        """Another number for a subject; the same in every file under the same key."""
        return int.from_bytes(hmac.digest(self.run.key, b"subject %d" % subject, "sha256")[:8], "big") % _NUMBERS

    def table(self, lines: pa.Table) -> pa.Table:
        subjects = lines["subject_id"].to_pylist()
        run, done = self.run, self.run.done
        new = {s: self.number(s) for s in dict.fromkeys(subjects)}
        if len(set(new.values())) < len(new):
            raise RecordError("two subjects got the same number by chance. Run again with another key.")
        done.taken.found["record", "field"] += len(new)
        done.treated["record", "tokenise"] += len(new)
        for subject in new:
            if subject not in self.replacers:
                self.replacers[subject] = run.replacer(str(subject))
        columns = {
            "subject_id": pa.array([new[s] for s in subjects], pa.int64()),
            "time": self._times(lines["time"], subjects),
            "code": pa.array([self.code(c) for c in lines["code"].to_pylist()], pa.string()),
            "numeric_value": lines["numeric_value"],
            "text_value": pa.array(
                [
                    v and deidentify_text(v, run.detector, self.replacers[s], None, done.taken)
                    for v, s in zip(lines["text_value"].to_pylist(), subjects, strict=True)
                ],
                pa.large_string(),
            ),
            "end_time": self._times(lines["end_time"], subjects),
            **{name: lines[name] for name in ("code_system", "unit", "utc_offset")},
        }
        out = pa.table(columns)
        return out.take(pc.sort_indices(out, sort_keys=ORDER))

    def _times(self, times: pa.ChunkedArray, subjects: list[int]) -> pa.Array:
        """Kept, moved by the subject's whole weeks, or the first of their year; a year that tells an age past 89 is left out."""
        many = len(times) - times.null_count
        self.run.done.taken.found["date", "field"] += many
        self.run.done.treated["date", self.how] += many
        if self.how == "keep":
            return times.combine_chunks()
        if self.how == "surrogate":
            days = {s: self.replacers[s].days for s in set(subjects)}
            moved = pa.array([days[s] * _DAY for s in subjects], pa.int64())
            return pc.add(times.cast(pa.int64()), moved).cast(pa.timestamp("us")).combine_chunks()
        if self.how != "generalise":
            return pa.nulls(len(times), pa.timestamp("us"))
        firsts = [None if y is None or reveals_age_over_89(y) else f"{y:04d}-01-01" for y in pc.year(times).to_pylist()]
        return pa.array(firsts, pa.string()).cast(pa.timestamp("us"))

    def splits(self, place: Path, out: Path) -> None:
        table = pq.read_table(place)
        if set(table.column_names) != {"subject_id", "split"}:
            raise RecordError("metadata/subject_splits.parquet has other columns than subject_id and split.")
        numbers = pa.array([self.number(s) for s in table["subject_id"].to_pylist()], pa.int64())
        pq.write_table(pa.table({"subject_id": numbers, "split": table["split"]}), out, compression="zstd")
