"""Take identity out, put noise in: de-identification, paid questions, the budget ledger."""

from galenic.privacy.accountant import checked_delta, checked_epsilon, delta_of, epsilon_of, gaussian_mu, rho_of
from galenic.privacy.crosstab import Asked, Crosstab
from galenic.privacy.deidentify import Deidentified, deidentify
from galenic.privacy.domain import (
    LEAST,
    Domain,
    bins_for,
    buy_domain,
    domain_share,
    needs_buying,
    refuse_observed,
    without_observed,
)
from galenic.privacy.ledger import Budget, Ledger, Mechanism, Statement, split_delta
from galenic.privacy.measurement import Protected, sigma2_for, with_anchors

__all__ = [
    "LEAST",
    "Asked",
    "Budget",
    "Crosstab",
    "Deidentified",
    "Domain",
    "Ledger",
    "Mechanism",
    "Protected",
    "Statement",
    "bins_for",
    "buy_domain",
    "checked_delta",
    "checked_epsilon",
    "deidentify",
    "delta_of",
    "domain_share",
    "epsilon_of",
    "gaussian_mu",
    "needs_buying",
    "refuse_observed",
    "rho_of",
    "sigma2_for",
    "split_delta",
    "with_anchors",
    "without_observed",
]
