"""Judges are judged first: planted leaks are found, clean rows pass, what cannot be measured is not a number."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic.evidence import EvaluationRequest
from galenic.evidence.tables import (
    AttackPool,
    any_alarm,
    attack_planted_leaks,
    bin_column,
    evaluate_table,
    leak_rows,
    mean_tvd,
    noisy_copy,
    shuffle_rows,
)
from galenic.evidence.tables.fidelity import measure_fidelity, tvd
from galenic.evidence.tables.utility import measure_utility
from galenic.schema import Column, Finding, NotMeasured, Table
from made import made_table


def test_every_planted_leak_is_found_and_fresh_patients_are_not_flagged(
    tables: tuple[Table, ...], columns: tuple[Column, ...]
) -> None:
    rng = np.random.default_rng(0)
    controls = attack_planted_leaks(AttackPool(columns, tables[0], tables[1], tables[2]), tables[3], tables[4], rng)
    assert {name: any_alarm(o) for name, o in controls.items()} == {"copy": True, "noise": True, "leak": True, "clean": False}


def test_false_alarms_are_rare(columns: tuple[Column, ...]) -> None:
    """30 clean draws: at most 2 alarms, which a 0.2 % false-alarm rate exceeds once in 30,000."""
    alarms = 0
    for draw in range(30):
        members, outsiders, reference, clean = (made_table(400, 1000 + 4 * draw + i) for i in range(4))
        alarms += any_alarm(AttackPool(columns, members, outsiders, reference).attack(clean))
    assert alarms <= 2


def test_a_copy_scores_far_above_one_half(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    lineup = AttackPool(columns, tables[0], tables[1], tables[2])
    assert lineup.attack(tables[0])["nearest"].advantage > 0.95
    assert lineup.attack(noisy_copy(tables[0], columns, np.random.default_rng(0)))["nearest"].advantage > 0.9
    assert lineup.attack(tables[3])["nearest"].advantage == pytest.approx(0.5, abs=0.05)


def test_total_variation_by_hand() -> None:
    a, b = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0, 0], [0, 0], [0, 0], [1, 1]])
    sizes = np.array([2, 2])
    assert tvd(a, b, (0,), sizes) == pytest.approx(0.25)
    assert tvd(a, b, (0, 1), sizes) == pytest.approx(0.5)
    assert mean_tvd(a, b, [(0,), (0, 1)], sizes) == pytest.approx(0.375)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_rows_changes_no_metric(seed: int) -> None:
    parts = [made_table(300, i) for i in range(3)]
    columns = tuple(bin_column(parts[0], c) for c in parts[0].columns)
    mixed = [shuffle_rows(t, np.random.default_rng(seed)) for t in parts]
    one, two = (measure_fidelity(t[0], t[1], t[2], columns, np.random.default_rng(0)) for t in (parts, mixed))
    for f, g in zip(one, two, strict=True):
        if isinstance(f, Finding) and "floor" not in f.name and "excess" not in f.name and "subgroup" not in f.name:
            assert isinstance(g, Finding)
            assert f.value == pytest.approx(g.value)


def test_real_rows_as_good_as_real_rows(tables: tuple[Table, ...]) -> None:
    report = evaluate_table(tables[0], tables[1], tables[2], EvaluationRequest(target="diabetes"))
    for name in ("fidelity.tvd1.excess", "fidelity.tvd2.excess", "fidelity.tvd3.excess"):
        found = report.get(name)
        assert isinstance(found, Finding)
        assert abs(found.value) < 0.02
    gap = report.get("utility.gap.logistic")
    assert isinstance(gap, Finding)
    assert gap.interval is not None
    assert gap.interval[0] - 0.02 < 0 < gap.interval[1] + 0.02
    assert report.get("privacy.alarms").value == 0  # type: ignore[union-attr]


def test_shuffled_columns_lose_utility_and_pairs_but_not_singles(tables: tuple[Table, ...]) -> None:
    rng = np.random.default_rng(0)
    frame = tables[2].frame
    apart = pa.table({n: frame[n].take(pa.array(rng.permutation(frame.num_rows))) for n in frame.column_names})
    report = evaluate_table(tables[0], tables[1], replace(tables[2], frame=apart), EvaluationRequest(target="diabetes"))
    value = {f.name: f.value for f in report.findings if isinstance(f, Finding)}
    assert value["fidelity.tvd1.excess"] < 0.01
    assert value["fidelity.tvd2.excess"] > 0.01
    assert value["utility.gap.boosting"] > 0.1


def test_what_is_too_small_to_attack_is_not_measured() -> None:
    report = evaluate_table(made_table(60, 0), made_table(40, 1), made_table(60, 2))
    assert isinstance(report.get("privacy.nearest"), NotMeasured)
    assert isinstance(report.get("privacy.controls"), NotMeasured)


def test_a_target_that_cannot_be_predicted_is_not_measured(tables: tuple[Table, ...]) -> None:
    one = tuple(Table(t.frame.select(["sex"]), (t.column("sex"),)) for t in tables[:3])
    columns = (bin_column(one[0], one[0].columns[0]),)
    found = measure_utility(*one, columns, np.random.default_rng(0))
    assert all(isinstance(f, NotMeasured) for f in found)
    found = measure_utility(*one, columns, np.random.default_rng(0), target="absent")
    assert "not among the columns" in str(found[0])


def test_an_attack_that_cannot_see_planted_leaks_says_so() -> None:
    """Two columns of two values: every row is everywhere, so a leak cannot be told from chance."""
    rng = np.random.default_rng(0)
    columns = tuple(Column(n, "category", categories=("a", "b")) for n in "xy")
    parts = [Table(pa.table({n: rng.choice(["a", "b"], 600) for n in "xy"}), columns) for _ in range(3)]
    controls = evaluate_table(*parts).get("privacy.controls")
    assert isinstance(controls, NotMeasured)
    assert "missed" in controls.why


@pytest.mark.parametrize("leak", ["none", "copy", "noise", "leak"])
def test_copies_are_found_without_held_out_patients(tables: tuple[Table, ...], leak: str) -> None:
    rng = np.random.default_rng(0)
    real, fresh = tables[0], tables[1]
    columns = tuple(bin_column(real, c) for c in real.columns)
    made = {
        "none": fresh,
        "copy": real,
        "noise": noisy_copy(real, columns, rng),
        "leak": leak_rows(fresh, real, rng, share=0.05),
    }[leak]
    half = [replace(real, frame=real.frame.slice(i * 1_000, 1_000)) for i in range(2)]
    report = evaluate_table(half[0], half[1], made, EvaluationRequest(held_out=False))
    alarms = report.get("privacy.alarms")
    assert isinstance(alarms, Finding)
    assert alarms.value == (leak != "none")
