"""MEDS 0.4 data sets, read and written: data/*.parquet, metadata/codes.parquet, metadata/dataset.json."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galenic.errors import RecordError
from galenic.records.links import refuse_links
from galenic.records.parquet_limits import read_bounded
from galenic.schema import TIMELINE
from galenic.store import folder_aside

VERSION = "0.4"
NEEDED = ("subject_id", "time", "code", "numeric_value")
CODES = pa.schema([("code", pa.string()), ("description", pa.string()), ("parent_codes", pa.list_(pa.string()))])
ORDER = [("subject_id", "ascending", "at_start"), ("time", "ascending", "at_start")]


def write_meds(groups: Iterable[pa.Table], folder: Path, *, name: str, codes: pa.Table | None = None) -> int:
    """Writes a data set, completely or not at all. Returns the number of events.

    groups: tables of TIMELINE's columns, each with all events of its subjects; each becomes one file, sorted by subject and
    time (events without a time first). codes: descriptions and parents of codes, where they are known.
    """
    seen: set[int] = set()
    used: set[str] = set()
    count = 0
    with folder_aside(folder) as aside:
        (aside / "data").mkdir()
        (aside / "metadata").mkdir()
        for number, group in enumerate(groups):
            table = _sorted(group)
            subjects = set(pc.unique(table["subject_id"]).to_pylist())
            if subjects & seen:
                raise RecordError("the events of one subject are in two groups. Put all events of a subject in one group.")
            seen |= subjects
            used |= set(pc.unique(table["code"]).to_pylist())
            count += table.num_rows
            pq.write_table(table, aside / "data" / f"{number:05d}.parquet", compression="zstd")
        pq.write_table(_codes(used, codes), aside / "metadata" / "codes.parquet", compression="zstd")
        about = {"dataset_name": name, "etl_name": "galenic", "meds_version": VERSION}
        (aside / "metadata" / "dataset.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return count


def _sorted(group: pa.Table) -> pa.Table:
    table = group.select(TIMELINE.names).cast(TIMELINE)
    if table["subject_id"].null_count or table["code"].null_count:
        raise RecordError("an event has no subject or no code. Every event needs both.")
    order = pc.sort_indices(table, sort_keys=ORDER)
    return table.take(order)


def _codes(used: set[str], known: pa.Table | None) -> pa.Table:
    about = {r["code"]: r for r in known.to_pylist()} if known is not None else {}
    nothing: dict[str, object] = {"description": None, "parent_codes": None}
    return pa.Table.from_pylist([{**nothing, **about.get(c, {}), "code": c} for c in sorted(used)], schema=CODES)


def read_meds(folder: Path) -> Iterator[pa.Table]:
    """Tables of TIMELINE's columns, file by file; columns that a data set lacks are null, further columns are left out.

    Raise RecordError if it is not a MEDS data set, lacks a required column, or is not sorted by subject and time.
    """
    for where, table in read_whole(folder):
        yield as_timeline(table, where)


class MedsFiles:
    """Data files of a data set: (path within it, table with all its columns)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        refuse_links(folder)
        self.paths = sorted((folder / "data").rglob("*.parquet")) if (folder / "data").is_dir() else []
        if not self.paths:
            raise RecordError(f"{folder} is not a MEDS data set. Expected data/*.parquet in it.")

    def __len__(self) -> int:
        """Number of files."""
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        """Reads the files one by one."""
        for path in self.paths:
            where = str(path.relative_to(self.folder))
            try:
                table = read_bounded(path)
            except (pa.ArrowException, OSError) as error:
                raise RecordError(f"{where} cannot be read ({type(error).__name__}). Expected a Parquet file.") from None
            absent = [n for n in NEEDED if n not in table.column_names]
            if absent:
                raise RecordError(f"{where} has no column {', '.join(absent)}, which MEDS requires. Add it.")
            as_timeline(table, where)  # checks types and order before a row is stored
            yield where, table


def read_whole(folder: Path) -> MedsFiles:
    """All files with all their columns, checked as by `read_meds`."""
    return MedsFiles(folder)


def as_timeline(table: pa.Table, where: str) -> pa.Table:
    """Columns of TIMELINE. Raise RecordError for wrong types, events without a subject or code, or another order."""
    columns = []
    for field in TIMELINE:
        try:
            found = (
                table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
            )
        except pa.ArrowException:
            raise RecordError(f"column {field.name} of {where} has the wrong type. Expected {field.type}.") from None
        columns.append(found)
    out = pa.table(columns, schema=TIMELINE)
    if out["subject_id"].null_count or out["code"].null_count:
        raise RecordError(f"{where} has events without a subject or a code. MEDS requires both in every row.")
    order = pc.sort_indices(out, sort_keys=ORDER)
    if out.num_rows and not out.select(["subject_id", "time"]).take(order).equals(out.select(["subject_id", "time"])):
        raise RecordError(f"{where} is not sorted by subject and time, which MEDS requires. Sort it.")
    return out


def read_codes(folder: Path) -> pa.Table:
    """metadata/codes.parquet as code, description, parent_codes; empty if there is none."""
    table = read_codes_whole(folder)
    columns = [table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(table.num_rows, f.type) for f in CODES]
    return pa.table(columns, schema=CODES)


def read_codes_whole(folder: Path) -> pa.Table:
    """metadata/codes.parquet with all its columns; empty if there is none."""
    place = folder / "metadata" / "codes.parquet"
    if not place.exists():
        return CODES.empty_table()
    try:
        table = read_bounded(place)
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"metadata/codes.parquet cannot be read ({type(error).__name__}). Expected a Parquet file.") from None
    if "code" not in table.column_names:
        raise RecordError("metadata/codes.parquet has no column named code. Add it.")
    return table
