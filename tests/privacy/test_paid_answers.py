"""Every paid measurement does what its contract says: its noise is drawn once for each cell, is worth its price, and covers any patient.

Privacy losses are computed here from the noise that was drawn and the change that one patient makes, without the product's accountant.
"""

import ast
import hashlib
import inspect
import itertools
import math
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2, norm

import galenic
from galenic import records
from galenic.errors import BudgetError
from galenic.privacy import Budget, Ledger, PrivateRows, marginals, measurement, noise, sigma2_for, temporary_ledger
from galenic.privacy.accountant import delta_of, epsilon_of, rho_of
from galenic.schema import Column
from paid_answers import (
    CONTRACTS,
    DELTA,
    RHO,
    WITHOUT_ANSWER,
    Answer,
    Cells,
    Contract,
    NoiseTape,
    crosstab,
    differences,
    new_budget,
    patients,
    privacy_loss,
    private_rows,
    worst_patients,
)

LARGE = 10**7  # noise that lifts every count over every threshold
FALSE_ALARM = 1e-7
SOURCE = Path(galenic.__file__).parent

contracts = pytest.mark.parametrize("contract", CONTRACTS, ids=str)
caps = pytest.mark.parametrize("cap", [1, 3])


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with temporary_ledger() as found:
        yield found


def one_value_each(k: int) -> int:
    """A different number for each cell, such that no sum or difference of two of them is another one's."""
    return LARGE + (k + 1) ** 3


def asked(
    contract: Contract, frame: pa.Table, cap: int, budget: Budget, give: Callable[[int], int]
) -> tuple[Answer, NoiseTape]:
    with pytest.MonkeyPatch.context() as patch:
        tape = NoiseTape(give).play(patch)
        return contract.ask(private_rows(frame, cap, budget)), tape


def test_every_public_method_of_private_rows_has_a_contract() -> None:
    """Classes of the two modules that hold rows. A new public method states its price, noise and sensitivity in paid_answers.py."""
    for module in (measurement, marginals):
        for name, held in inspect.getmembers(module, inspect.isclass):
            if held.__module__ != module.__name__ or not any(n.startswith(("_noisy", "_pay", "_exact")) for n in vars(held)):
                continue
            public = {n for n in vars(held) if not n.startswith("_")}
            stated = {c.method.partition(".")[2] for c in CONTRACTS if c.method.startswith(f"{name}.")}
            assert public <= stated | WITHOUT_ANSWER.get(name, set()), f"{name}: add contracts to tests/paid_answers.py"
            assert stated <= public


