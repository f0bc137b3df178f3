"""Anonymization of tables: k-anonymity, l-diversity and t-closeness, and the remaining re-identification risk."""

from galenic.privacy.anonymization.hierarchies import QuasiIdentifier, quasi_identifier
from galenic.privacy.anonymization.lattice import LatticeNode, best_node
from galenic.privacy.anonymization.model import PrivacyModel
from galenic.privacy.anonymization.mondrian import partition_rows
from galenic.privacy.anonymization.population import population_uniques
from galenic.privacy.anonymization.recoding import (
    TableOptions,
    TableRecoding,
    rare_values,
    read_table_options,
    recode,
)
from galenic.privacy.anonymization.risk import ReidentificationRisk, measure_risk
from galenic.privacy.anonymization.tables import (
    METHODS,
    AnonymizationMethod,
    AnonymizedTable,
    GroupMeasurement,
    anonymize,
    is_rare,
    measure_groups,
)

__all__ = [
    "METHODS",
    "AnonymizationMethod",
    "AnonymizedTable",
    "GroupMeasurement",
    "LatticeNode",
    "PrivacyModel",
    "QuasiIdentifier",
    "ReidentificationRisk",
    "TableOptions",
    "TableRecoding",
    "anonymize",
    "best_node",
    "is_rare",
    "measure_groups",
    "measure_risk",
    "partition_rows",
    "population_uniques",
    "quasi_identifier",
    "rare_values",
    "read_table_options",
    "recode",
]
