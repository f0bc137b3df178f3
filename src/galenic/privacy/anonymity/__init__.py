"""Tables in which nobody stands alone: groups that are alike in what others may know, and the risk that is left."""

from galenic.privacy.anonymity.ladders import Quasi, date_text, quasi
from galenic.privacy.anonymity.lattice import Node, best_node
from galenic.privacy.anonymity.mondrian import Wanted, groups
from galenic.privacy.anonymity.risk import USUAL, Risk, population_uniques, risk
from galenic.privacy.anonymity.tables import METHODS, Alike, alike, measured_k, rare

__all__ = [
    "METHODS",
    "USUAL",
    "Alike",
    "Node",
    "Quasi",
    "Risk",
    "Wanted",
    "alike",
    "best_node",
    "date_text",
    "groups",
    "measured_k",
    "population_uniques",
    "quasi",
    "rare",
    "risk",
]
