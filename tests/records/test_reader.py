"""CSV files as they come: encodings, delimiters, damaged quotes, and Parquet and Arrow by their ending."""

import gzip
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galenic import records
from galenic.errors import RecordError
from galenic.records.reader import as_source


def written(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def cells(path: Path, names: list[str] | None = None) -> list[dict[str, str]]:
    return [row for _, batch in records.read(path).raw(names) for row in batch.to_pylist()]


@pytest.mark.parametrize("suffix", [".parquet", ".pq", ".PQ", ".arrow", ".feather", ".ipc"])
def test_parquet_and_arrow_are_recognized_by_their_ending(tmp_path: Path, suffix: str) -> None:
    table, path = pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / f"t{suffix}"
    if suffix.lower() in (".parquet", ".pq"):
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1)
    assert records.read(path).names == ("a", "b")
    assert cells(path) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert cells(path, ["b"]) == [{"b": "x"}, {"b": "y"}]


def test_a_repeated_name_of_a_typed_file_is_refused(tmp_path: Path) -> None:
    twice = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "b", "a"])
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, twice.schema) as writer:
        writer.write_table(twice)
    with pytest.raises(RecordError, match=r"columns \['a'\] appear more than once"):
        records.read(tmp_path / "t.arrow")


def test_a_repeated_name_among_more_than_500_columns_is_refused(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(600)]
    row = ",".join("1" for _ in names)
    assert len(records.read(written(tmp_path, f"{','.join(names)}\n{row}\n".encode())).names) == 600
    names[599] = "c0"
    with pytest.raises(RecordError, match=r"columns \['c0'\] appear more than once"):
        records.read(written(tmp_path, f"{','.join(names)}\n{row}\n".encode()))


def test_a_compressed_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    assert cells(written(tmp_path, gzip.compress(b"a,b\n1,2\n"))) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"a;b,c\n1;2\n", None, id="a tie: the comma, of which the row has none"),
        pytest.param(b"a;b;c,d\n1;2;3\n", {"a": "1", "b": "2", "c,d": "3"}, id="the delimiter that occurs most"),
        pytest.param(b"a\n1\n", {"a": "1"}, id="one column"),
        pytest.param("a\tb\nä\tö\n".encode("latin-1"), {"a": "ä", "b": "ö"}, id="Latin-1 with tabs"),
        pytest.param("a,b\nä,ö\n".encode("utf-16-be"), None, id="UTF-16 without a mark"),
        pytest.param(b"\xff\xfe" + "a,b\nä,ö\n".encode("utf-16-le"), {"a": "ä", "b": "ö"}, id="UTF-16, little endian"),
        pytest.param(b"\xfe\xff" + "a,b\nä,ö\n".encode("utf-16-be"), {"a": "ä", "b": "ö"}, id="UTF-16, big endian"),
        pytest.param(b'a,b\n"1 ""x""",2\n', {"a": '1 "x"', "b": "2"}, id="quotes within a value"),
        pytest.param(b",b\n1,2\n", {"unnamed_1": "1", "b": "2"}, id="row numbers under an empty name"),
        pytest.param(b"a, \n1,2\n", {"a": "1", "unnamed_2": "2"}, id="a blank name"),
        pytest.param(b"a,b\n1,\n", {"a": "1", "b": ""}, id="an empty value"),
    ],
)
def test_a_csv_file_is_read_as_it_is_written(tmp_path: Path, content: bytes, expected: dict[str, str] | None) -> None:
    path = written(tmp_path, content)
    if expected is None:
        with pytest.raises(RecordError):
            cells(path)
    else:
        assert cells(path) == [expected]


@pytest.mark.parametrize("quotes", [1, 3])
def test_an_odd_number_of_quotes_is_refused(tmp_path: Path, quotes: int) -> None:
    content = b"a,b\n" + b'"x",1\n' * (quotes // 2) + b'"y,2\n'
    with pytest.raises(RecordError, match=f"never closed \\({quotes} quote marks"):
        records.read(written(tmp_path, content))


def test_a_quoted_line_break_stays_in_its_cell(tmp_path: Path) -> None:
    assert cells(written(tmp_path, b'a,b\n"x\ny",2\n')) == [{"a": "x\ny", "b": "2"}]


def test_tables_of_any_library_paths_and_sources_become_sources(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2]})
    source = as_source(table)
    assert as_source(source) is source
    assert as_source(written(tmp_path, b"a\n1\n")).names == as_source(str(tmp_path / "t.csv")).names == ("a",)
    for given in (table, pd.DataFrame({"a": [1, 2]})):
        assert as_source(given).count() == 2


def test_only_the_first_five_repeated_names_are_told(tmp_path: Path) -> None:
    header = ",".join(n for n in "abcdef" for _ in range(2))
    with pytest.raises(RecordError, match=r"columns \['a', 'b', 'c', 'd', 'e'\] appear"):
        records.read(written(tmp_path, f"{header}\n{header}\n".encode()))


def test_a_damaged_file_is_called_by_its_ending(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"read as Parquet \("):
        records.read(written(tmp_path, b"no table", "t.parquet"))
    with pytest.raises(RecordError, match=r"read as Arrow \("):
        records.read(written(tmp_path, b"no table", "t.arrow"))


def test_a_row_of_another_length_is_refused_with_its_line_and_counts(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"line 3: 1 values .*header.* 2 columns"):
        cells(written(tmp_path, b"a,b\n1,2\n3\n"))


def test_a_file_with_a_header_alone_and_one_without_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="has a header but no rows"):
        records.read(written(tmp_path, b"a,b\n"))
    with pytest.raises(RecordError, match="has no header"):
        records.read(written(tmp_path, b" , \n1,2\n"))


def test_a_value_that_is_not_utf_8_changes_no_other_value(tmp_path: Path) -> None:
    """One patient's bytes would otherwise rename every category and column with an accent."""
    plain, mixed = tmp_path / "plain.csv", tmp_path / "mixed.csv"
    plain.write_bytes("größe,ort\n1,Zürich\n2,Genève\n".encode())
    mixed.write_bytes(plain.read_bytes() + b"3,Gen\xe8ve\n")
    assert records.read(mixed).names == records.read(plain).names == ("größe", "ort")
    ((_, batch),) = records.read(mixed).raw(["ort"])
    assert batch["ort"].to_pylist() == ["Zürich", "Genève", "Genève"]