def test_rows_and_exact_counts_are_read_in_two_modules_only() -> None:
    """Any other module can only ask: nothing else names what PrivateRows and Crosstab keep to themselves."""
    kept = {"_source", "_tables", "_noisy", "_all_noisy", "_pay", "_exact", "_blocks", "_private_rows"}
    trespassers = []
    packages = ("privacy", "generators", "evidence", "predictors", "flows", "release", "jobs")  # that a PrivateRows can reach
    for path in sorted(p for package in packages for p in (SOURCE / package).rglob("*.py")):
        if path.relative_to(SOURCE).as_posix() in ("privacy/measurement.py", "privacy/marginals.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = node.attr if isinstance(node, ast.Attribute) else node.value if isinstance(node, ast.Constant) else None
            if isinstance(named, str) and named in kept:
                trespassers.append(f"{path.relative_to(SOURCE)}:{node.lineno} {named}")
    assert trespassers == []


def test_what_holds_rows_has_no_public_field_with_them() -> None:
    rows = private_rows(patients(5, 1), 1, None)
    for held in (rows, crosstab(rows)):
        assert {n for n in vars(held) if not n.startswith("_")} <= WITHOUT_ANSWER[type(held).__name__]


@contracts
@caps
def test_each_cell_gets_noise_of_its_own_once(contract: Contract, cap: int, ledger: Ledger) -> None:
    """The answer is the exact count plus a number from the tape, a different one for every cell, none left over or used twice."""
    frame = patients(30, cap)
    (noisy, _), tape = asked(contract, frame, cap, new_budget(ledger), one_value_each)
    exact, _ = contract.ask(private_rows(frame, cap, None))
    added = [n for cells in differences(exact, noisy) for n in cells.values()]
    assert sorted(added) == sorted(tape.drawn)
    assert len(set(tape.drawn)) == len(tape.drawn) > 0


@contracts
@caps
def test_the_noise_drawn_covers_any_patient_for_the_price_that_was_charged(
    contract: Contract, cap: int, ledger: Ledger
) -> None:
    budget = new_budget(ledger)
    before = budget.rho_left
    (base, stated), tape = asked(contract, patients(30, cap), cap, budget, lambda _k: LARGE)
    charged = before - budget.rho_left
    sigma2 = variances(base, tape)
    losses = {}
    for who, rows in worst_patients(cap).items():
        (with_one, _), _ = asked(contract, patients(30, cap, rows), cap, new_budget(ledger), lambda _k: LARGE)
        losses[who] = privacy_loss(differences(base, with_one, LARGE), sigma2)
    assert max(losses.values()) <= 2 * float(charged) * (1 + 1e-12), losses
    assert max(losses.values()) >= 2 * float(charged) * 0.97, "no patient of this test is as bad as the price assumes"
    assert charged == contract.rho
    assert stated == pytest.approx([math.sqrt(s) for s in sigma2[: len(stated)]])


def variances(answer: list[Cells], tape: NoiseTape) -> list[Fraction]:
    """Variance of each query's noise, one for all its cells."""
    found, at = [], 0
    for cells in answer:
        (one,) = set(tape.sigma2[at : at + len(cells)])
        found.append(one)
        at += len(cells)
    assert at == len(tape.sigma2)
    return found


@contracts
def test_the_ledger_records_the_price_and_the_noise_that_was_drawn(contract: Contract, ledger: Ledger) -> None:
    budget = new_budget(ledger)
    rho, delta = budget.rho_left, budget.delta_left
    (answer, _), tape = asked(contract, patients(30, 3), 3, budget, lambda _k: LARGE)
    written = [m for m in budget.mechanisms for _ in range(m.queries)]
    assert sum(m.rho for m in budget.mechanisms) == pytest.approx(float(rho - budget.rho_left))
    assert sum(m.delta for m in budget.mechanisms) == pytest.approx(float(delta - budget.delta_left)) == float(contract.delta)
    assert [m.sigma for m in written] == pytest.approx([math.sqrt(s) for s in variances(answer, tape)])
    assert all(m.l2_sensitivity == pytest.approx(3 * math.sqrt(m.queries)) for m in budget.mechanisms)


@contracts
def test_what_is_asked_twice_is_paid_and_drawn_twice(contract: Contract, ledger: Ledger) -> None:
    budget = new_budget(ledger)
    before, tape = budget.rho_left, NoiseTape(one_value_each)
    with pytest.MonkeyPatch.context() as patch:
        tape.play(patch)
        rows = private_rows(patients(30, 2), 2, budget)
        first, second = contract.ask(rows)[0], contract.ask(rows)[0]
    assert all(n != 0 for cells in differences(first, second) for n in cells.values())
    assert len(tape.drawn) == 2 * sum(len(cells) for cells in first)
    assert before - budget.rho_left == 2 * contract.rho


@contracts
def test_nothing_is_read_for_a_question_that_is_not_paid(contract: Contract, ledger: Ledger) -> None:
    budget = new_budget(ledger, 0.05, 1e-9)
    frame, reads = patients(10, 1), [0]

    def opener(names: list[str] | None) -> Iterator[pa.Table]:
        reads[0] += 1
        yield frame if names is None else frame.select(names)

    rows = PrivateRows(records.Source("t", tuple(frame.column_names), opener), "patient", 1, budget)
    reads[0] = 0
    with pytest.raises(BudgetError):
        contract.ask(rows)
    assert reads[0] <= (1 if contract.method.startswith("Crosstab") else 0)  # a crosstab is counted before it is asked
    assert budget.rho_left == budget.rho


def test_a_table_of_several_pays_from_its_own_share(ledger: Ledger) -> None:
    budget = new_budget(ledger, 1.0, 1e-9)
    rows = PrivateRows(records.in_memory(patients(10, 1)), "patient", 1, budget, share=Fraction(1, 3))
    assert rows.rho == budget.rho - budget.rho * Fraction(2, 3)
    with pytest.raises(BudgetError, match="left for this table"):
        rows.size(budget.rho / 2)
    rows.size(rows.rho)
    assert budget.rho_left == budget.rho * Fraction(2, 3)


def test_rows_are_not_handed_out_with_any_budget(ledger: Ledger) -> None:
    budget = new_budget(ledger)
    rows = private_rows(patients(10, 1), 1, budget)
    for _ in range(2):
        with pytest.raises(BudgetError, match="cannot be read"):
            rows.coded((Column("sex", "category", categories=("f", "m")),), 5)
        budget.settle()
    assert rows.private


@pytest.mark.parametrize("cap", [1, 2, 5])
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("delta", [Fraction(1, 10**10), Fraction(1, 10**5)])
def test_the_threshold_of_rare_values_is_worth_the_delta_that_was_charged(
    cap: int, columns: int, delta: Fraction, ledger: Ledger
) -> None:
    """The chance that any value of one patient alone passes, by the exact tail of the noise, from the threshold as it acts."""
    budget = new_budget(ledger)
    described = (Column("code", "category", hierarchy=(2, 1)), Column("sex", "category"))[:columns]
    queries = 3 + (columns - 1)
    before = budget.delta_left

    def passes(noise_of_a_cell: int, count: int) -> bool:
        rows = [{"code": "Z999", "sex": "x", "band": "low", "x": "1", "y": "1"}] * count
        with pytest.MonkeyPatch.context() as patch:
            tape = NoiseTape(lambda _k: noise_of_a_cell).play(patch)
            found = private_rows(patients(4, 1, rows), cap, new_budget(ledger)).values(described, RHO, delta)
        sigma2s.update(tape.sigma2)
        return "Z999" in found["code"]

    sigma2s: set[Fraction] = set()
    private_rows(patients(4, 1), cap, budget).values(described, RHO, delta)
    charged = float(before - budget.delta_left)
    low, high = 0, 10_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle, 1) else (middle, high)
    assert passes(high - cap + 1, cap)  # the threshold is on the noisy count
    assert not passes(high - cap, cap)
    (sigma2,) = sigma2s
    together = queries * tail(high - cap + 1, float(sigma2))  # all rows share a value
    apart = queries * cap * tail(high, float(sigma2))  # each row has a value of its own
    assert 0 < max(together, apart) <= charged == float(delta)
    # the noise that a rare value needs is what the stated bound exp(-m^2 / 2 sigma^2) asks for the charged delta: no less, no more
    bound = queries * cap * math.exp(-((high - cap) ** 2) / (2 * float(sigma2)))
    assert charged / 2 <= bound * math.exp(-(high - cap) / float(sigma2)) <= charged * 1.001


