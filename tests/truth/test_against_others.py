"""Our numbers against numbers that others produced: reference accountants, samplers and validators."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp, ndtri_exp
from scipy.stats import ks_2samp

from galenic.privacy import delta_of, epsilon_of, gaussian_mu, noise, rho_of, sigma2_for
from galenic.release import croissant_metadata
from galenic.schema import Column


@pytest.mark.parametrize("rho", [1e-4, 1e-3, 0.0137, 0.1, 1.0])
@pytest.mark.parametrize("delta", [1e-6, 1e-9])
def test_epsilon_agrees_with_googles_accountant(rho: float, delta: float) -> None:
    from dp_accounting import dp_event
    from dp_accounting.pld import pld_privacy_accountant
    from dp_accounting.rdp import rdp_privacy_accountant

    event = dp_event.GaussianDpEvent(1 / math.sqrt(2 * rho))
    by_rdp = rdp_privacy_accountant.RdpAccountant()
    by_rdp.compose(event)
    ours = epsilon_of(rho, delta)
    assert ours <= by_rdp.get_epsilon(delta)
    exact = pld_privacy_accountant.PLDAccountant()  # pessimistic by its own discretisation
    exact.compose(event)
    assert ours == pytest.approx(exact.get_epsilon(delta), rel=2e-3, abs=2e-4)


def test_noise_as_we_draw_it_costs_what_the_ledger_says() -> None:
    """Forty discrete Gaussian answers of different prices, composed by Google's accountant, against our one number for all."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    prices = [Fraction(1, 200 * (1 + i % 7)) for i in range(40)]
    together = None
    for price in prices:
        one = pld.from_discrete_gaussian_mechanism(math.sqrt(sigma2_for(price, 1)), value_discretization_interval=1e-5)
        together = one if together is None else together.compose(one)
    ours = epsilon_of(float(sum(prices)), 1e-9)
    theirs = together.get_epsilon_for_delta(1e-9)
    assert theirs <= ours * (1 + 1e-4)
    assert theirs >= ours * 0.99


@pytest.mark.parametrize("sigma2", [0.5, 0.7, 1, 1.5, 2, 3, 4, 6.25, 10, 25, 100, 2_500])
def test_discrete_noise_hides_as_much_as_the_gaussian_it_is_counted_as(sigma2: float) -> None:
    """At every corner of the discrete Gaussian's trade-off curve, mu = g(k) - g(k - shift) with g(k) = -Phi^-1(P(X >= k)); between
    corners the curve is straight and a Gaussian's is convex, so corners are enough."""
    corners = int(min(max(60 * sigma2, 400), 50_000))
    k = np.arange(corners + 2_000)
    log_weight = -k * k / (2 * sigma2)
    log_all = np.logaddexp(logsumexp(log_weight), logsumexp(log_weight[1:]))
    log_tail = np.logaddexp.accumulate(log_weight[::-1])[::-1] - log_all  # summed from the far end: no cancellation
    g = -ndtri_exp(log_tail[:corners])
    for shift in range(1, 9):
        both_sides = np.r_[-g[1 : shift + 2][::-1], g]
        most = (both_sides[shift:] - both_sides[:-shift]).max()
        assert most <= gaussian_mu(sigma2, shift)
        assert most >= shift / math.sqrt(sigma2)  # the correction is needed


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-6), (1.0, 2e-10), (8.0, 1e-5)])
def test_rho_and_epsilon_are_each_others_inverse(epsilon: float, delta: float) -> None:
    rho = rho_of(epsilon, delta)
    assert isinstance(rho, Fraction)
    assert epsilon_of(float(rho), delta) == pytest.approx(epsilon, rel=1e-5)
    assert delta_of(float(rho), epsilon) <= delta


def test_our_sampler_agrees_with_opendp() -> None:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    domain, metric = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    theirs = np.array(dp.m.make_gaussian(domain, metric, scale=5.0)([0] * 20_000))
    ours = noise.discrete_gaussian(Fraction(25), 20_000)
    # two samples of one law differ this much once in a million runs
    assert ks_2samp(ours, theirs, method="asymp").pvalue > 1e-6


@pytest.mark.filterwarnings("ignore")
def test_our_metadata_is_croissant(tmp_path: Path) -> None:
    import mlcroissant

    (tmp_path / "data.csv").write_text("age,sex\n1,f\n")
    columns = (Column("age", "integer", unit="a"), Column("sex", "category"))
    document = croissant_metadata("Synthetic table", "Two columns.", {"data": (columns, "0" * 64)})
    place = tmp_path / "croissant.json"
    place.write_text(json.dumps(document))
    issues = mlcroissant.Dataset(jsonld=place).metadata.ctx.issues
    assert not issues.errors
