"""The audit of the engine: planted bugs are caught, each by the step that it spoils; the engine as it is holds.

False alarms: a step is called wrong by a bound at 99.9 %, twice in a row; the domain looks for two events. So the engine as it is fails once
in 140,000 runs at most. Misses: twice the claimed mu lies 7.7 standard errors above it at 9,600 coin flips, 4.6 more than the bound needs:
each planted bug is missed once in 250,000 runs at most.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from galenic import privacy
from galenic.evidence.tables import PrivacyAudit, audit_events, audit_mechanism, confirm
from galenic.flows import audit_engine
from galenic.privacy import measurement


def found(**more: Any) -> dict[str, PrivacyAudit]:
    return audit_engine(canaries=800, runs=12, seed=1, **more)[0]


def known(mu: float, rng: np.random.Generator) -> Callable[..., tuple[np.ndarray, bool]]:
    return lambda present: (present * mu + rng.normal(size=present.size), True)


def test_the_audit_measures_a_known_mu() -> None:
    rng = np.random.default_rng(0)
    a = audit_mechanism(known(0.5, rng), canaries=5_000, runs=4, claimed=0.5, rng=rng)
    assert a.low < 0.5 < a.high
    assert a.holds


def test_a_run_exceeds_a_true_claim_no_more_than_once_in_forty() -> None:
    rng = np.random.default_rng(0)
    a = audit_mechanism(known(0.2, rng), canaries=400, runs=400, claimed=0.2, rng=rng)
    assert a.exceeding <= 20  # 10 are expected of 400 at 2.5 %


def test_an_alarm_counts_only_if_a_second_audit_confirms_it() -> None:
    rng, asked = np.random.default_rng(0), []

    def audit(*mus: float) -> PrivacyAudit:
        asked.clear()

        def one() -> PrivacyAudit:
            asked.append(mus[len(asked)])
            return audit_mechanism(known(asked[-1], rng), canaries=800, runs=12, claimed=0.2, rng=rng)

        return confirm(one)

    assert audit(0.2).holds
    assert len(asked) == 1
    assert audit(0.6, 0.2).holds
    assert not audit(0.6, 0.6).holds
    assert len(asked) == 2


def test_a_claim_just_below_the_truth_is_no_alarm_and_half_of_it_is() -> None:
    rng = np.random.default_rng(1)
    audits = [audit_mechanism(known(0.2, rng), canaries=800, runs=12, claimed=c, rng=rng) for c in (0.19, 0.1)]
    assert [a.holds for a in audits] == [True, False]
    assert all(a.certain < a.low < a.mu for a in audits)


def test_an_event_that_gives_a_canary_away_is_too_much() -> None:
    assert not audit_events(60, 0, 60, 0.5).holds
    assert audit_events(1, 0, 60, 0.5).holds
    assert audit_events(60, 60, 60, 0.5).holds


def test_the_engine_as_it_is_holds() -> None:
    steps = found()
    assert [name for name, a in steps.items() if not a.holds] == []
    for step in ("measuring", "related"):
        assert (
            steps[step].mu > 0.3 * steps[step].claimed
        )  # the attacker is as strong as the claim is tight: 0.9, +- 6 standard errors


def half_the_noise(patch: pytest.MonkeyPatch) -> None:
    honest = measurement.sigma2_for
    patch.setattr(measurement, "sigma2_for", lambda rho, sensitivity: honest(rho, sensitivity) / 4)


def rows_instead_of_patients(patch: pytest.MonkeyPatch) -> None:
    honest = measurement.sigma2_for
    patch.setattr(measurement, "sigma2_for", lambda rho, _sensitivity: honest(rho, 1))


def float_noise(patch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng()

    def floats(sigma2s: list[Fraction], sizes: list[int]) -> np.ndarray:
        return rng.normal(0, np.repeat(np.sqrt(np.array(sigma2s, dtype=float)), sizes))

    patch.setattr(measurement, "discrete_gaussians", floats)


def a_seed_again(patch: pytest.MonkeyPatch) -> None:
    def seeded(sigma2s: list[Fraction], sizes: list[int]) -> np.ndarray:
        sigma = np.repeat(np.sqrt(np.array(sigma2s, dtype=float)), sizes)
        return np.rint(np.random.default_rng(7).normal(0, sigma)).astype(np.int64)

    patch.setattr(measurement, "discrete_gaussians", seeded)


def unpaid_selection(patch: pytest.MonkeyPatch) -> None:
    def exact(self: Any, expected: dict, _rho: Fraction) -> tuple[dict, float]:
        return {cells: int(np.abs(self._exact(cells) - counts).sum()) for cells, counts in expected.items()}, 0.0

    patch.setattr(privacy.Crosstab, "distances", exact)


def domain_from_data(patch: pytest.MonkeyPatch) -> None:
    honest = measurement.PrivateRows.values

    def everything(self: Any, columns: Any, rho: Fraction, delta: Fraction, *, min_rows: int = 1) -> dict:
        honest(self, columns, rho, delta, min_rows=min_rows)
        return {c.name: {v: 1 for t in self._tables(columns) for v in t.frame[c.name].to_pylist()} for c in columns}

    patch.setattr(measurement.PrivateRows, "values", everything)


def exact_rows(patch: pytest.MonkeyPatch) -> None:
    honest = measurement.PrivateRows.size
    patch.setattr(measurement.PrivateRows, "size", lambda self, rho: (self._source.count(), honest(self, rho)[1]))


def exact_histograms(patch: pytest.MonkeyPatch) -> None:
    def exact(self: Any, columns: Any, prices: Any) -> dict:
        paid = {c.name: self._pay(f"histogram of {c.name}", prices[c.name]) for c in columns}
        free = measurement.PrivateRows(self._source, None, 1, None)
        return {n: (counts, paid[n]) for n, (counts, _) in honest(free, columns, prices).items()}

    honest = measurement.PrivateRows.histograms
    patch.setattr(measurement.PrivateRows, "histograms", exact)


@pytest.mark.parametrize(
    ("bug", "step"),
    [
        (half_the_noise, "measuring"),
        (rows_instead_of_patients, "measuring"),
        (float_noise, "measuring"),
        (a_seed_again, "measuring"),
        (unpaid_selection, "selecting"),
        (domain_from_data, "domain"),
        (exact_rows, "domain"),
        (exact_histograms, "domain"),
        (rows_instead_of_patients, "related"),
    ],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_a_planted_bug_is_caught(bug: Callable[[pytest.MonkeyPatch], None], step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    assert not found(steps=(step,))[step].holds
