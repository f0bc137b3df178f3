"""One file per use case, named by its verb: the only place where rooms that do not know each other meet."""

from galenic.flows.columns import ColumnOptions, TableDescription, describe_table
from galenic.flows.demonstration import DemoResult, demo_table, run_demo
from galenic.flows.engine_audit import audit_engine
from galenic.flows.erasure import ErasureResult, erase
from galenic.flows.evaluation import evaluate
from galenic.flows.imputation import impute
from galenic.flows.quality_report import QualityResult, measure_quality, quality_of_stored
from galenic.flows.related_synthesis import RelatedResult, combined, relations_of, synthesize_related
from galenic.flows.stored_deidentification import StoredCopyRequest, deidentify_stored
from galenic.flows.stored_synthesis import synthesize_stored
from galenic.flows.synthesis import SynthesisRequest, SynthesisResult, as_source, cost_of, estimate_cost, synthesize
from galenic.flows.synthesizer import Synthesizer

__all__ = [
    "ColumnOptions",
    "DemoResult",
    "ErasureResult",
    "QualityResult",
    "RelatedResult",
    "StoredCopyRequest",
    "SynthesisRequest",
    "SynthesisResult",
    "Synthesizer",
    "TableDescription",
    "as_source",
    "audit_engine",
    "combined",
    "cost_of",
    "deidentify_stored",
    "demo_table",
    "describe_table",
    "erase",
    "estimate_cost",
    "evaluate",
    "impute",
    "measure_quality",
    "quality_of_stored",
    "relations_of",
    "run_demo",
    "synthesize",
    "synthesize_related",
    "synthesize_stored",
]
