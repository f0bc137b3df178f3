"""Timelines out to MEDS and in again: the same events, sorted, and refusals that say what MEDS needs."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic.errors import RecordError, StateError
from galenic.records.meds import CODES, read_codes, read_meds, write_meds
from galenic.schema import TIMELINE

moments = st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
events = st.fixed_dictionaries(
    {
        "subject_id": st.integers(-(2**63), 2**63 - 1),
        "time": moments,
        "code": st.text(min_size=1, max_size=12),
        "numeric_value": st.none() | st.floats(width=32, allow_nan=False),
        "text_value": st.none() | st.text(max_size=12),
        "end_time": moments,
        "unit": st.none() | st.text(max_size=5),
        "value_text": st.none() | st.text(max_size=5),
        "utc_offset": st.none() | st.integers(-840, 840),
        "source_ref": st.none() | st.text(max_size=8),
    }
)


def table(rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist([{n: r.get(n) for n in TIMELINE.names} for r in rows], schema=TIMELINE)


def key(row: dict[str, object]) -> str:
    return repr([row[n] for n in TIMELINE.names])


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=20))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]) -> None:
    folder = tmp_path_factory.mktemp("meds") / "out"
    made = table(rows)
    assert write_meds([made], folder, name="test") == len(rows)
    read = pa.concat_tables(read_meds(folder))
    assert sorted(map(key, read.to_pylist())) == sorted(map(key, made.to_pylist()))
    assert read_codes(folder)["code"].to_pylist() == sorted({str(r["code"]) for r in rows})


def test_what_is_written_is_meds(tmp_path: Path) -> None:
    meds = pytest.importorskip("meds")
    rows = [
        {"subject_id": 2, "time": datetime(2020, 1, 1), "code": "b"},
        {"subject_id": 1, "time": None, "code": "a", "numeric_value": 1.5},
    ]
    codes = pa.Table.from_pylist([{"code": "a", "description": "first", "parent_codes": ["x"]}], schema=CODES)
    write_meds([table(rows)], tmp_path / "out", name="test", codes=codes)
    whole = pq.read_table(tmp_path / "out" / "data" / "00000.parquet")
    meds.DataSchema.validate(whole.select(["subject_id", "time", "code", "numeric_value", "text_value"]))
    assert whole["subject_id"].to_pylist() == [1, 2]
    meds.CodeMetadataSchema.validate(pq.read_table(tmp_path / "out" / meds.code_metadata_filepath))
    assert read_codes(tmp_path / "out").to_pylist()[0]["description"] == "first"


def test_a_data_set_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    twice = table([{"subject_id": 1, "code": "a"}])
    with pytest.raises(RecordError, match="two groups"):
        write_meds([twice, twice], tmp_path / "out", name="test")
    with pytest.raises(RecordError, match="no subject or no code"):
        write_meds([table([{"subject_id": 1, "code": None}])], tmp_path / "out", name="test")
    assert not list(tmp_path.iterdir())
    write_meds([twice], tmp_path / "out", name="test")
    with pytest.raises(StateError):
        write_meds([twice], tmp_path / "out", name="test")


def test_other_peoples_data_sets_are_read_as_far_as_they_are_meds(tmp_path: Path) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    place = tmp_path / "data" / "train" / "0.parquet"
    plain = pa.table(
        {
            "subject_id": [1, 1],
            "time": [None, datetime(2020, 1, 1)],
            "code": ["a", "b"],
            "numeric_value": [None, 2.0],
            "own": [1, 2],
        }
    )
    pq.write_table(plain, place)
    (read,) = read_meds(tmp_path)
    assert read.schema == TIMELINE
    assert read["unit"].null_count == 2
    for bad, says in (
        (plain.drop_columns(["code"]), "no column (named )?code"),
        (plain.take([1, 0]), "not sorted"),
        (plain.set_column(0, "subject_id", pa.array(["x", "y"])), "wrong type"),
        (plain.set_column(0, "subject_id", pa.array([1, None])), "without a subject"),
    ):
        pq.write_table(bad, place)
        with pytest.raises(RecordError, match=says):
            list(read_meds(tmp_path))
    place.write_bytes(b"no parquet")
    with pytest.raises(RecordError, match="cannot be read"):
        list(read_meds(tmp_path))
    with pytest.raises(RecordError, match="not a MEDS data set"):
        list(read_meds(tmp_path / "data"))
