"""The table engine: it learns what it paid for, samples exactly, refuses what is too small."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from galenic import records, store
from galenic.errors import BudgetError, OptionError, RecordError
from galenic.generators.tables import Marginal, MixtureTables, fit_mixture
from galenic.generators.tables.marginal_plan import shares
from galenic.generators.tables.sampling import condition_mixture, draw_rows
from galenic.privacy import Budget, Domain, Ledger, PrivateRows, buy_domain
from galenic.schema import Column
from made import made_patients


def learned(frame: pa.Table, budget: Budget | None = None, **options: int) -> tuple[MixtureTables, Domain]:
    source = records.in_memory(frame)
    columns = tuple(c for c in records.describe(source) if c.role == "value")
    protected = PrivateRows(source, "patient_id", 1, budget)
    if budget is not None:
        columns = tuple(c.but(bounds_origin="declared", categories_origin="declared") for c in columns)
    domain = buy_domain(protected, columns, protected.rho / 4, budget.threshold_delta if budget else Fraction(0))
    return MixtureTables(seed=0, **options).fit(protected, domain), domain


@pytest.fixture(scope="module")
def model() -> MixtureTables:
    return learned(made_patients(6_000))[0]


@pytest.fixture
def budget(tmp_path: Path) -> Budget:
    ledger = Ledger(store.Database(f"sqlite:///{tmp_path / 'l.db'}"))
    ledger.declare("p", epsilon=1.0, delta=1e-9, actor="t")
    return ledger.reserve("p", epsilon=1.0, delta=1e-9, purpose="t", actor="t")


def test_dependence_between_columns_is_learned(model: MixtureTables) -> None:
    frame = model.sample(20_000, rng=np.random.default_rng(0)).frame.to_pandas()
    real = made_patients(20_000, 1).to_pandas()
    for data in (frame, real):
        data["high"] = data.sbp_mmhg > 135
    difference = [d[d.high].diabetes.eq("yes").mean() - d[~d.high].diabetes.eq("yes").mean() for d in (frame, real)]
    assert difference[0] == pytest.approx(difference[1], abs=0.06)
    assert frame.sbp_mmhg.isna().mean() == pytest.approx(real.sbp_mmhg.isna().mean(), abs=0.02)


def test_offsets_keep_dates_in_order(model: MixtureTables) -> None:
    frame = model.sample(2_000).frame.to_pandas()
    assert (frame.discharged >= frame.admitted).all()
    assert frame.admitted.min().year >= 2019


def test_integers_and_lattices_are_kept(model: MixtureTables) -> None:
    frame = model.sample(1_000).frame
    assert frame["age_years"].type == pa.int64()
    tenths = np.array(frame["sbp_mmhg"].drop_null().to_pylist()) * 10
    assert np.allclose(tenths, np.rint(tenths))


def test_the_last_bin_of_an_integer_column_keeps_its_values() -> None:
    from galenic.generators.tables.decoding import draw_within_bins

    column = Column("x", "integer", edges=(0.5, 3.5, 8.5, 9.5), step=1.0)
    rng = np.random.default_rng(0)
    for level, expected in ((0, {1, 2, 3}), (1, {4, 5, 6, 7, 8}), (2, {9})):
        assert set(draw_within_bins(column, np.full(500, level), rng)) == expected
    money = Column("y", "numeric", edges=(0.0, 0.01, 10.0), step=0.01, heaps=(0.0,))
    assert set(draw_within_bins(money, np.zeros(50, dtype=np.int64), rng)) == {0.0}
    assert draw_within_bins(money, np.ones(500, dtype=np.int64), rng).min() >= 0.01


def test_conditional_sampling_gives_what_is_given(model: MixtureTables) -> None:
    frame = model.sample(500, {"sex": "male", "age_years": 70, "sbp_mmhg": None}).frame
    assert set(frame["sex"].to_pylist()) == {"male"}
    assert set(frame["age_years"].to_pylist()) == {70}
    assert frame["sbp_mmhg"].null_count == 500


def test_conditioning_is_exact() -> None:
    """P(x2 | x1) from the conditioned mixture equals the ratio of the joint and marginal, computed by hand."""
    rng = np.random.default_rng(0)
    sizes = np.array([3, 4])
    weights = rng.dirichlet(np.ones(5))
    table = np.concatenate([rng.dirichlet(np.ones(s), 5) for s in sizes], axis=1)
    from galenic.generators.tables import Mixture

    mixture = Mixture(weights, table, sizes)
    joint = np.einsum("k,ki,kj->ij", weights, mixture.of(0), mixture.of(1))
    for level in range(3):
        given = condition_mixture(mixture, {0: np.array([level])})
        assert np.allclose(given.one_way(1), joint[level] / joint[level].sum())
        assert given.one_way(0)[level] == pytest.approx(1)


def test_sampling_follows_the_mixture(model: MixtureTables) -> None:
    codes = draw_rows(model.mixture, 50_000, np.random.default_rng(0))
    for j, column in enumerate(model.columns):
        share = np.bincount(codes[:, j], minlength=column.levels) / 50_000
        # systematic within components: far closer than the 0.01 that chance would allow
        assert np.abs(share - model.mixture.one_way(j)).max() < 0.01


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"height": 1}, "no column 'height'", id="unknown column"),
        pytest.param({"sex": "robot"}, "not one of the model's 2 categories", id="unknown category"),
        pytest.param({"age_years": 300}, "lies between", id="outside the bounds"),
        pytest.param({"age_years": "old"}, "Give a number", id="a word for a number"),
        pytest.param({"sex": None}, "never missing", id="missing where nothing is missing"),
    ],
)
def test_a_condition_the_model_does_not_know_is_refused_without_its_value(
    model: MixtureTables, given: dict, message: str
) -> None:
    with pytest.raises(OptionError, match=message) as refusal:
        model.sample(1, given)
    assert "robot" not in str(refusal.value)


def test_a_model_reads_back_as_it_was_saved(model: MixtureTables, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = MixtureTables.load(tmp_path / "model")
    same = [m.sample(50, rng=np.random.default_rng(3)).frame for m in (model, again)]
    assert same[0].equals(same[1])
    (tmp_path / "model" / "model.json").write_text("{}")
    with pytest.raises(RecordError):
        MixtureTables.load(tmp_path / "model")


def test_a_private_fit_spends_its_whole_budget_and_no_more(budget: Budget) -> None:
    model, domain = learned(made_patients(6_000), budget)
    assert 0 <= budget.rho_left < Fraction(1, 10**9)
    assert model.fitted.private
    assert model.fitted.chi2 <= 1.05
    assert 0 < domain.rows_sigma < 60
    assert abs(domain.rows - 6_000) < 8 * domain.rows_sigma  # that it is noisy: tests/privacy/test_paid_answers.py
    assert sum(m.rho for m in budget.mechanisms) == pytest.approx(float(budget.rho), rel=1e-6)


def test_many_columns_are_selected_and_paid_for(budget: Budget) -> None:
    rng = np.random.default_rng(0)
    n = 3_000
    base = rng.integers(0, 2, n)
    flips = {f"x{i:02d}": np.where(rng.random(n) < 0.9, base, 1 - base) for i in range(6)}
    noise = {f"z{i:02d}": rng.integers(0, 6, n) for i in range(20)}
    frame = pa.table({k: [str(v) for v in a] for k, a in {**flips, **noise}.items()})
    columns = tuple(
        Column(c, "category", categories=tuple(sorted(set(frame[c].to_pylist()))), missing=False) for c in frame.column_names
    )
    protected = PrivateRows(records.in_memory(frame), None, 1, budget)
    domain = buy_domain(protected, columns, protected.rho / 100, Fraction(0))
    model = MixtureTables(seed=0).fit(protected, domain)
    assert model.fitted.pairs < model.fitted.possible_pairs
    assert any("distance of 325" in m.what for m in budget.mechanisms)
    assert 0 <= budget.rho_left < Fraction(1, 10**9)
    measured = {m.what for m in budget.mechanisms if m.what.startswith("2-way")}
    strong = [w for w in measured if w.count("x0") == 2]
    # the 15 strong pairs are 5 % of all 325; selection must find most of them
    assert len(strong) >= 8


def test_too_little_is_refused_with_the_arithmetic(budget: Budget) -> None:
    with pytest.raises(BudgetError, match=r"Rows x sqrt\(rho\) must grow \d+\.\d-fold"):
        learned(made_patients(120), budget)


def test_shares_of_rho_follow_cells_to_two_thirds() -> None:
    assert np.allclose(shares(np.array([1.0, 8.0])), [0.2, 0.8])


def test_the_fit_stops_at_the_noise() -> None:
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.ones(12)).reshape(3, 4) * 10_000
    noisy = truth + rng.normal(0, 30, truth.shape)
    marginals = [
        Marginal((0,), truth.sum(1) + rng.normal(0, 30, 3), 900.0),
        Marginal((1,), truth.sum(0) + rng.normal(0, 30, 4), 900.0),
        Marginal((0, 1), noisy, 900.0),
    ]
    fitted = fit_mixture(marginals, np.array([3, 4]), 10_000, rng, components=20)
    assert fitted.chi2 <= 1.0
    assert np.allclose(fitted.mixture.weights.sum(), 1)


def test_no_rows_can_be_asked_for_but_not_fewer(model: MixtureTables) -> None:
    assert model.sample(0).rows == 0
    with pytest.raises(OptionError, match="rows is -1"):
        model.sample(-1)


def test_a_table_wider_than_the_engine_is_refused() -> None:
    columns = tuple(Column(f"c{i}", "category", categories=("a", "b")) for i in range(2_000))
    frame = pa.table({c.name: ["a", "b"] * 20 for c in columns})
    with pytest.raises(BudgetError, match="this engine handles"):
        protected = PrivateRows(records.in_memory(frame), None, 1, None)
        MixtureTables().fit(protected, Domain(columns, 40, 0.0, 4))