def tail(least: int, sigma2: float) -> float:
    """P(N >= least) of the discrete Gaussian, by summation."""
    reach = int(40 * math.sqrt(sigma2)) + 40
    weight = np.exp(-(np.arange(-reach, reach + 1, dtype=np.float64) ** 2) / (2 * sigma2))
    return float(weight[reach + least :].sum() / weight.sum())


@pytest.mark.parametrize("cap", [1, 2, 3, 8])
@pytest.mark.parametrize("rho", [Fraction(1, 2_000), Fraction(1, 50), Fraction(1, 3), Fraction(2), Fraction(20)])
def test_noise_for_a_price_is_as_private_as_the_price_says_by_the_exact_trade_off(rho: Fraction, cap: int) -> None:
    """Exact hockey-stick divergence of the discrete Gaussian, moved by the cap, against (epsilon, delta) of a Gaussian with mu^2 = 2 rho."""
    sigma2, mu = float(sigma2_for(rho, cap)), math.sqrt(2 * float(rho))
    reach = int(40 * math.sqrt(sigma2)) + 8 * cap
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    log_p = -(x**2) / (2 * sigma2)
    log_p -= np.log(np.exp(log_p).sum())
    log_q = -((x - cap) ** 2) / (2 * sigma2)
    log_q -= np.log(np.exp(log_q).sum())
    for epsilon in (0.1, 0.5, 1.0, 3.0, 10.0):
        exact = float(np.maximum(np.exp(log_q) - np.exp(epsilon + log_p), 0).sum())
        claimed = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon + norm.logcdf(-mu / 2 - epsilon / mu))
        if claimed > 1e-13:
            assert exact <= claimed * (1 + 1e-9)
    assert rho >= Fraction(cap**2) / (2 * sigma2_for(rho, cap))  # and rho-zCDP (Bun & Steinke 2016, Proposition 1.6)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-9), (1.0, 1e-9), (3.0, 1e-6), (20.0, 1e-12)])
