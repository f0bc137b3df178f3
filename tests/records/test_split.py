"""Splits by patient: sizes, caps and refusals at their boundaries."""

import numpy as np
import pyarrow as pa
import pytest

from galenic import records
from galenic.errors import RecordError
from galenic.records.source import Source
from galenic.records.split import cap_rows, draw_held_out, patient_numbers, split_as_given, split_by_patient, split_related
from galenic.schema import PATIENT, Column, Relation


def source(patients: int, rows_each: int = 1) -> Source:
    ids = [f"p{i}" for i in range(patients) for _ in range(rows_each)]
    return records.in_memory(pa.table({"id": ids, "x": [str(i) for i in range(len(ids))]}))


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def ids(part: Source) -> list[str]:
    return [v for _, batch in part.raw(["id"]) for v in batch["id"].to_pylist()]


def test_each_side_is_drawn_alone_so_the_number_of_held_out_patients_varies_around_the_share() -> None:
    """n ends in every digit: a fixed number, such as int(0.3 n), would trade one patient for another. False alarm: 1 in 1e6 runs."""
    sizes = {n: [int(draw_held_out(n, None, share=0.3).sum()) for _ in range(400)] for n in range(50, 60)}
    for n, found in sizes.items():
        assert len(set(found)) > 5
        assert abs(np.mean(found) - 0.3 * n) < 5 * np.sqrt(0.21 * n / 400)


def test_the_operating_system_draws_differently_each_time_and_a_generator_the_same() -> None:
    first, second = (draw_held_out(200, None, share=0.3) for _ in range(2))
    assert (first != second).any()
    first, second = (draw_held_out(200, rng(), share=0.3) for _ in range(2))
    assert (first == second).all()


def test_a_private_split_ignores_the_state_of_numpy() -> None:
    np.random.seed(0)
    first = draw_held_out(200, None, share=0.3)
    np.random.seed(0)
    assert (first != draw_held_out(200, None, share=0.3)).any()


def test_one_patient_more_changes_nobody_elses_side() -> None:
    """Independent draws: knowing the sides of all others says nothing about one patient's. False alarm: 1 in 1e6 runs."""
    draws = np.array([draw_held_out(12, None, share=0.3) for _ in range(4_000)])
    correlation = np.corrcoef(draws.T) - np.eye(12)
    assert np.abs(correlation).max() < 6 / np.sqrt(4_000)  # a fixed number of 3 of 12 has -1/11


def test_halves_without_privacy_are_never_empty() -> None:
    for seed in range(60):
        split = split_by_patient(source(10), "id", np.random.default_rng(seed))
        assert split.test_rows > 0
        assert split.train_rows > 0
        assert split.train_rows + split.test_rows == 10
    assert (split.unit, split.cap, split.cap_loss) == ("patient", 1, 0.0)


def test_ten_patients_can_be_split_and_nine_cannot() -> None:
    assert split_by_patient(source(10), "id", rng()).cap == 1
    with pytest.raises(RecordError, match=r"9 patient\(s\)"):
        split_by_patient(source(9), "id", rng())


@pytest.mark.parametrize("patients", [0, 1, 2, 9])
def test_no_exact_number_of_patients_decides_whether_a_private_split_is_made(patients: int) -> None:
    split = split_by_patient(source(patients), "id", None)
    assert split.train_rows + split.test_rows == patients


def test_without_a_patient_column_every_row_is_its_own() -> None:
    split = split_by_patient(source(5, 4), None, rng(), cap=3)
    assert (split.unit, split.cap, split.train_rows + split.test_rows, split.cap_loss) == ("row", 1, 20, 0.0)
    given = split_as_given(source(5, 4), source(2, 2), None, rng(), cap=3)
    assert (given.unit, given.cap, given.train_rows, given.test_rows, given.cap_loss) == ("row", 1, 20, 4, 0.0)
    assert cap_rows(source(2, 3), None, 1, rng()).count() == 6


def test_the_cap_leaves_out_rows_and_says_what_share_of_the_training_rows() -> None:
    split = split_by_patient(source(10, 4), "id", rng(), cap=3)
    assert (split.train_rows + split.test_rows, split.cap, split.cap_loss) == (30, 3, 0.25)
    assert {n: ids(split.train).count(n) for n in ids(split.train)} == dict.fromkeys(ids(split.train), 3)
    others = records.in_memory(pa.table({"id": ["q0", "q0", "q1", "q1", "q2", "q2"], "x": ["0"] * 6}))
    given = split_as_given(source(10, 4), others, "id", rng(), cap=1)
    assert (given.unit, given.train_rows, given.test_rows, given.cap, given.cap_loss) == ("patient", 10, 3, 1, 0.75)


