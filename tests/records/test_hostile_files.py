"""Files made to exhaust a reader: small ones that unpack without end, deep ones, wide ones, and links that lead elsewhere."""

import importlib
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galenic import records
from galenic.errors import ConfigurationError, DescriptionError, RecordError
from galenic.privacy.deidentification import deidentify
from galenic.records import FORMATS, parquet_limits
from galenic.release.policy import parse_policy as parse_release_policy
from galenic.security import parse_policy

CCDA = '<ClinicalDocument xmlns="urn:hl7-org:v3">{}</ClinicalDocument>'


def repeated(place: Path, rows: int = 15_000) -> Path:
    """A Parquet file of 37 KB whose one long value is repeated: 1.5 GB in memory."""
    long = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 100_000]))
    table = pa.table({"patient": [str(n) for n in range(rows)], "note": long})
    pq.write_table(table, place, compression="zstd", store_schema=False)
    return place


MEASURED = """
import resource, sys
from pathlib import Path
from galenic import records
source = records.read(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(batch.num_rows for batch in source.open(None))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_small_parquet_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    file = repeated(tmp_path / "repeated.parquet", 6_000)
    assert file.stat().st_size < 40_000
    done = subprocess.run([sys.executable, "-c", MEASURED, file], capture_output=True, text=True, check=True)
    rows, kilobytes = map(int, done.stdout.split())
    assert rows == 6_000
    assert kilobytes < 300_000, "the rows have 600 MB"


def test_batches_hold_the_same_rows_as_the_file(tmp_path: Path) -> None:
    table = pa.table({"a": [f"{n % 7}" * (n % 50) for n in range(200_000)], "b": range(200_000), "c": [[1, 2]] * 200_000})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=70_000)
    read = pa.concat_tables(records.read(tmp_path / "t.parquet").open(None))
    assert read.equals(table)
    assert pa.concat_tables(records.read(tmp_path / "t.parquet").open(["b"])).column_names == ["b"]


def test_a_parquet_page_that_unpacks_beyond_proportion_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_limits, "LARGEST_CHUNK", 1 << 20)
    table = pa.table({"a": pa.array([0.0] * 1_000_000)})
    pq.write_table(table, tmp_path / "zeros.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(RecordError, match="decompresses to"):
        records.read(tmp_path / "zeros.parquet")


def test_a_row_that_holds_millions_of_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_limits, "MOST_NESTED", 1 << 20)
    values = pa.nulls(1_000_000, pa.int8())
    table = pa.table({"id": ["a"], "list": pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)})
    pq.write_table(table, tmp_path / "nested.parquet")
    assert (tmp_path / "nested.parquet").stat().st_size < 10_000
    with pytest.raises(RecordError, match="nested"):
        records.read(tmp_path / "nested.parquet")


def test_meds_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_limits, "LARGEST_TABLE", 1 << 20)
    (tmp_path / "data").mkdir()
    repeated(tmp_path / "data" / "0.parquet", 100)
    with pytest.raises(RecordError, match="in memory"):
        list(FORMATS["meds"].read([tmp_path]))


@pytest.mark.parametrize("named", [pytest.param("c{}", id="each its own name"), pytest.param("c", id="all the same name")])
def test_a_csv_file_of_100_000_columns_is_refused_at_once(tmp_path: Path, named: str) -> None:
    (tmp_path / "wide.csv").write_text(",".join(named.format(n) for n in range(100_000)) + "\n" + ",".join("1" * 100_000))
    started = time.process_time()
    with pytest.raises(RecordError, match="columns; at most 10,000"):
        records.read(tmp_path / "wide.csv")
    assert time.process_time() - started < 5


def test_a_parquet_file_of_12_000_columns_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({f"c{n}": [1] for n in range(12_000)}), tmp_path / "wide.parquet")
    with pytest.raises(RecordError, match="columns; at most 10,000"):
        records.read(tmp_path / "wide.parquet")


def test_columns_that_repeat_are_found_in_linear_time(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",".join(["c"] * 9_999) + "\n" + ",".join("1" * 9_999) + "\n")
    started = time.process_time()
    with pytest.raises(RecordError, match="more than once"):
        records.read(tmp_path / "t.csv")
    assert time.process_time() - started < 2


def test_a_deep_document_is_refused_and_the_others_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "deep.xml").write_text(CCDA.format("<a>" * 100_000 + "</a>" * 100_000))
    (folder / "flat.txt").write_text("Blood pressure is normal.")
    report = deidentify([folder], tmp_path / "out")
    assert [name for name, _why in report.refusals] == ["deep.xml"]
    assert "nested more than" in report.refusals[0][1]
    assert (tmp_path / "out" / "flat.txt").exists()


def test_a_document_of_millions_of_tags_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("galenic.records.ccda"), "MOST_TAGS", 1_000)
    (tmp_path / "many.xml").write_text(CCDA.format("<a/>" * 2_000))
    with pytest.raises(RecordError, match="tags"):
        records.read_ccda(tmp_path / "many.xml")


def test_a_deflated_dicom_file_is_unpacked_within_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from galenic.records.dicom import read, reader

    monkeypatch.setattr(reader, "LARGEST", 1 << 20)
    syntax = b"1.2.840.10008.1.2.1.99"
    meta = b"\x02\0\x10\0UI" + len(syntax).to_bytes(2, "little") + syntax
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(bytes(50_000_000)) + packer.flush()
    start = b"\0" * 128 + b"DICM\x02\0\0\0UL\x04\0" + len(meta).to_bytes(4, "little") + meta
    (tmp_path / "bomb.dcm").write_bytes(start + packed)
    with pytest.raises(RecordError, match="decompresses to more than"):
        read(tmp_path / "bomb.dcm")


@pytest.mark.parametrize(
    "layout",
    [pytest.param("around", id="a loop"), pytest.param("outside", id="a folder elsewhere"), pytest.param("file", id="a file")],
)
def test_symbolic_links_inside_a_folder_are_named_and_not_followed(tmp_path: Path, layout: str) -> None:
    folder, outside = tmp_path / "in", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "p.ndjson").write_text('{"resourceType":"Patient","id":"a"}\n')
    (folder / "p.ndjson").write_text('{"resourceType":"Patient","id":"b"}\n')
    targets = {"around": folder, "outside": outside, "file": outside / "p.ndjson"}
    (folder / "link.ndjson").symlink_to(targets[layout])
    with pytest.raises(RecordError, match="symbolic link"):
        deidentify([folder], tmp_path / "out")
    with pytest.raises(RecordError, match="symbolic link"):
        list(FORMATS["fhir"].read([folder]))
    assert list(FORMATS["fhir"].read([outside])), "a folder without links is read"


DEEP = "a = " + "[" * 20_000 + "]" * 20_000
LONG = "version = " + "9" * 5_000


@pytest.mark.parametrize("text", [pytest.param(DEEP, id="deep"), pytest.param(LONG, id="a number of 5,000 digits")])
def test_toml_that_exhausts_its_parser_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_policy(text)
    with pytest.raises(DescriptionError):
        records.from_toml(text)
    with pytest.raises(DescriptionError):
        records.parse_mapping(text)
    place = tmp_path / "p.toml"
    place.write_text(text)
    with pytest.raises(ConfigurationError):
        parse_release_policy(text, "house")
    with pytest.raises(DescriptionError):
        records.read_relations(place)


@pytest.mark.parametrize("rules", ["permit = 5", 'permit = ["a"]', '[[permit]]\nid = "a"\nreason = "b"\nroles = [[1]]'])
def test_a_policy_with_values_of_other_types_is_refused(rules: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_policy(f'name = "house"\nversion = 1\n{rules}')
