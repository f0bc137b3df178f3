"""The registry of formats: files are recognized by their name and layout, and every format follows the Protocol."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from galenic.errors import OptionError, UnknownNameError
from galenic.records import FORMATS, EventSource, kind_of
from galenic.records.meds import read_meds
from galenic.schema import Event, timeline_table

SOURCE = EventSource("toys", "a test", "nothing")


def events() -> Iterator[pa.Table]:
    yield timeline_table([(1, *Event(0, "MEDS_BIRTH"), None), (2, *Event(0, "MEDS_BIRTH"), None)])


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_can_recognize_read_convert_and_write(kind: str) -> None:
    one = FORMATS[kind]
    assert isinstance(one.has_events, bool)
    assert all(callable(getattr(one, name)) for name in ("recognize", "read", "to_events", "write"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("a.ndjson.gz", "fhir", id="NDJSON is FHIR"),
        pytest.param("a.json", "fhir", id="JSON is FHIR"),
        pytest.param("a.csv", "table", id="CSV is a table"),
        pytest.param("a.txt", "table", id="text with delimiters may be a table"),
        pytest.param("a.md", "note", id="Markdown is a note"),
        pytest.param("a.xml", "ccda", id="XML is C-CDA"),
        pytest.param("a.dcm", "dicom", id="DICOM by its suffix"),
        pytest.param("a.duckdb", "omop", id="DuckDB is OMOP"),
        pytest.param("folder/x.ndjson", "fhir", id="folder of NDJSON"),
        pytest.param("folder/person.csv", "omop", id="folder with a table person"),
        pytest.param("folder/data/0.parquet", "meds", id="folder with data/*.parquet"),
    ],
)
def test_files_are_recognized(tmp_path: Path, name: str, kind: str) -> None:
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"x")
    assert kind_of([tmp_path / name.partition("/")[0]]) == kind


def test_what_is_absent_mixed_or_unknown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.csv").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnknownNameError, match="does not exist"):
        kind_of([tmp_path / "c.csv"])
    with pytest.raises(OptionError, match="that are not all FHIR"):
        kind_of([tmp_path / "a.csv", tmp_path / "b.csv"])
    with pytest.raises(OptionError, match="is not a supported folder"):
        kind_of([tmp_path / "folder"])


@pytest.mark.parametrize("kind", [k for k, one in FORMATS.items() if one.has_events])
def test_events_that_are_written_are_read_again(tmp_path: Path, kind: str) -> None:
    result = FORMATS[kind].write(events(), tmp_path / "out", SOURCE)
    assert result.written.total() >= 2
    paths = [(tmp_path / "out").rename(tmp_path / "out.json") if kind == "bundle" else tmp_path / "out"]
    births = pa.concat_tables(FORMATS[kind].to_events(paths)).filter(pa.compute.field("code") == "MEDS_BIRTH")
    assert births["subject_id"].to_pylist() == [1, 2]


@pytest.mark.parametrize("kind", [k for k, one in FORMATS.items() if not one.has_events])
def test_formats_without_events_say_so(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OptionError, match="has no events"):
        FORMATS[kind].to_events([tmp_path])


@pytest.mark.parametrize("kind", ["ccda", "dicom", "note"])
def test_documents_are_not_written_from_events(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OptionError, match="cannot be written"):
        FORMATS[kind].write(events(), tmp_path / "out", SOURCE)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_events_become_a_table_with_a_row_each(tmp_path: Path, name: str) -> None:
    assert FORMATS["table"].write(events(), tmp_path / name, SOURCE).written == {"events": 2}
    assert FORMATS["table"].read([tmp_path / name]).count() == 2


def test_a_meds_data_set_keeps_its_name(tmp_path: Path) -> None:
    FORMATS["meds"].write(events(), tmp_path / "out", SOURCE)
    assert '"toys"' in (tmp_path / "out" / "metadata" / "dataset.json").read_text()
    assert next(read_meds(tmp_path / "out")).num_rows == 2
