"""Outcomes that are no classes: amounts, counts, times."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from galenic.evidence.tables import bin_column, measure_fidelity, measure_membership
from galenic.evidence.tables.regression_and_survival import concordance, measure_regression, measure_survival
from galenic.schema import Column, Finding, NotMeasured, Table

COLUMNS = (
    Column("age", "integer"),
    Column("arm", "category"),
    Column("cost", "numeric"),
    Column("visits", "integer"),
    Column("days", "numeric"),
    Column("died", "category"),
)


def made(n: int, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    age, arm = rng.integers(20, 90, n), rng.choice(["new", "usual"], n)
    hazard = np.exp((age - 55) / 15 + 0.8 * (arm == "usual")) / 400
    death, end = rng.exponential(1 / hazard), rng.uniform(50, 900, n)
    frame = {
        "age": age,
        "arm": arm,
        "cost": np.round(100 + 5.0 * age + rng.normal(0, 60, n), 2),
        "visits": rng.poisson(np.exp((age - 50) / 25)),
        "days": np.round(np.minimum(death, end), 1),
        "died": np.where(death < end, "yes", "no"),
    }
    return Table(pa.table(frame), COLUMNS)


@pytest.fixture(scope="module")
def parts() -> tuple[Table, Table, Table]:
    return made(2_000, 1), made(2_000, 2), made(2_000, 3)


def judged(train: Table) -> tuple[Column, ...]:
    return tuple(bin_column(train, c) for c in COLUMNS)


def shuffled(table: Table, name: str) -> Table:
    place = table.frame.column_names.index(name)
    order = np.random.default_rng(0).permutation(table.rows)
    return replace(table, frame=table.frame.set_column(place, name, table.frame[name].take(pa.array(order))))


@pytest.mark.parametrize(("target", "explained"), [("cost", 0.5), ("visits", 0.3)])
def test_amounts_and_counts_are_predicted_as_well_as_by_real_rows_or_are_seen_not_to_be(
    parts: tuple[Table, Table, Table], target: str, explained: float
) -> None:
    train, test, fresh = parts
    for made_rows, good in ((fresh, True), (shuffled(fresh, target), False)):
        for found in measure_regression(train, test, made_rows, judged(train), np.random.default_rng(0), target):
            assert isinstance(found, Finding)
            assert found.detail["real"] > explained
            assert (abs(found.detail["gap"]) < 0.08) == good
            assert found.interval is not None
            assert found.interval[0] <= found.value <= found.interval[1]


def test_times_until_an_event_are_ranked(parts: tuple[Table, Table, Table]) -> None:
    train, test, fresh = parts
    spoiled = fresh
    for name in ("age", "arm", "cost", "visits"):
        spoiled = shuffled(spoiled, name)
    good, bad = (
        measure_survival(train, test, t, judged(train), np.random.default_rng(0), ("days", "died"))[0] for t in (fresh, spoiled)
    )
    assert isinstance(good, Finding)
    assert isinstance(bad, Finding)
    assert good.detail["real"] > 0.65
    assert abs(good.detail["gap"]) < 0.03
    assert bad.value < 0.6


def test_times_without_events_or_columns_are_not_measured(parts: tuple[Table, Table, Table]) -> None:
    for event in ("arm", "gone"):
        (found,) = measure_survival(*parts, judged(parts[0]), np.random.default_rng(0), ("days", event))
        assert isinstance(found, NotMeasured)


def test_concordance_by_hand() -> None:
    time, event = np.array([1.0, 2.0, 3.0]), np.array([True, True, False])
    assert concordance(time, event, np.array([3.0, 2.0, 1.0])) == 1.0
    assert concordance(time, event, np.array([1.0, 2.0, 3.0])) == 0.0
    assert concordance(time, event, np.array([1.0, 1.0, 1.0])) == 0.5
    assert concordance(time, ~event, np.array([9.0, 1.0, 2.0])) == 0.0  # only the last had it, after everybody


def spoil(table: Table) -> Table:
    """One cost for everybody in one arm."""
    new = np.array(table.frame["arm"].to_pylist()) == "new"
    cost = np.where(new, 450.0, np.array(table.frame["cost"].to_pylist()))
    return replace(table, frame=table.frame.set_column(2, "cost", pa.array(cost)))


def test_fresh_rows_keep_most_subgroups_within_their_band_and_a_spoiled_one_leaves_it(
    parts: tuple[Table, Table, Table],
) -> None:
    train, test, fresh = parts
    clean, found = (
        measure_fidelity(train, test, t, judged(train), np.random.default_rng(0))[-1] for t in (fresh, spoil(fresh))
    )
    assert isinstance(clean, Finding)
    assert isinstance(found, Finding)
    assert clean.detail["beyond_band"] <= 0.25 * len(clean.detail["groups"])
    group = found.detail["groups"]["arm: new"]
    assert group["excess"] > 3 * group["band"]


def test_an_attack_prints_what_it_would_see(parts: tuple[Table, Table, Table]) -> None:
    few = tuple(replace(t, frame=t.frame.slice(0, 500)) for t in parts)
    small, large = ({f.name: f for f in measure_membership(*p, judged(p[0]), np.random.default_rng(0))} for p in (few, parts))
    for attack in ("nearest", "density", "outlier", "exact", "near", "singling_out", "linkability", "inference"):
        found = small[f"privacy.{attack}"]
        assert isinstance(found, Finding)
        assert 0 < found.detail["detectable"] <= 1
    for attack in ("nearest", "density", "outlier"):  # more people, more power
        assert large[f"privacy.{attack}"].detail["detectable"] < small[f"privacy.{attack}"].detail["detectable"]
