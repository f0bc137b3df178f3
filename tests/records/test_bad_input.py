"""Bad files are refused with what is wrong, where, and what to do; never with a cell's value."""

from pathlib import Path

import pytest

from galenic import records
from galenic.errors import DescriptionError, GalenicError, RecordError
from galenic.schema import Column

SECRET = "Zebulon"


def written(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is empty", id="empty file"),
        pytest.param(b"a,b\n", "no rows", id="header only"),
        pytest.param(b"\n\n", "no header", id="blank lines only"),
        pytest.param(b"a,b,a\n1,2,3\n", r"columns \['a'\] appear more than once", id="duplicate headers"),
        pytest.param(b"a,b\n1,\x002\n", "NUL bytes", id="NUL bytes"),
        pytest.param(b'a,b\n1,"' + SECRET.encode() + b"\n2,3\n", "a quote is opened and never closed", id="unclosed quote"),
        pytest.param(b"a,b\n1,2\n3," + SECRET.encode() + b",5\n", "line 3: 3 values", id="ragged row"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message) as refusal:
        list(records.read(written(tmp_path, content)).raw())
    assert SECRET not in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_a_file_that_is_not_there_or_not_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not a file"):
        records.read(tmp_path / "absent.csv")
    with pytest.raises(RecordError, match=r"can ?not be read"):
        records.read(written(tmp_path, b"no parquet", "t.parquet"))


@pytest.mark.parametrize(
    ("encoding", "prefix"),
    [
        pytest.param("utf-8", b"", id="UTF-8"),
        pytest.param("utf-8", b"\xef\xbb\xbf", id="UTF-8 with BOM"),
        pytest.param("utf-16", b"", id="UTF-16"),
        pytest.param("latin-1", b"", id="Latin-1"),
    ],
)
def test_text_in_common_encodings_is_read_as_written(tmp_path: Path, encoding: str, prefix: bytes) -> None:
    path = written(tmp_path, prefix + "id,städte\n1,Köln\n2,Zürich\n".encode(encoding))
    source = records.read(path)
    assert source.names == ("id", "städte")
    assert source.table(records.undescribed(source.names)).frame["städte"].to_pylist() == ["Köln", "Zürich"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_recognised(tmp_path: Path, delimiter: str) -> None:
    assert records.read(written(tmp_path, f"a{delimiter}b\n1{delimiter}2\n".encode())).names == ("a", "b")


def test_row_numbers_under_an_empty_name_are_an_identifier(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 5}" for i in range(100))
    source = records.read(written(tmp_path, f",x\n{rows}\n".encode()))
    assert source.names == ("unnamed_1", "x")
    assert records.describe(source)[0].kind == "identifier"
    assert source.table((Column("x", "integer"),)).rows == 100


def test_quoted_newlines_and_delimiters_stay_in_their_cell(tmp_path: Path) -> None:
    source = records.read(written(tmp_path, b'a,b\n"x\ny","1,2"\n'))
    assert source.table(records.undescribed(source.names)).frame.to_pylist() == [{"a": "x\ny", "b": "1,2"}]


def test_five_thousand_columns_are_described(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(5_000))
    source = records.read(written(tmp_path, f"{names}\n{','.join('1' * 5_000)}\n".encode()))
    assert len(source.names) == 5_000


def test_words_among_numbers_are_refused_by_row_without_the_word(tmp_path: Path) -> None:
    source = records.read(written(tmp_path, f"x\n1\n2\n{SECRET}\n".encode()))
    with pytest.raises(RecordError, match="column 'x', row 3: not a number") as refusal:
        source.table((Column("x", "numeric"),))
    assert SECRET not in str(refusal.value)


def test_dates_in_several_formats_are_refused_by_row(tmp_path: Path) -> None:
    lines = ["2020-01-31", "31/01/2020", "01/31/2020", "31.01.2020", "31-Jan-2020"]
    source = records.read(written(tmp_path, ("d\n" + "\n".join(lines) + "\n").encode()))
    with pytest.raises(RecordError, match="row 2: not a date"):
        source.table((Column("d", "date", format="%Y-%m-%d"),))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y-%m-%d", "2020-01-31"),
        ("%d/%m/%Y", "31/01/2020"),
        ("%m/%d/%Y", "01/31/2020"),
        ("%d.%m.%Y", "31.01.2020"),
        ("%d-%b-%Y", "31-Jan-2020"),
        ("%Y%m%d", "20200131"),
        ("%Y-%m-%d %H:%M:%S", "2020-01-31 10:20:30"),
    ],
)
def test_each_date_format_is_recognised_and_read(tmp_path: Path, form: str, text: str) -> None:
    source = records.read(written(tmp_path, f"d\n{text}\n".encode()))
    if form != "%Y%m%d":  # one value of eight digits may be any number
        assert records.describe(source)[0].format == form.partition(" ")[0]
    day = source.table((Column("d", "date", format=form),)).frame["d"].to_pylist()[0]
    assert day.isoformat() == "2020-01-31"


def test_a_date_that_may_be_day_or_month_first_is_not_guessed(tmp_path: Path) -> None:
    columns = records.describe(records.read(written(tmp_path, b"d\n01/02/2020\n03/04/2020\n")))
    assert records.ambiguous_dates(columns) == ("d",)


def test_ids_keep_their_leading_zeros(tmp_path: Path) -> None:
    rows = "\n".join(f"{i:06d},{i % 7}" for i in range(100))
    source = records.read(written(tmp_path, f"code,x\n{rows}\n".encode()))
    code = records.describe(source)[0]
    assert code.kind == "identifier"
    assert source.table((code,)).frame["code"].to_pylist()[7] == "000007"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("version = 1\n[[column]]\nname = 'a'\nknd = 'x'", id="unknown field"),
        pytest.param("version = 1\n[[column]]\nname = 'a'\nlow = 'x'", id="wrong type"),
        pytest.param("version = 1\n[[column]]\nname = 'a'\n[[column]]\nname = 'a'", id="described twice"),
        pytest.param("version = 2", id="another version"),
        pytest.param("version = ", id="not TOML"),
        pytest.param(
            "version = 1\n[[column]]\nname='a'\nrole='patient'\n[[column]]\nname='b'\nrole='patient'", id="two patient columns"
        ),
    ],
)
def test_a_description_that_is_off_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError) as refusal:
        records.from_toml(text)
    assert isinstance(refusal.value, GalenicError)
