"""FHIR JSON as it arrives: nothing lost, nothing guessed, nothing repeated in a message."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic.errors import RecordError
from galenic.records.fhir import parse, read_ndjson, write_json

GOOD = b'{"resourceType":"Patient","id":"a"}'


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<Patient/>", "XML"),
        (b"[1]", "not a JSON object"),
        (b'{"a":NaN}', "line 1, column 6"),
        (b'{"a":Infinity}', "column 6"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":01}', "leading zero"),
        (b'{"a":1,}', "trailing comma"),
        (b'{"a":1} // note', "no comments"),
        (b'{"a":1}{"a":2}', "NDJSON"),
        (b'{"a":"x', "truncated"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":"\x00"}', "control character"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":' * 1_025 + b"1" + b"}" * 1_025, "1,024 levels"),
        (b'{"a":' * 400 + b"1" + b"}" * 400, "254 levels"),
        (b'{"a":1,"b":{"c":1,"c":2}}', "c twice"),
        (b'{"a" : 1, "a" :2}', "a twice"),
        (b'{"a\\u0022:":1,"a\\u0022:":2}', "twice"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(raw: bytes, says: str) -> None:
    with pytest.raises(RecordError, match=says):
        parse(raw)


def test_a_document_that_is_too_large_is_sent_to_ndjson() -> None:
    with pytest.raises(RecordError, match="NDJSON"):
        parse(b'{"a":"' + b"x" * (64 * 2**20) + b'"}')


def test_strings_may_hold_what_looks_like_keys() -> None:
    assert parse(b'{"a":"b\\":c","d\\u0022:":"\\u0022:"}').resource == {"a": 'b":c', 'd":': '":'}
    assert parse(b"\xef\xbb\xbf" + GOOD).resource["id"] == "a"


@pytest.mark.parametrize(
    "number",
    [
        "1.10",
        "1.0",
        "0.0",
        "-0.50",
        "1e3",
        "1.5E-7",
        "12345678901234567",
        "0.12345678901234567890",
        "100",
        "-0",
        "123456789012345678901234567890",
    ],
)
def test_a_decimal_is_kept_as_it_was_written(number: str) -> None:
    exact = parse(f'{{"a":[{{"value":{number}}}],"b":{number} }}'.encode()).exact
    assert str(exact["b"]) == number
    assert str(exact["a"][0]["value"]) == number
    assert write_json(exact) == f'{{"a":[{{"value":{number}}}],"b":{number}}}'.encode()


@settings(max_examples=200, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=6) | st.floats(allow_nan=False, allow_infinity=False))
def test_any_decimal_is_kept_as_it_was_written(number: object) -> None:
    text = str(number)
    exact = parse(b'{"value":' + text.encode() + b"}").exact["value"]
    assert str(exact) == text or (isinstance(exact, float | int) and float(exact) == float(text) and repr(exact) == text)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=6), values, max_size=5))
def test_what_is_written_is_read_again(resource: dict[str, object]) -> None:
    exact = parse(json.dumps(resource).encode()).exact
    assert parse(write_json(exact)).exact == exact


def test_what_is_read_is_written_again_to_the_byte(data: Path) -> None:
    for path in sorted((data / "ehr" / "synthea-bulk-10").glob("*.ndjson*")):
        for line in read_ndjson(path):
            assert line.document is not None
            assert write_json(line.document.exact) == line.raw.strip()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n \r"])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_end_as_they_like(tmp_path: Path, end: bytes, packed: bool) -> None:
    path, body = tmp_path / "x.ndjson", b"\xef\xbb\xbf" + end.join([GOOD] * 40_000)
    path.write_bytes(gzip.compress(body, 1) if packed else body)
    lines = list(read_ndjson(path))
    assert len(lines) == 40_000
    assert all(line.document is not None for line in lines)
    assert [line.number for line in lines[:3]] == {1: [1, 2, 3]}.get(len(end.replace(b"\r\n", b"\n")), [1, 3, 5])


def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(GOOD + b"\n{bad\n\n" + GOOD + b'\n{"resourceType":"Pat')
    lines = list(read_ndjson(path))
    assert [(line.number, line.document is not None) for line in lines] == [(1, True), (2, False), (4, True), (5, False)]
    assert "line 2" in lines[1].fault
    assert "truncated" in lines[3].fault


def test_a_file_that_can_not_be_read_to_its_end_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson.gz"
    path.write_bytes(gzip.compress(GOOD * 1_000)[:-12])
    with pytest.raises(RecordError, match="gzip"):
        list(read_ndjson(path))
    path.write_bytes(b"")
    with pytest.raises(RecordError, match="gzip"):
        list(read_ndjson(path))
    with pytest.raises(RecordError, match=r"can ?not be read"):
        list(read_ndjson(tmp_path / "absent"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    line = json.dumps({"resourceType": "Basic", "id": "x" * 1_000}).encode() + b"\n"
    with path.open("wb") as file:
        for _ in range(60):
            file.write(line * 1_000)
    tracemalloc.start()
    assert sum(1 for _ in read_ndjson(path)) == 60_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * 2**20
