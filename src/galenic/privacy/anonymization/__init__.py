"""Tables in which nobody stands alone: groups that are alike in what others may know, and the risk that is left."""

from galenic.privacy.anonymization.hierarchies import QuasiIdentifier, date_text, quasi_identifier
from galenic.privacy.anonymization.lattice import Node, best_node
from galenic.privacy.anonymization.mondrian import PrivacyModel, groups
from galenic.privacy.anonymization.risk import USUAL, ReidentificationRisk, measure_risk, population_uniques
from galenic.privacy.anonymization.tables import METHODS, AnonymizedTable, anonymize, measured_k, rare

__all__ = [
    "METHODS",
    "USUAL",
    "AnonymizedTable",
    "Node",
    "PrivacyModel",
    "QuasiIdentifier",
    "ReidentificationRisk",
    "anonymize",
    "best_node",
    "date_text",
    "groups",
    "measure_risk",
    "measured_k",
    "population_uniques",
    "quasi_identifier",
    "rare",
]
