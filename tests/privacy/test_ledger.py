"""Budgets: nobody overdraws, nothing is forgotten, nonsense is refused."""

import multiprocessing
import os
import signal
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galenic import store
from galenic.errors import BudgetError, OptionError
from galenic.installation import Installation, open_installation
from galenic.privacy import Budget, Ledger, Mechanism


def ledger(tmp_path: Path, epsilon: float = 1.0, delta: float = 1e-9) -> Ledger:
    found = Ledger(store.Database(f"sqlite:///{tmp_path / 'ledger.db'}"))
    found.declare("clinic", epsilon=epsilon, delta=delta, actor="test")
    return found


def reserve(found: Ledger, epsilon: float = 1.0, delta: float = 1e-9) -> Budget:
    return found.reserve("clinic", epsilon=epsilon, delta=delta, purpose="test", actor="test")


@pytest.mark.parametrize(
    "epsilon",
    [
        pytest.param(0.0, id="zero"),
        pytest.param(-1.0, id="negative"),
        pytest.param(float("nan"), id="not a number"),
        pytest.param(1e-320, id="subnormal"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param(1e9, id="so large that it protects nothing"),
    ],
)
def test_an_epsilon_that_promises_nothing_is_refused(tmp_path: Path, epsilon: float) -> None:
    found = ledger(tmp_path)
    with pytest.raises(OptionError, match="no privacy guarantee"):
        reserve(found, epsilon)
    assert found.statement("clinic").rho_spent == 0


@pytest.mark.parametrize("delta", [0.0, -1e-9, float("nan"), 1e-320, 0.5, float("inf")])
def test_a_delta_that_promises_nothing_is_refused(tmp_path: Path, delta: float) -> None:
    with pytest.raises(OptionError, match="delta"):
        reserve(ledger(tmp_path), 1.0, delta)


def test_an_overdraft_is_refused_with_what_is_left(tmp_path: Path) -> None:
    found = ledger(tmp_path)
    reserve(found)
    with pytest.raises(BudgetError, match=r"only rho=0 is left"):
        reserve(found, 0.1, 1e-12)


def test_two_files_of_one_population_share_its_budget(tmp_path: Path) -> None:
    found = ledger(tmp_path, epsilon=2.0, delta=1e-8)
    for _ in range(2):
        reserve(found)
    assert found.statement("clinic").epsilon_spent < 2.0


def test_declaring_again_does_not_raise_the_limit(tmp_path: Path) -> None:
    found = ledger(tmp_path)
    assert found.declare("clinic", epsilon=100.0, delta=1e-3, actor="eve").epsilon_limit == 1.0


def test_a_population_must_be_declared(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="'other' is not declared"):
        ledger(tmp_path).reserve("other", epsilon=1.0, delta=1e-9, purpose="t", actor="t")


def test_settling_gives_back_what_was_not_spent_and_only_once(tmp_path: Path) -> None:
    found = ledger(tmp_path)
    budget = reserve(found)
    budget.draw(Mechanism("a count", 0.001, 1, 1.0, 10.0), Fraction(1, 1000))
    budget.settle()
    budget.settle()
    assert found.statement("clinic").rho_spent == pytest.approx(0.001)
    assert "a count" in str(found.statement("clinic").charges[0]["mechanisms"])
    with pytest.raises(BudgetError, match="closed"):
        budget.draw(Mechanism("a count", 0.001, 1, 1.0, 10.0), Fraction(1, 1000))


def test_a_mechanism_can_not_draw_more_than_was_reserved(tmp_path: Path) -> None:
    budget = reserve(ledger(tmp_path))
    for rho in (budget.rho + Fraction(1, 10**9), Fraction(0), Fraction(-1)):
        with pytest.raises(BudgetError, match="left of this reservation"):
            budget.draw(Mechanism("a count", float(rho), 1, 1.0, 10.0), rho)
    assert not budget.mechanisms


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(1e-3, 2.0), st.fractions(0, 1), st.booleans()), max_size=8))
def test_no_sequence_of_requests_overspends(tmp_path: Path, requests: list) -> None:
    (tmp_path / "ledger.db").unlink(missing_ok=True)
    found = ledger(tmp_path)
    for epsilon, share, settled in requests:
        try:
            budget = reserve(found, epsilon, 1e-10)
        except BudgetError:
            continue
        if share:
            budget.draw(Mechanism("m", 0.0, 1, 1.0, 1.0), budget.rho * share)
        if settled:
            budget.settle()
        s = found.statement("clinic")
        assert s.rho_spent <= s.rho_limit
        assert s.epsilon_spent <= s.epsilon_limit * (1 + 1e-9)
    found.db.close()


def _race(url: str, attempts: int, won: "multiprocessing.Queue[int]") -> None:
    found, count = Ledger(store.Database(url)), 0
    for _ in range(attempts):
        try:
            found.reserve("clinic", epsilon=0.2, delta=1e-12, purpose="race", actor="test")
            count += 1
        except BudgetError:
            pass
    won.put(count)


@pytest.mark.parametrize(
    ("processes", "attempts"), [(16, 12), pytest.param(64, 157, marks=pytest.mark.slow)], ids=["16 processes", "64 processes"]
)
def test_racing_processes_never_overdraw(tmp_path: Path, processes: int, attempts: int) -> None:
    found = ledger(tmp_path)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    context = multiprocessing.get_context("spawn")
    won: multiprocessing.Queue[int] = context.Queue()
    crowd = [context.Process(target=_race, args=(url, attempts, won)) for _ in range(processes)]
    for process in crowd:
        process.start()
    total = sum(won.get(timeout=300) for _ in crowd)
    for process in crowd:
        process.join()
    s = found.statement("clinic")
    assert 0 < total == len(s.charges) < processes * attempts
    assert s.rho_spent <= s.rho_limit


def _reserve_and_hang(home: str, ready: "multiprocessing.synchronize.Event") -> None:
    installation = open_installation(Path(home))
    installation.ledger.reserve("clinic", epsilon=0.95, delta=1e-10, purpose="killed", actor="test")
    ready.set()
    time.sleep(60)


def test_a_reservation_whose_process_was_killed_counts_as_spent(home: Path, installation: Installation) -> None:
    installation.ledger.declare("clinic", epsilon=1.0, delta=1e-9, actor="test")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_reserve_and_hang, args=(str(home), ready))
    process.start()
    assert ready.wait(60)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    s = installation.ledger.statement("clinic")
    assert s.rho_spent > 0
    assert s.charges[0]["settled_at"] is None
    with pytest.raises(BudgetError):
        installation.ledger.reserve("clinic", epsilon=0.9, delta=1e-10, purpose="t", actor="t")
