"""Splits of tables by patient, and limits on the rows of one patient.

The split is part of a private mechanism. An additional patient must not change the half of any other patient, and the used rows
of a patient must not depend on others (docs/decisions/0018-the-split-is-part-of-the-mechanism.md). So every draw belongs to
only one patient or row. In a private run, draws come from the operating system, and the random generator is None.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.errors import RecordError
from galenic.records.source import Mask, Source
from galenic.schema import PATIENT, Relation

FEWEST_PATIENTS = 10  # of a split without privacy


@dataclass(frozen=True)
class PatientNumbers:
    """Patient of each row. ids: shape (rows,), patients numbered from 0 in order of appearance."""

    ids: NDArray[np.int64]
    count: int


@dataclass(frozen=True)
class Split:
    """Train and test sources that share no patient, each capped at `cap` rows per patient.

    cap_loss: share of the training rows that the cap left out; an internal figure.
    """

    train: Source
    test: Source
    unit: str
    cap: int
    train_rows: int
    test_rows: int
    cap_loss: float


def patient_numbers(source: Source, patient: str | None) -> PatientNumbers:
    """Patient number of every row; if `patient` is None, each row is a separate unit."""
    if patient is None:
        n = source.count()
        return PatientNumbers(np.arange(n), n)
    if patient not in source.names:
        raise RecordError(
            f"the patient column {patient!r} does not exist; the data has {list(source.names)}. Name one of these."
        )
    arrays = [batch[patient].cast(pa.string()) for _, batch in source.raw([patient])]
    text = pa.chunked_array([chunk for array in arrays for chunk in array.chunks], type=pa.string())
    encoded = text.combine_chunks().dictionary_encode()
    if encoded.null_count or "" in set(encoded.dictionary.to_pylist()):
        raise RecordError(f"the patient column {patient!r} is empty in some rows. Fill it in, or leave those rows out.")
    return PatientNumbers(np.asarray(encoded.indices.to_numpy(), dtype=np.int64), len(encoded.dictionary))


def split_by_patient(
    source: Source, patient: str | None, rng: np.random.Generator | None, *, cap: int = 1, test_share: float = 0.3
) -> Split:
    """Train and test halves without a common patient; of each patient at most `cap` rows, chosen at random, are used.

    Each patient is held out with probability `test_share`, independently of all others, so the number of held-out patients varies.
    rng: None in a private run; otherwise the halves are drawn again until neither is empty, and RecordError for fewer than 10 patients.
    """
    if cap < 1:
        raise RecordError(f"the maximum of rows per patient is {cap}. Expected 1 or more.")
    who = patient_numbers(source, patient)
    if rng is not None and who.count < FEWEST_PATIENTS:
        raise RecordError(
            f"{source.name} has {who.count} patient(s). Expected at least {FEWEST_PATIENTS}, because some are held out "
            "for the evaluation. Use a larger table."
        )
    held_out = draw_held_out(who.count, rng, share=test_share)
    kept = np.ones(who.ids.size, dtype=np.bool_) if patient is None else _capped(who, cap, rng)
    test = held_out[who.ids]
    train_all = int((~test).sum())
    train_rows = int((~test & kept).sum())
    return Split(
        train=source.where(~test & kept),
        test=source.where(test & kept),
        unit="row" if patient is None else "patient",
        cap=1 if patient is None else cap,
        train_rows=train_rows,
        test_rows=int((test & kept).sum()),
        cap_loss=1 - train_rows / max(train_all, 1),
    )


def draw_held_out(patients: int, rng: np.random.Generator | None, *, share: float) -> Mask:
    """Mask of held-out patients, each with probability `share` and independently of the others.

    rng: None draws from the operating system, for a private run. Its halves may be empty if there are few patients, because a
    rule against it would depend on the exact number. Otherwise the draw is repeated until neither half is empty.
    """
    held_out = _uniform(patients, rng) < share
    while rng is not None and patients > 1 and held_out.all() == held_out.any():
        held_out = _uniform(patients, rng) < share
    return np.asarray(held_out)


def _uniform(size: int, rng: np.random.Generator | None) -> NDArray[np.float64]:
    """Independent numbers in [0, 1) with 53 random bits."""
    if rng is not None:
        return rng.random(size)
    return np.asarray((np.frombuffer(os.urandom(8 * size), dtype=np.uint64) >> np.uint64(11)) * 2.0**-53)


def split_as_given(
    source: Source, holdout: Source, patient: str | None, rng: np.random.Generator | None, *, cap: int = 1
) -> Split:
    """Trains on all of one source and holds out all of another, for callers with their own held-out patients; both are capped.

    Patients in both sources are not held out, because the model may know them.
    """
    if cap < 1:
        raise RecordError(f"the maximum of rows per patient is {cap}. Expected 1 or more.")
    halves, rows, loss = [], [], 0.0
    for half in (source, _without_patients_of(source, holdout, patient)):
        all_rows = half.count()
        halves.append(cap_rows(half, patient, cap, rng))
        rows.append(halves[-1].count())
        loss = loss if halves[1:] else 1 - rows[0] / max(all_rows, 1)
    unit = "row" if patient is None else "patient"
    return Split(halves[0], halves[1], unit, 1 if patient is None else cap, rows[0], rows[1], loss)


def _without_patients_of(source: Source, holdout: Source, patient: str | None) -> Source:
    if patient is None or patient not in source.names or patient not in holdout.names:
        return holdout
    learned = pa.array({value for _, batch in source.raw([patient]) for value in _texts(batch[patient])}, pa.string())
    rows = [~np.asarray(pc.is_in(_texts(batch[patient]), value_set=learned)) for _, batch in holdout.raw([patient])]
    fresh = np.concatenate(rows or [np.zeros(0, dtype=np.bool_)])
    return holdout if fresh.all() else _restricted(holdout, fresh)


def _texts(column: pa.ChunkedArray) -> pa.Array:
    return column.cast(pa.string()).combine_chunks()


def _restricted(source: Source, kept: Mask) -> Source:
    """Source with only some of its rows; `kept` has one entry for each row."""
    if source.rows is None:
        return source.where(kept)
    rows = np.zeros(source.rows.size, dtype=np.bool_)
    rows[np.flatnonzero(source.rows)[kept]] = True
    return source.where(rows)


def split_related(
    flat: Mapping[str, Source], relations: tuple[Relation, ...], rng: np.random.Generator | None, *, test_share: float
) -> dict[str, Split]:
    """Each flat table of several tables (see `flatten`) split by the same patients. relations: parents first."""
    root = relations[0].name
    halves = {root: split_by_patient(flat[root], PATIENT, rng, test_share=test_share)}
    learned = _patients(halves[root].train)
    for r in relations[1:]:
        source = flat[r.name]
        batches = [
            np.asarray(pc.is_in(b[PATIENT], value_set=learned).to_numpy(), dtype=np.bool_) for _, b in source.raw([PATIENT])
        ]
        inside = np.concatenate(batches or [np.zeros(0, dtype=np.bool_)])
        sizes = int(inside.sum()), int((~inside).sum())
        halves[r.name] = Split(source.where(inside), source.where(~inside), "patient", r.rows_of_a_patient, *sizes, 0.0)
    return halves


def _patients(source: Source) -> pa.Array:
    return pa.concat_arrays([chunk for _, batch in source.raw([PATIENT]) for chunk in batch[PATIENT].chunks])


def cap_rows(source: Source, patient: str | None, cap: int, rng: np.random.Generator | None) -> Source:
    """Of each patient at most `cap` rows, chosen at random (rng None: by the operating system)."""
    if patient is None:
        return source
    return _restricted(source, _capped(patient_numbers(source, patient), cap, rng))


def _capped(who: PatientNumbers, cap: int, rng: np.random.Generator | None) -> Mask:
    order = np.lexsort((_uniform(who.ids.size, rng), who.ids))
    ids = who.ids[order]
    starts = np.r_[0, np.flatnonzero(np.diff(ids)) + 1]
    rank = np.arange(ids.size) - np.repeat(starts, np.diff(np.r_[starts, ids.size]))
    kept = np.zeros(who.ids.size, dtype=np.bool_)
    kept[order] = rank < cap
    return kept
