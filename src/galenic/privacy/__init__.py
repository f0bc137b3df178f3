"""Privacy: noisy measurements charged to a budget ledger, domains of private fits, and tokens that can be revealed."""

from galenic.privacy.accountant import check_delta, check_epsilon, delta_of, epsilon_of, gaussian_mu, rho_of
from galenic.privacy.binning import bin_count
from galenic.privacy.column_deidentification import DeidentifiedColumns, deidentify_columns
from galenic.privacy.domain import (
    MIN_PATIENTS,
    Domain,
    buy_domain,
    domain_share,
    needs_buying,
    refuse_observed,
    without_observed,
)
from galenic.privacy.ledger import (
    DEFAULT_LIMIT,
    DEFAULT_LIMIT_DELTA,
    DEFAULT_POPULATION,
    Budget,
    Ledger,
    Mechanism,
    Statement,
    split_delta,
)
from galenic.privacy.marginals import Crosstab, NoisyMarginal
from galenic.privacy.measurement import PrivateRows, sigma2_for, with_anchors
from galenic.privacy.table_description import (
    ColumnOptions,
    DescriptionLike,
    TableDescription,
    describe_table,
    privacy_unit,
)
from galenic.privacy.throwaway_ledger import temporary_ledger
from galenic.privacy.unit_of_privacy import PrivacyUnit, recognized_patient, rows_in_words
from galenic.privacy.vault import TokenVault, patient_of_token, reveal

__all__ = [
    "DEFAULT_LIMIT",
    "DEFAULT_LIMIT_DELTA",
    "DEFAULT_POPULATION",
    "MIN_PATIENTS",
    "Budget",
    "ColumnOptions",
    "Crosstab",
    "DeidentifiedColumns",
    "DescriptionLike",
    "Domain",
    "Ledger",
    "Mechanism",
    "NoisyMarginal",
    "PrivacyUnit",
    "PrivateRows",
    "Statement",
    "TableDescription",
    "TokenVault",
    "bin_count",
    "buy_domain",
    "check_delta",
    "check_epsilon",
    "deidentify_columns",
    "delta_of",
    "describe_table",
    "domain_share",
    "epsilon_of",
    "gaussian_mu",
    "needs_buying",
    "patient_of_token",
    "privacy_unit",
    "recognized_patient",
    "refuse_observed",
    "reveal",
    "rho_of",
    "rows_in_words",
    "sigma2_for",
    "split_delta",
    "temporary_ledger",
    "with_anchors",
    "without_observed",
]
