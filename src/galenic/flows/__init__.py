"""One file per use case, named by its verb: the only place where rooms that do not know each other meet."""

from galenic.flows.audit_engine import audit_engine
from galenic.flows.budget import declare as declare_population
from galenic.flows.budget import statements
from galenic.flows.columns import Declared, Wishes, declare
from galenic.flows.demo import Demo, demo
from galenic.flows.demo import table as demo_table
from galenic.flows.describe import describe
from galenic.flows.evaluate import evaluate
from galenic.flows.house import House, house_if_any, open_house
from galenic.flows.leave import make_key, recall, reconsider, register, release, sign, trust_of, trust_of_release, verify
from galenic.flows.synthesize import Request, Result, as_source, cost, synthesize
from galenic.flows.synthesizer import Synthesizer

__all__ = [
    "Declared",
    "Demo",
    "House",
    "Request",
    "Result",
    "Synthesizer",
    "Wishes",
    "as_source",
    "audit_engine",
    "cost",
    "declare",
    "declare_population",
    "demo",
    "demo_table",
    "describe",
    "evaluate",
    "house_if_any",
    "make_key",
    "open_house",
    "recall",
    "reconsider",
    "register",
    "release",
    "sign",
    "statements",
    "synthesize",
    "trust_of",
    "trust_of_release",
    "verify",
]
