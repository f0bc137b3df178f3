"""Codes with a hierarchy: a rare code is told as its parent, never as OTHER where a parent is common, and never as itself."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from galenic import records
from galenic.errors import DescriptionError
from galenic.evidence.tables import bin_column, measure_fidelity
from galenic.evidence.tables.discriminator import measure_realism
from galenic.generators.tables import MixtureTables
from galenic.privacy import Budget, PrivateRows, buy_domain
from galenic.schema import Column, Finding, NotMeasured, Table

COMMON = ("E11.9", "I10.0", "J18.9", "J45.9")


def codes(n: int, seed: int) -> pa.Table:
    """Four common codes, and as many rows again of codes that one or two patients have, in the same three chapters."""
    rng = np.random.default_rng(seed)
    common = rng.choice(COMMON, n)
    rare = np.array([f"{c[:3]}.{k:03d}" for c, k in zip(rng.choice(COMMON, n), rng.integers(0, 900, n), strict=True)])
    code = np.where(rng.random(n) < 0.6, common, rare)
    ward = np.where(np.char.startswith(code.astype(str), "J"), rng.choice(["lung", "general"], n, p=[0.8, 0.2]), "general")
    return pa.table({"code": code, "ward": ward})


COLUMNS = (Column("code", "category", hierarchy=(3, 1), other=True), Column("ward", "category", other=True))


def learned(frame: pa.Table, budget: Budget | None) -> MixtureTables:
    protected = PrivateRows(records.in_memory(frame), None, 1, budget)
    thresholds = budget.threshold_delta if budget else Fraction(0)
    domain = buy_domain(protected, COLUMNS, protected.rho * Fraction(1, 2), thresholds)
    return MixtureTables(seed=1).fit(protected, domain)


@pytest.mark.parametrize("private", [True, False])
def test_a_rare_code_is_told_as_its_parent(budget: Budget, private: bool) -> None:
    frame = codes(4_000, 1)
    made = learned(frame, budget if private else None).sample(4_000, rng=np.random.default_rng(0))
    held = Counter(frame["code"].to_pylist())
    told = Counter(c for c in made.frame["code"].to_pylist() if c is not None)
    emitted = [c for c in told if len(c) > 3 and c != "OTHER"]
    assert set(COMMON) <= set(emitted)
    assert all(held[c] >= 5 for c in emitted)
    chapters = ("E", "I", "J")
    real = np.array([sum(n for c, n in held.items() if c.startswith(x)) for x in chapters]) / 4_000
    ours = np.array([sum(n for c, n in told.items() if c.startswith(x)) for x in chapters]) / 4_000
    assert np.abs(real - ours).max() < 0.04
    assert told["OTHER"] < 40
    assert sum(told[p] for p in ("E11", "I10", "J18", "J45")) > 1_200  # the rare two fifths


def test_dependence_reaches_parents_and_the_judge_rolls_real_codes_up(budget: Budget) -> None:
    frame = codes(4_000, 1)
    made = learned(frame, budget).sample(4_000, rng=np.random.default_rng(0))
    lung = [
        w == "lung" for c, w in zip(*(made.frame[n].to_pylist() for n in ("code", "ward")), strict=True) if c in ("J18", "J45")
    ]
    assert np.mean(lung) > 0.6
    train, test = (records.in_memory(codes(4_000, s)).table(made.columns) for s in (1, 2))
    judged = tuple(bin_column(train, c) for c in made.columns)
    found: dict[str, Finding | NotMeasured] = {
        f.name: f
        for f in (
            *measure_fidelity(train, test, made, judged, np.random.default_rng(0)),
            *measure_realism(train, test, made, judged, np.random.default_rng(0)),
        )
    }
    excess, outside, seen = (found[n] for n in ("fidelity.tvd2.excess", "plausibility.range", "fidelity.discriminator"))
    assert isinstance(excess, Finding)
    assert isinstance(outside, Finding)
    assert isinstance(seen, Finding)
    assert excess.value < 0.03
    assert outside.value < 0.01
    assert seen.value < 0.6


def test_a_hierarchy_stands_in_a_description_and_a_wrong_one_is_refused() -> None:
    column = Column("code", "category", categories=("E11", "E11.9"), hierarchy=(3, 1), other=True)
    assert records.from_toml(records.to_toml((column,))) == (column,)
    with pytest.raises(DescriptionError, match="longest first"):
        Column("code", "category", hierarchy=(1, 3))
    with pytest.raises(DescriptionError, match="only codes"):
        Column("age", "integer", hierarchy=(3,))


def test_an_unlisted_code_without_a_listed_parent_is_other() -> None:
    column = Column("code", "category", categories=("E11", "E11.9"), hierarchy=(3,), other=True)
    from galenic.schema import encode

    found = encode(Table(pa.table({"code": pa.array(["E11.9", "E11.0", "E12.0", None])}), (column,)), column)
    assert found.tolist() == [1, 0, 2, 3]
