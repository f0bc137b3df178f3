"""One patient more, other ids, another order of rows: every public file, message and exit code of a private run is accounted for."""

import builtins
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from answer_log import AnswerLog
from galenic.privacy import domain_purchase, measurement, table_description, without_observed
from galenic.records import split
from public_outputs import Patient, PublicRun, copy_of, prepare_home, publish, steady, write_table

CODES = 48  # more than a bought column keeps, all equally frequent


def patients() -> list[Patient]:
    """960 patients: equally frequent codes, whole numbers, decimals, dates; three in ten are held out."""
    rng = np.random.default_rng(1)
    found = []
    for k in range(960):
        code = k * 7 % CODES
        day = np.datetime64("2020-01-01") + int(rng.integers(0, 300))
        row = {
            "code": f"c{code:02d}",
            "size_mm": str(10 + code % 9),
            "dose_mg": f"{rng.integers(0, 90) / 10:.1f}",
            "seen": str(day),
        }
        found.append(Patient((row,), held_out=k // CODES % 10 in (2, 5, 8)))
    return found


TYPICAL = {"code": "c03", "size_mm": "12", "dose_mg": "4.5", "seen": "2020-05-25"}
OUTLIER = {"code": "a code of their own", "size_mm": "-99999999", "dose_mg": "1.23456789e12", "seen": "1899-12-31"}
WRONG = {"code": "", "size_mm": "tiny", "dose_mg": "02", "seen": "25/05/2020"}
MORE = [
    pytest.param(Patient((TYPICAL,)), id="a typical patient", marks=pytest.mark.slow),
    pytest.param(Patient((TYPICAL,), held_out=True), id="a patient who is held out", marks=pytest.mark.slow),
    pytest.param(Patient((OUTLIER,)), id="an outlier", marks=pytest.mark.slow),
    pytest.param(Patient((WRONG,) * 400), id="a patient with 400 rows of the wrong type"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        return prepare_home(tmp_path_factory.mktemp("prepared") / "home", patch)


class Stage:
    """Publishes tables of patients, each in a folder of its own. bug: a change of Galenic, to show that the comparison sees it."""

    def __init__(self, prepared: Path, folder: Path) -> None:
        self.prepared, self.folder, self.count = prepared, folder, 0

    def publish(
        self,
        people: list[Patient],
        name: Callable[[int], str] = "P{:05d}".format,
        answers: AnswerLog | None = None,
        bug: Callable[[pytest.MonkeyPatch], None] | None = None,
    ) -> PublicRun:
        self.count += 1
        place = self.folder / f"{self.count:03d}"
        place.mkdir()
        write_table(people, place / "table.csv", name)
        with pytest.MonkeyPatch.context() as patch:
            steady(patch, [p.held_out for p in people])
            if bug is not None:
                bug(patch)
            return publish(place / "table.csv", copy_of(self.prepared, place), patch, answers)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("neighbors")
    with pytest.MonkeyPatch.context() as patch:
        return Stage(prepare_home(folder / "home", patch), folder)


@pytest.fixture(scope="module")
def base(stage: Stage) -> PublicRun:
    """The run that others are compared with."""
    return stage.publish(patients())


def differences(a: PublicRun, b: PublicRun) -> list[str]:
    """Names of public outputs that only one run has, or that differ."""
    return sorted(k for k in {*a.public, *b.public} if a.public.get(k) != b.public.get(k))


def reordered() -> list[Patient]:
    people = patients()
    return [people[k] for k in np.random.default_rng(2).permutation(len(people))]


def test_every_file_of_a_release_is_compared(base: PublicRun) -> None:
    codes = {name: text.split()[0] for name, text in base.public.items() if name.startswith("$")}
    assert set(codes.values()) == {"0"}
    assert {"release/data.csv", "release/card.html", "release/croissant.json", "release/evidence.json"} <= set(base.public)
    assert any(a.method == "PrivateRows.kinds" for a in base.log.asked)
    (domain,) = (a for a in base.log.asked if a.method == "PrivateRows.values" and "code" in a.answer)
    assert len(domain.answer["code"]) == CODES  # all of them could be bought, and fewer are kept
    assert 10 < len({line.split(",")[0] for line in base.public["release/data.csv"].splitlines()}) < CODES


def test_order_of_rows_and_ids_of_patients_change_nothing_public(base: PublicRun, stage: Stage) -> None:
    assert differences(base, stage.publish(reordered(), "{0:x}-of-another-clinic".format)) == []


@pytest.mark.parametrize("more", MORE)
def test_one_patient_more_changes_nothing_public_but_paid_answers(base: PublicRun, stage: Stage, more: Patient) -> None:
    people = patients()
    other = stage.publish([*people[:400], more, *people[400:]], answers=base.log)
    assert differences(base, other) == []
    moved = base.log.mu_squared({base.real.name: base.real}, {base.real.name: other.real})
    assert moved <= 2 * base.log.rho * (1 + 1e-9)
    assert (moved == 0) == more.held_out


def kinds_by_rows(patch: pytest.MonkeyPatch) -> None:
    """Fault L2: kinds that were read from rows are used as if they had been declared."""

    def bounds_alone(columns: Any) -> Any:
        return without_observed(tuple(c.but(kind_origin="declared") for c in columns))

    patch.setattr(table_description, "without_observed", bounds_alone)


def ties_by_rows(patch: pytest.MonkeyPatch) -> None:
    """Fault L5: of equally frequent values those come first that are first in the file."""

    def by_count(pairs: Iterable[Any], key: Any = None) -> list[Any]:
        return builtins.sorted(pairs, key=(lambda pair: key(pair)[0]) if key else None)

    patch.setattr(domain_purchase, "sorted", by_count, raising=False)
    patch.setattr(measurement, "sorted", list, raising=False)


def sides_by_seed(patch: pytest.MonkeyPatch) -> None:
    """Fault L1: a seeded permutation of all patients decides who is held out."""

    def permuted(count: int, _rng: object, *, share: float) -> Any:
        return np.random.default_rng(7).permutation(count) < share * count

    patch.setattr(split, "draw_held_out", permuted)


@pytest.mark.slow
def test_the_comparison_sees_kinds_that_are_read_from_rows(stage: Stage) -> None:
    people = patients()
    before = stage.publish(people, bug=kinds_by_rows)
    with pytest.raises(AssertionError):
        assert differences(before, stage.publish([*people, Patient((WRONG,))], answers=before.log, bug=kinds_by_rows)) == []


@pytest.mark.slow
def test_the_comparison_sees_ties_that_the_order_of_rows_breaks(stage: Stage) -> None:
    before, after = stage.publish(patients(), bug=ties_by_rows), stage.publish(reordered(), bug=ties_by_rows)
    assert "release/data.csv" in differences(before, after)


@pytest.mark.slow
def test_the_comparison_sees_a_split_that_one_patient_more_changes(stage: Stage) -> None:
    people = patients()
    before = stage.publish(people, bug=sides_by_seed)
    after = stage.publish([*people, Patient((TYPICAL,))], answers=before.log, bug=sides_by_seed)
    moved = before.log.mu_squared({before.real.name: before.real}, {before.real.name: after.real})
    assert moved > 10 * 2 * before.log.rho