def test_the_price_of_epsilon_is_that_of_the_gaussian_mechanism(epsilon: float, delta: float) -> None:
    """Balle & Wang 2018, Theorem 8, computed here in logarithms."""

    def of(rho: float, eps: float) -> float:
        mu = math.sqrt(2 * rho)
        return float(norm.cdf(mu / 2 - eps / mu) - math.exp(eps + norm.logcdf(-mu / 2 - eps / mu)))

    rho = float(rho_of(epsilon, delta))
    assert delta * 0.999 <= of(rho, epsilon) <= delta * (1 + 1e-6)
    assert delta_of(rho, epsilon) == pytest.approx(of(rho, epsilon), rel=1e-5)
    assert epsilon_of(rho, delta) == pytest.approx(epsilon, rel=1e-6)


def stream(seed: int) -> Callable[[int], bytes]:
    """A generator of the operating system that repeats itself."""
    at = itertools.count()

    def read(n: int) -> bytes:
        return b"".join(hashlib.sha256(b"%d %d" % (seed, next(at))).digest() for _ in range(n // 32 + 1))[:n]

    return read


@contracts
def test_noise_comes_from_the_operating_system_and_from_nowhere_else(contract: Contract, ledger: Ledger) -> None:
    """The same random bytes give the same answers, other bytes others, whatever any other generator was seeded with."""
    frame, found = lifted(patients(30, 2)), []
    for seed, other in ((1, 1), (1, 2), (2, 1)):
        np.random.seed(other)  # the global generator is what a mistake would use
        budget, wide = new_budget(ledger), stream(-seed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "urandom", stream(seed))
            patch.setattr(secrets, "randbelow", lambda n, read=wide: int.from_bytes(read(32), "big") % n)
            found.append(contract.ask(private_rows(frame, 2, budget))[0])
    assert found[0] == found[1] != found[2]


def test_the_sampler_computes_with_whole_numbers_only() -> None:
    """No division, no fraction of a number, and of numpy only what keeps integers integers."""
    allowed = {"array", "empty", "zeros", "ones", "arange", "repeat", "concatenate", "flatnonzero", "where", "abs", "iinfo"}
    allowed |= {"frombuffer", "int64", "uint64", "bool_"}
    tree = ast.parse(Path(noise.__file__).read_text(encoding="utf-8"))
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "np"}
    assert used <= allowed
    assert not [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Div)]
    assert not [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)]
    imported = {
        (n.module if isinstance(n, ast.ImportFrom) else a.name)
        for n in ast.walk(tree)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for a in n.names
    }
    assert imported == {"os", "secrets", "collections.abc", "fractions", "math", "numpy", "numpy.typing"}


def test_modules_that_answer_draw_nothing_but_that_noise() -> None:
    """No other generator is named in the modules between the rows and the answers, nor an answer kept for later."""
    forbidden = {"random", "default_rng", "urandom", "secrets", "Random", "SystemRandom", "normal", "lru_cache", "cache"}
    for name in ("measurement", "marginals", "domain", "domain_purchase", "binning"):
        tree = ast.parse((SOURCE / "privacy" / f"{name}.py").read_text(encoding="utf-8"))
        named = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        named |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        named |= {
            a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names
        }
        assert not named & forbidden, name


@pytest.mark.parametrize("sigma2", [Fraction(1, 2), Fraction(5, 8), Fraction(65, 64), Fraction(31, 8), Fraction(137, 4)])
def test_small_noise_is_the_discrete_gaussian_and_not_a_rounded_one(sigma2: Fraction) -> None:
    """False alarm: 1e-7. The rounded Gaussian has a twelfth more variance, and fails with certainty up to sigma^2 = 4."""
    draws = noise.discrete_gaussians([sigma2] * 3, [20_000] * 3)
    assert goodness(draws, float(sigma2)) > FALSE_ALARM
    a, b, c = draws.reshape(3, -1).astype(np.float64)
    for left, right in ((a, b), (b, c), (a, c), (a[1:], a[:-1])):
        assert abs(np.corrcoef(left, right)[0, 1]) < norm.isf(FALSE_ALARM / 8) / math.sqrt(left.size)