def test_a_patient_who_is_trained_on_is_not_held_out_even_where_the_callers_files_overlap() -> None:
    half = records.in_memory(pa.table({"id": ["p1", "q1", "p2", "q1"], "x": ["0"] * 4}))
    given = split_as_given(source(3), half, "id", None, cap=2)
    assert (sorted(ids(given.train)), ids(given.test), given.test_rows) == (["p0", "p1", "p2"], ["q1", "q1"], 2)
    numbered = records.in_memory(pa.table({"id": [1, 9], "x": ["0"] * 2}))
    assert ids(split_as_given(records.in_memory(pa.table({"id": ["1"], "x": ["0"]})), numbered, "id", None).test) == [9]


@pytest.mark.parametrize("split", [split_by_patient, lambda s, p, r, cap: split_as_given(s, s, p, r, cap=cap)])
def test_a_cap_of_one_is_the_least(split: object) -> None:
    with pytest.raises(RecordError, match="rows per patient is 0"):
        split(source(12), "id", rng(), cap=0)  # type: ignore[operator]
    assert split(source(12), "id", rng(), cap=1).cap == 1  # type: ignore[operator]


def test_capping_twice_keeps_rows_that_the_first_kept() -> None:
    once = cap_rows(source(3, 4), "id", 2, rng())
    twice = cap_rows(once, "id", 1, rng())
    assert once.count() == 6
    assert sorted(ids(twice)) == ["p0", "p1", "p2"]
    rows = {v for _, b in once.raw(["x"]) for v in b["x"].to_pylist()}
    assert {v for _, b in twice.raw(["x"]) for v in b["x"].to_pylist()} <= rows


def test_the_rows_that_are_kept_are_chosen_at_random() -> None:
    kept = {
        tuple(v for _, b in cap_rows(source(1, 6), "id", 2, np.random.default_rng(i)).raw(["x"]) for v in b["x"].to_pylist())
        for i in range(40)
    }
    assert len(kept) > 8


def test_patients_are_numbered_in_order_of_appearance() -> None:
    found = patient_numbers(records.in_memory(pa.table({"id": ["b", "a", "b"]})), "id")
    assert (found.ids.tolist(), found.count) == ([0, 1, 0], 2)
    alone = patient_numbers(source(3), None)
    assert (alone.ids.tolist(), alone.count) == ([0, 1, 2], 3)


@pytest.mark.parametrize("gap", [None, ""])
def test_rows_without_a_patient_and_an_absent_column_are_refused(gap: str | None) -> None:
    with pytest.raises(RecordError, match="is empty in some rows"):
        patient_numbers(records.in_memory(pa.table({"id": ["a", gap]})), "id")
    with pytest.raises(RecordError, match=r"'mrn' does not exist; the data has \['id', 'x'\]"):
        patient_numbers(source(2), "mrn")


def flat_table(ids: list[str]) -> Source:
    return records.in_memory(pa.table({PATIENT: pa.array(ids, pa.string()), "x": [str(i) for i in range(len(ids))]}))


def patients_of(part: Source) -> list[str]:
    return [v for _, batch in part.raw([PATIENT]) for v in batch[PATIENT].to_pylist()]


def test_several_tables_are_split_by_the_same_patients() -> None:
    key = (Column("id", "identifier"), Column("up", "identifier"))
    relations = (Relation("people", key, "id"), *(Relation(n, key, "id", "people", "up", most=4) for n in ("stays", "none")))
    people = [f"p{i}" for i in range(20)]
    tables = {
        "people": flat_table(people),
        "stays": flat_table([*people[:15], *people[:15], "stranger"]),
        "none": flat_table([]),
    }
    halves = split_related(tables, relations, rng(), test_share=0.25)
    assert list(halves) == ["people", "stays", "none"]
    assert (halves["people"].train_rows + halves["people"].test_rows, halves["people"].cap) == (20, 1)
    learned = set(patients_of(halves["people"].train))
    train, test = patients_of(halves["stays"].train), patients_of(halves["stays"].test)
    assert set(train) == learned & set(people[:15])
    assert not set(test) & learned
    assert (halves["stays"].train_rows, halves["stays"].test_rows, halves["stays"].cap) == (len(train), len(test), 4)
    assert len(train) + len(test) == 31
    assert (halves["stays"].unit, halves["stays"].cap_loss) == ("patient", 0.0)
    assert (halves["none"].train_rows, halves["none"].test_rows) == (0, 0)
