"""Tables in which nobody stands alone: groups that are alike in what others may know, and the risk that is left."""

from galenic.privacy.anonymization.hierarchies import QuasiIdentifier, date_text, quasi_identifier
from galenic.privacy.anonymization.lattice import LatticeNode, best_node
from galenic.privacy.anonymization.mondrian import PrivacyModel, partition_rows
from galenic.privacy.anonymization.risk import SHARED_DATA_RISK, ReidentificationRisk, measure_risk, population_uniques
from galenic.privacy.anonymization.tables import METHODS, AnonymizedTable, anonymize, is_rare, measure_groups

__all__ = [
    "METHODS",
    "SHARED_DATA_RISK",
    "AnonymizedTable",
    "LatticeNode",
    "PrivacyModel",
    "QuasiIdentifier",
    "ReidentificationRisk",
    "anonymize",
    "best_node",
    "date_text",
    "is_rare",
    "measure_groups",
    "measure_risk",
    "partition_rows",
    "population_uniques",
    "quasi_identifier",
]