def goodness(draws: np.ndarray, sigma2: float) -> float:
    """p of a chi-square test against the discrete Gaussian; tails with fewer than ten expected draws are one cell each."""
    reach = int(30 * math.sqrt(sigma2)) + 30
    support = np.arange(-reach, reach + 1)
    expected = np.exp(-(support.astype(float) ** 2) / (2 * sigma2))
    expected *= draws.size / expected.sum()
    inner = support[expected > 10]
    low, high = int(inner[0]), int(inner[-1])
    clipped = Counter(np.clip(draws, low - 1, high + 1).tolist())
    wanted = np.r_[
        expected[support < low].sum(), expected[(support >= low) & (support <= high)], expected[support > high].sum()
    ]
    seen = np.array([clipped[k] for k in range(low - 1, high + 2)], dtype=np.float64)
    if wanted[0] < 5:  # both tails in one
        wanted, seen = np.r_[wanted[1:-1], wanted[0] + wanted[-1]], np.r_[seen[1:-1], seen[0] + seen[-1]]
    return float(chi2.sf(((seen - wanted) ** 2 / wanted).sum(), wanted.size - 1))


@pytest.mark.parametrize("contract", [c for c in CONTRACTS if "of t" in c.ident or not c.ident or "coarse" in c.ident], ids=str)
def test_answers_themselves_spread_as_their_price_says(contract: Contract, ledger: Ledger) -> None:
    """Without a tape: residuals of many answers follow the discrete Gaussian, query by query, and are uncorrelated between cells and
    between calls. False alarm of each check: 1e-7."""
    frame, budget = patients(20, 1), new_budget(ledger)
    exact, _ = contract.ask(private_rows(lifted(frame), 1, None))
    rows, runs = private_rows(lifted(frame), 1, budget), 40
    found = [differences(exact, contract.ask(rows)[0]) for _ in range(runs)]
    for query, cells in enumerate(exact):
        values = np.array([[f[query][k] for k in cells] for f in found], dtype=np.float64)
        mechanism = [m for m in budget.mechanisms[: len(budget.mechanisms) // runs] for _ in range(m.queries)][query]
        rho = float(mechanism.rho) / mechanism.queries
        squares = float((values**2).sum())
        sigma2 = 1 / (2 * rho) + 0.125  # by hand, for a cap of 1; the noise is rounded up by at most 1 %
        assert (
            chi2.ppf(FALSE_ALARM / 2, values.size) * sigma2 <= squares <= chi2.isf(FALSE_ALARM / 2, values.size) * sigma2 * 1.04
        )
        if values.shape[1] > 1:
            apart = values[:, 0] - values[:, 1]
            assert squares_within(apart, 2 * sigma2)
        assert squares_within(np.diff(values, axis=0)[::2].ravel(), 2 * sigma2)


def squares_within(values: np.ndarray, variance: float) -> bool:
    """Whether independent values have this variance; false alarm 1e-7."""
    low, high = chi2.ppf(FALSE_ALARM / 2, values.size), chi2.isf(FALSE_ALARM / 2, values.size)
    return bool(low * variance <= float((values**2).sum()) <= high * variance * 1.04)


def lifted(frame: pa.Table) -> pa.Table:
    """The rows many times, of other patients, so that no answer is cut off at a threshold or at 1."""
    parts = [
        frame.set_column(0, "patient", pa.array([f"{k}" for k in range(i * frame.num_rows, (i + 1) * frame.num_rows)]))
        for i in range(30)
    ]
    return pa.concat_tables(parts)


def test_delta_of_thresholds_is_part_of_the_delta_that_was_reserved(ledger: Ledger) -> None:
    budget = new_budget(ledger, 1.0, 1e-6)
    assert float(budget.threshold_delta) + 0.9e-6 <= 1e-6 * (1 + 1e-9)
    rows = private_rows(patients(10, 1), 1, budget)
    rows.values((Column("sex", "category"),), budget.rho / 4, budget.threshold_delta)
    with pytest.raises(BudgetError):
        rows.values((Column("sex", "category"),), budget.rho / 4, DELTA)
