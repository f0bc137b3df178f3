"""The search index tells no more than it says; partitions give the same bytes on every engine."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from galenic import flows, records, store
from galenic.custody import ImportRequest, build_index, import_table, record_care_relation, record_consent, search_rows
from galenic.errors import OptionError, StoreError, UnknownNameError
from galenic.installation import Installation

SECRET = "Quillfeather"


@pytest.fixture
def indexed(custody: Installation) -> Installation:
    frame = pa.table(
        {
            "patient_id": [f"Q{i:03d}" for i in range(40)],
            "surname": [f"{SECRET} {i}" if i < 3 else f"Other{i} Name" for i in range(40)],
            "code": [f"E{i % 5}" for i in range(40)],
            "age": [str(20 + i) for i in range(40)],
            "seen": [f"2020-01-{1 + i % 28:02d}" for i in range(40)],
        }
    )
    import_table(custody, custody.sign_in("inge"), records.in_memory(frame), ImportRequest("names", patient="patient_id"))
    build_index(custody, custody.sign_in("paul"), "names", "quality", codes=("code",))
    for i in range(40):
        record_care_relation(custody, custody.sign_in("inge"), "names", f"Q{i:03d}", "ada") if i < 12 else None
    return custody


def found(installation: Installation, *conditions: tuple[str, str, str]) -> list[str]:
    rows = search_rows(installation, installation.sign_in("ada"), "names", "treatment", list(conditions))
    return sorted(str(r["patient_id"]) for r in rows)


def test_codes_dates_quantities_words_and_prefixes_are_found(indexed: Installation) -> None:
    assert found(indexed, ("code", "=", "E1")) == ["Q001", "Q006", "Q011"]  # of ada's twelve, not of all forty
    assert found(indexed, ("age", ">=", "30"), ("age", "<", "32")) == ["Q010", "Q011"]
    assert found(indexed, ("seen", "<=", "2020-01-02")) == ["Q000", "Q001"]
    assert found(indexed, ("surname", "word", SECRET)) == ["Q000", "Q001", "Q002"]
    assert found(indexed, ("surname", "starts", "quill")) == ["Q000", "Q001", "Q002"]
    assert found(indexed, ("surname", "=", f"{SECRET} 1")) == ["Q001"]
    assert found(indexed, ("surname", "contains", "feather"), ("code", "=", "E1")) == ["Q001"]
    assert found(indexed, ("patient_id", "=", "Q004")) == ["Q004"]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (("surname", "<", "M"), "cannot be searched by"),
        (("surname", "starts", "Q"), "3 letters"),
        (("height", "=", "1"), "not in the index"),
        (("age", ">", "old"), "not a number"),
        (("code", "like", "E%"), "cannot be searched by"),
    ],
)
def test_what_the_index_can_not_answer_it_refuses(indexed: Installation, condition: tuple[str, str, str], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        found(indexed, condition)


def test_the_file_shows_no_name_code_or_date_and_not_even_that_it_is_a_database(indexed: Installation) -> None:
    (place,) = indexed.shards.glob("*.db")
    data = place.read_bytes()
    for word in (SECRET, "Other5", "2020-01", "SQLite format", "CREATE TABLE"):
        assert word.encode() not in data
    place.write_bytes(data[:2000] + bytes([data[2000] ^ 1]) + data[2001:])
    with pytest.raises(StoreError, match="Build it again"):
        found(indexed, ("code", "=", "E1"))


def test_a_sealed_file_that_is_changed_cut_or_reordered_is_noticed(tmp_path: Path) -> None:
    key, data = bytes(range(32)), bytes(700_000)
    name = store.write_blob(tmp_path, key, [data[:5], data[5:]])
    assert b"".join(store.read_blob(tmp_path / name, key)) == data
    whole = (tmp_path / name).read_bytes()
    assert hashlib.sha256(whole).hexdigest() == name
    size = 4 + int.from_bytes(whole[15:19], "big")
    changes = [
        whole[:-1],
        whole[: 15 + size],
        whole[:15] + whole[15 + size :],
        whole[:100] + b"x" + whole[101:],
        b"GALENIC0" + whole[8:],
    ]
    for changed in changes:
        (tmp_path / "changed").write_bytes(changed)
        with pytest.raises(StoreError):
            list(store.read_blob(tmp_path / "changed", key))
    with pytest.raises(StoreError):
        list(store.read_blob(tmp_path / name, bytes(32)))
    with pytest.raises(StoreError, match="does not exist any more"):
        list(store.read_blob(tmp_path / "absent", key))


def work(part: str) -> bytes:
    return hashlib.sha256(part.encode()).digest() * 100


def dies_once(part: str) -> bytes:
    mark = Path(part.partition("|")[0])
    if not mark.exists():
        mark.touch()
        import os

        os._exit(1)
    return part.encode()


def test_every_engine_gives_the_same_bytes_and_does_nothing_twice(tmp_path: Path) -> None:
    parts = [f"part {i}" for i in range(6)]
    engines = ["here", "pool"]
    try:
        import ray  # noqa: F401

        engines.append("ray")
    except ImportError:
        pass
    made = {e: [p.read_bytes() for p in store.run_partitions(work, parts, tmp_path / e, engine=e, workers=2)] for e in engines}
    assert made["here"] == [work(p) for p in parts]
    assert all(m == made["here"] for m in made.values())
    stamps = [p.stat().st_mtime_ns for p in (tmp_path / "here").iterdir()]
    store.run_partitions(work, parts, tmp_path / "here", engine="here")
    assert [p.stat().st_mtime_ns for p in (tmp_path / "here").iterdir()] == stamps
    with pytest.raises(OptionError, match="listed twice"):
        store.run_partitions(work, ["a", "a"], tmp_path / "x")
    with pytest.raises(UnknownNameError, match="not an engine"):
        store.run_partitions(work, parts, tmp_path / "x", engine="spark")


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    parts = [f"{tmp_path / 'mark'}|{i}" for i in range(3)]
    places = store.run_partitions(dies_once, parts, tmp_path / "out", workers=1)
    assert [p.read_text() for p in places] == parts
    assert not list((tmp_path / "out").glob(".*aside"))


def test_rows_are_found_by_their_own_numbers_after_an_erasure_and_under_a_consent(custody: Installation) -> None:
    """Found by the state machine: rows used to be counted, and gaps led a search to somebody else's rows."""
    people = [f"Q{i}" for i in range(6)]
    frame = pa.table(
        {"patient_id": [p for p in people for _ in range(2)], "note": [f"note of {p}" for p in people for _ in range(2)]}
    )
    inge, paul = custody.sign_in("inge"), custody.sign_in("paul", "paul2")
    import_table(custody, inge, records.in_memory(frame), ImportRequest("notes", patient="patient_id"))
    flows.erase(custody, paul, "Q0")
    record_care_relation(custody, inge, "notes", "Q3", "ada")
    build_index(custody, paul, "notes", "quality", codes=("note",))
    for who in people:
        found = search_rows(custody, custody.sign_in("ada"), "notes", "treatment", [("note", "=", f"note of {who}")])
        assert [r["patient_id"] for r in found] == (["Q3", "Q3"] if who == "Q3" else [])
    record_consent(custody, inge, "notes", ["Q2", "Q5"], "research")
    rosa = custody.sign_in("rosa")
    build_index(custody, rosa, "notes", "research", codes=("note",))
    for who in people:
        found = search_rows(custody, rosa, "notes", "research", [("note", "=", f"note of {who}")])
        assert [r["patient_id"] for r in found] == ([who, who] if who in ("Q2", "Q5") else [])
