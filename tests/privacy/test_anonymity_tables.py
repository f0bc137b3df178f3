"""Rows made alike: what comes out is measured by pandas alone; the lattice finds the best node; the risk is what a simulated world has."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galenic.errors import DescriptionError, OptionError, RecordError
from galenic.privacy.anonymization import (
    AnonymizationMethod,
    PrivacyModel,
    QuasiIdentifier,
    anonymize,
    best_node,
    is_rare,
    measure_risk,
    population_uniques,
    quasi_identifier,
)
from galenic.privacy.anonymization.lattice import _combinations, _Search, information_loss


def made(n: int, seed: int) -> tuple[tuple[QuasiIdentifier, ...], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = {
        ("age", "number"): [str(v) for v in rng.integers(0, 90, n)],
        ("sex", "category"): list(rng.choice(["f", "m"], n)),
        ("zip", "category"): [f"{v:05d}" for v in rng.integers(10_000, 10_400, n)],
        ("seen", "date"): [f"{y}-{m:02d}-11" for y, m in zip(rng.integers(2000, 2020, n), rng.integers(1, 13, n), strict=True)],
    }
    columns = tuple(quasi_identifier(name, kind, given) for (name, kind), given in values.items())
    codes = np.column_stack([[c.values.index(v) for v in given] for c, given in zip(columns, values.values(), strict=True)])
    return columns, codes, rng.integers(0, 4, n)


@pytest.mark.parametrize("method", ["mondrian", "global"])
@pytest.mark.parametrize("wanted", [PrivacyModel(5), PrivacyModel(3, 2), PrivacyModel(8, 2, 0.5)])
def test_what_comes_out_has_k_l_and_t(method: str, wanted: PrivacyModel) -> None:
    columns, codes, sensitive = made(1_500, 1)
    done = anonymize(columns, codes, wanted, AnonymizationMethod(method, 0.05), sensitive)
    frame = pd.DataFrame(
        {
            c.name: [names[i] for i in label]
            for c, label, names in zip(columns, done.group_labels, done.label_names, strict=True)
        }
    )
    frame["sensitive"] = sensitive
    whole = frame["sensitive"].value_counts(normalize=True)
    out = frame[done.released]
    groups = out.groupby([c.name for c in columns])["sensitive"]
    assert groups.size().min() >= wanted.k
    assert groups.nunique().min() >= wanted.l
    furthest = max(
        (g.value_counts(normalize=True).reindex(whole.index, fill_value=0) - whole).abs().sum() / 2 for _, g in groups
    )
    assert furthest <= wanted.t + 1e-9
    assert done.suppressed <= 0.05 * len(codes)
    assert 0 < done.loss < 1


@given(st.integers(0, 10_000), st.integers(2, 9), st.sampled_from([0.0, 0.02, 0.1]))
@settings(max_examples=15, deadline=None)
def test_the_lattice_finds_what_asking_every_node_finds(seed: int, k: int, share: float) -> None:
    columns, codes, _ = made(200, seed)
    node = best_node(columns, codes, PrivacyModel(k), share)
    search = _Search(columns, _combinations(codes, None), PrivacyModel(k), share * len(codes))
    every = list(product(*(range(len(c.levels)) for c in columns)))
    fine = [n for n in every if search.suppressed(n) <= search.limit]
    minimal = [n for n in fine if not any(m != n and all(a <= b for a, b in zip(m, n, strict=True)) for m in fine)]
    assert node.loss == pytest.approx(min(search.loss(n) for n in minimal))
    assert node.evaluated < len(every)


def test_a_ladder_tells_less_with_each_rung() -> None:
    for column in made(500, 3)[0]:
        assert len(column.labels[-1]) == 1
        lost = [information_loss(column, r).mean() for r in range(len(column.levels))]
        assert lost == sorted(lost)
        assert lost[0] == 0
        assert lost[-1] == pytest.approx(1)
        for finer, coarser in zip(column.levels, column.levels[1:], strict=False):
            for step in np.unique(finer):
                assert len(np.unique(coarser[finer == step])) == 1


def test_a_sites_own_hierarchy_is_used_and_must_know_every_value() -> None:
    steps = {"A1": ("A", "letters"), "A2": ("A", "letters"), "B1": ("B", "letters")}
    column = quasi_identifier("ward", "category", ["A1", "B1", "A2"], steps)
    assert column.labels[1:3] == (("A", "B"), ("letters",))
    with pytest.raises(DescriptionError, match="does not list 1 of"):
        quasi_identifier("ward", "category", ["A1", "C9"], steps)


def test_missing_values_are_a_group_of_their_own_that_is_named() -> None:
    column = quasi_identifier("age", "number", ["", "30", "40"])
    assert column.values == ("30", "40", "")
    assert column.label(np.array([0, 2])) == ("30..30|(none)", 3)


def test_the_risk_of_known_classes() -> None:
    found = measure_risk(np.array([1, 1, 2, 4, 12]))
    assert found.prosecutor == pytest.approx((1.0, 5 / 20, 8 / 20))
    assert found.unique == pytest.approx(2 / 20)
    assert found.journalist is None
    sampled = measure_risk(np.array([5, 5, 10]), 0.1)
    assert sampled.journalist == pytest.approx((0.02, 3 / 200))
    assert sampled.marketer == pytest.approx(3 / 200)
    assert sampled.population_unique == (0, 0)
    assert measure_risk(np.array([], np.int64)).rows == 0


@pytest.mark.parametrize("fraction", [0.02, 0.05, 0.1, 0.3, 0.6])
def test_who_is_alone_in_the_population_is_estimated_from_a_sample(fraction: float) -> None:
    rng = np.random.default_rng(7)
    n = 120_000
    people = np.column_stack(
        [rng.normal(45, 18, n).round(), rng.integers(0, 2, n), rng.zipf(1.5, n) % 300, rng.integers(0, 6, n)]
    ).astype(int)
    of, size = np.unique(people, axis=0, return_inverse=True, return_counts=True)[1:]
    drawn = rng.random(n) < fraction
    true = int((size[of][drawn] == 1).sum())
    sizes = np.unique(people[drawn], axis=0, return_counts=True)[1]
    least, most = population_uniques(sizes, fraction)
    assert 0.98 * least <= 1.05 * true
    assert most >= 0.95 * true
    assert least < 0.9 * (sizes == 1).sum()  # what the sample alone would say
    if fraction >= 0.1:
        assert least == pytest.approx(true, rel=0.15)
        assert most == pytest.approx(true, rel=0.25)


def test_rare_values_are_told() -> None:
    assert is_rare(np.array([0, 0, 0, 1, 2, 2]), 3).tolist() == [False, False, False, True, True, True]


def test_what_no_node_can_give_is_refused() -> None:
    columns, codes, sensitive = made(30, 1)
    with pytest.raises(RecordError, match="not even one group of all"):
        best_node(columns, codes, PrivacyModel(5, 9), 0.0, sensitive)
    with pytest.raises(OptionError, match="not an anonymization method"):
        anonymize(columns, codes, PrivacyModel(5), AnonymizationMethod("magic"))
