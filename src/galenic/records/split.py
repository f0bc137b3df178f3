"""Splits of tables by patient, and caps on the rows of one patient."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galenic.errors import RecordError
from galenic.records.source import Source
from galenic.schema import PATIENT, Relation


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
    """Patient numbers of every row; each row is its own unit where `patient` is None."""
    if patient is None:
        n = source.count()
        return PatientNumbers(np.arange(n), n)
    if patient not in source.names:
        raise RecordError(f"the patient column {patient!r} is absent; the data has {list(source.names)}. Name one of these.")
    arrays = [batch[patient].cast(pa.string()) for _, batch in source.raw([patient])]
    text = pa.chunked_array([chunk for array in arrays for chunk in array.chunks], type=pa.string())
    encoded = text.combine_chunks().dictionary_encode()
    if encoded.null_count or "" in set(encoded.dictionary.to_pylist()):
        raise RecordError(f"the patient column {patient!r} has rows without a patient. Fill them in, or leave those rows out.")
    return PatientNumbers(np.asarray(encoded.indices.to_numpy(), dtype=np.int64), len(encoded.dictionary))


def split_by_patient(
    source: Source, patient: str | None, rng: np.random.Generator, *, cap: int = 1, test_share: float = 0.3
) -> Split:
    """Train and test halves without a common patient; of each patient at most `cap` rows, chosen at random, are used.

    A patient's rows are chosen without regard to anybody else's, so one patient changes at most `cap` rows.
    """
    if cap < 1:
        raise RecordError(f"rows per patient is {cap}. Expected 1 or more.")
    who = patient_numbers(source, patient)
    if who.count < 10:
        raise RecordError(
            f"{source.name} holds {who.count} patient(s). Expected at least 10, of which some are held out for the evaluation. "
            "Use a larger table."
        )
    held_out = np.zeros(who.count, dtype=np.bool_)
    held_out[rng.permutation(who.count)[: max(int(test_share * who.count), 1)]] = True
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
        cap_loss=1 - train_rows / train_all,
    )


def split_as_given(source: Source, holdout: Source, patient: str | None, rng: np.random.Generator, *, cap: int = 1) -> Split:
    """Train on all of one source and hold out all of another, for callers with held-out patients of their own; both are capped."""
    if cap < 1:
        raise RecordError(f"rows per patient is {cap}. Expected 1 or more.")
    halves, rows, loss = [], [], 0.0
    for half in (source, holdout):
        all_rows = half.count()
        halves.append(cap_rows(half, patient, cap, rng))
        rows.append(halves[-1].count())
        loss = loss if halves[1:] else 1 - rows[0] / max(all_rows, 1)
    unit = "row" if patient is None else "patient"
    return Split(halves[0], halves[1], unit, 1 if patient is None else cap, rows[0], rows[1], loss)


def split_related(
    flat: Mapping[str, Source], relations: tuple[Relation, ...], rng: np.random.Generator, *, test_share: float
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


def cap_rows(source: Source, patient: str | None, cap: int, rng: np.random.Generator) -> Source:
    """Of each patient at most `cap` rows, chosen at random."""
    if patient is None:
        return source
    kept = _capped(patient_numbers(source, patient), cap, rng)
    if source.rows is None:
        return source.where(kept)
    rows = np.zeros(source.rows.size, dtype=np.bool_)
    rows[np.flatnonzero(source.rows)[kept]] = True
    return source.where(rows)


def _capped(who: PatientNumbers, cap: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    order = np.lexsort((rng.random(who.ids.size), who.ids))
    ids = who.ids[order]
    starts = np.r_[0, np.flatnonzero(np.diff(ids)) + 1]
    rank = np.arange(ids.size) - np.repeat(starts, np.diff(np.r_[starts, ids.size]))
    kept = np.zeros(who.ids.size, dtype=np.bool_)
    kept[order] = rank < cap
    return kept
