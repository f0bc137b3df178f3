"""The discriminator, plausibility, fairness and the three risks: each is right where the answer is known."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from galenic.evidence import EvaluationRequest
from galenic.evidence.tables import bin_column, encode_columns, measure_risks, noisy_copy
from galenic.evidence.tables.discriminator import measure_realism
from galenic.evidence.tables.fairness import measure_fairness
from galenic.schema import Column, Constraint, Finding, NotMeasured, Table
from made import made_table


def changed(t: Table, name: str, values: list) -> Table:
    frame = t.frame.set_column(t.frame.column_names.index(name), name, pa.array(values, t.frame[name].type))
    return replace(t, frame=frame)


def test_copies_leak_by_every_risk_and_fresh_patients_by_none(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    train, test, fresh = (encode_columns(t, columns) for t in tables[:3])
    rng = np.random.default_rng(0)
    noisy = encode_columns(noisy_copy(tables[0], columns, rng), columns)
    assert all(r.p_beyond < 1e-6 for r in measure_risks(train, test, train, columns, rng).values())
    found = measure_risks(train, test, noisy, columns, rng)  # three columns a side are too few to link noisy rows by
    assert all(found[name].p_beyond < 1e-6 for name in ("singling_out", "inference"))
    assert all(abs(r.advantage) < 0.05 for r in measure_risks(train, test, fresh, columns, rng).values())


def test_false_alarms_of_the_three_risks_are_rare(columns: tuple[Column, ...]) -> None:
    """40 clean draws of three tests at p < .001: more than 2 alarms come up once in 10,000."""
    alarms = 0
    for draw in range(40):
        members, outsiders, fresh = (encode_columns(made_table(500, 7_000 + 3 * draw + i), columns) for i in range(3))
        found = measure_risks(members, outsiders, fresh, columns, np.random.default_rng(draw))
        alarms += any(r.p < 0.001 for r in found.values())
    assert alarms <= 2


def test_what_everybody_knows_is_no_leak(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    """A secret that follows from the rest is guessed on training and held-out rows alike."""
    follows = [changed(t, "diabetes", t.frame["smoker"].to_pylist()) for t in tables]
    train, test, fresh = (encode_columns(t, columns) for t in follows[:3])
    found = measure_risks(train, test, fresh, columns, np.random.default_rng(0))["inference"]
    assert found.success > 0.2
    assert abs(found.advantage) < 0.05


def test_the_discriminator_sees_digits_and_nothing_in_real_rows(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    train, test, fresh = tables[:3]
    rng = np.random.default_rng(0)
    clean = measure_realism(train, test, fresh, columns, rng)[0]
    assert isinstance(clean, Finding)
    assert clean.value == pytest.approx(0.5, abs=0.05)
    # one decimal more than blood pressures have: levels of 20 bins would never show it
    pressures = [None if v is None else round(v) + 0.5 for v in fresh.frame["sbp_mmhg"].to_pylist()]
    told = measure_realism(train, test, changed(fresh, "sbp_mmhg", pressures), columns, rng)[0]
    assert isinstance(told, Finding)
    assert told.value > clean.value + 0.1
    assert told.interval is not None
    assert told.interval[0] < told.value < told.interval[1]


def test_the_impossible_is_counted(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    train, test, fresh = tables[:3]
    old = changed(fresh, "age_years", [300, *fresh.frame["age_years"].to_pylist()[1:]])
    rule = Constraint("range", name="adults", columns=("age_years",), low=18, high=110)
    found = {f.name: f for f in measure_realism(train, test, old, columns, np.random.default_rng(0), (rule,))}
    assert found["plausibility.adults"].value == pytest.approx(1 / 2_000)
    assert found["plausibility.adults"].detail["held_out"] == 0
    assert found["plausibility.range"].value >= 1 / 2_000


def test_a_group_that_is_missing_or_badly_served_is_seen(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    train, test, fresh = tables[:3]
    rng = np.random.default_rng(0)
    shares, gap, _ = measure_fairness(train, test, fresh, columns, rng, EvaluationRequest(target="diabetes"))
    assert isinstance(shares, Finding)
    assert isinstance(gap, Finding)
    assert shares.value < 0.06
    assert gap.value < 0.12
    women = np.array([s == "female" for s in fresh.frame["sex"].to_pylist()])
    outcome = np.array(fresh.frame["diabetes"].to_pylist())
    outcome[women] = rng.permutation(outcome[women])  # nothing can be learned about women any more
    _, worse, _ = measure_fairness(
        train, test, changed(fresh, "diabetes", outcome.tolist()), columns, rng, EvaluationRequest(target="diabetes")
    )
    assert isinstance(worse, Finding)
    assert worse.detail["lost"]["sex: female"] > worse.detail["lost"]["sex: male"] + 0.05
    few = replace(fresh, frame=fresh.frame.filter(pa.array(~women | (np.arange(2_000) % 10 == 0))))
    missing, _, _ = measure_fairness(train, test, few, columns, rng, EvaluationRequest(target="diabetes"))
    assert isinstance(missing, Finding)
    assert missing.value > 0.3
    assert missing.detail["shift"]["sex"]["female"] < -0.3


def test_groups_nobody_knows_are_not_measured(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    kept = tuple(c for c in columns if c.name in ("age_years", "smoker", "diabetes"))
    parts = [Table(t.frame.select([c.name for c in kept]), tuple(t.column(c.name) for c in kept)) for t in tables[:3]]
    found = measure_fairness(*parts, kept, np.random.default_rng(0))
    assert all(isinstance(f, NotMeasured) and "name one" in f.why for f in found)


def test_ages_are_compared_by_quarters_and_codes_that_are_numbers_by_value(
    tables: tuple[Table, ...], columns: tuple[Column, ...]
) -> None:
    train, test, fresh = tables[:3]
    shares = measure_fairness(train, test, fresh, columns, np.random.default_rng(0), EvaluationRequest(groups=("age_years",)))[
        0
    ]
    assert isinstance(shares, Finding)
    assert len(shares.detail["shift"]["age_years"]) == 5  # four bands, and missing
    assert sum(" to " in band for band in shares.detail["shift"]["age_years"]) == 3  # up to, two between, or more

    def coded(table: Table) -> Table:
        number = pa.array([1 if s == "female" else 2 for s in table.frame["sex"].to_pylist()], pa.int64())
        frame = table.frame.set_column(table.frame.column_names.index("sex"), "sex", number)
        return Table(frame, tuple(Column("sex", "integer", edges=(0.5, 2.5)) if c.name == "sex" else c for c in table.columns))

    parts = [coded(t) for t in (train, test, fresh)]
    described = tuple(bin_column(parts[0], c) for c in parts[0].columns)
    as_numbers, as_words = (
        measure_fairness(*three, by, np.random.default_rng(0), EvaluationRequest(target="diabetes"))
        for three, by in ((parts, described), ((train, test, fresh), columns))
    )
    assert isinstance(as_numbers[0], Finding)
    assert isinstance(as_words[0], Finding)
    assert as_numbers[0].value == pytest.approx(as_words[0].value)
    assert set(as_numbers[0].detail["shift"]["sex"]) == {"1", "2", "missing"}


def test_a_column_of_many_words_makes_no_groups(tables: tuple[Table, ...], columns: tuple[Column, ...]) -> None:
    many = tuple(c.but(categories=tuple(f"{k:02d}" for k in range(20)), edges=()) if c.name == "sex" else c for c in columns)
    found = measure_fairness(*tables[:3], many, np.random.default_rng(0), EvaluationRequest(groups=("sex",)))
    assert all(isinstance(f, NotMeasured) and "more than 12" in f.why for f in found)


def test_unequal_opportunity_is_seen_and_reweighing_lessens_it() -> None:
    """Group b has the outcome far less often in the synthetic rows than in truth: cases among b are missed until it is reweighed."""
    rng = np.random.default_rng(0)

    def made(n: int, fewer: float) -> Table:
        group, score = rng.choice(["a", "b"], n), rng.normal(size=n)
        case = (score + rng.normal(0, 0.7, n) > 0.8) & ~((group == "b") & (rng.random(n) < fewer))
        columns = (Column("race", "category"), Column("score", "numeric"), Column("case", "category"))
        frame = pa.table({"race": group, "score": np.round(score, 2), "case": np.where(case, "yes", "no")})
        return Table(frame, columns)

    train, test, biased = made(4_000, 0.0), made(4_000, 0.0), made(4_000, 0.8)
    coded = tuple(bin_column(train, c) for c in train.columns)
    found = measure_fairness(train, test, biased, coded, rng, EvaluationRequest(target="case"))[2]
    assert isinstance(found, Finding)
    assert found.value > found.detail["real"] + 0.15
    assert found.detail["reweighed"] < found.value / 2
