"""Use cases that join packages which do not import each other, one per file."""

from galenic.flows.advice import advice
from galenic.flows.cost_estimate import cost_of, estimate_cost
from galenic.flows.demonstration import DemoResult, run_demo
from galenic.flows.engine_audit import audit_engine
from galenic.flows.erasure import erase
from galenic.flows.expected_outcome import expect_outcome
from galenic.flows.imputation import impute
from galenic.flows.preview import RunPreview, preview
from galenic.flows.privacy_unit import stored_unit, unit_of
from galenic.flows.quality_report import QualityResult, measure_quality, quality_of_stored
from galenic.flows.related_synthesis import RelatedResult, synthesize_related
from galenic.flows.release_workflow import ReleaseWorkflow
from galenic.flows.run_start import counted_stops, new_split_rng, read_counted, start_run
from galenic.flows.stored_deidentification import StoredCopyRequest, deidentify_stored
from galenic.flows.stored_synthesis import synthesize_stored
from galenic.flows.synthesis import SynthesisResult, synthesize

__all__ = [
    "DemoResult",
    "QualityResult",
    "RelatedResult",
    "ReleaseWorkflow",
    "RunPreview",
    "StoredCopyRequest",
    "SynthesisResult",
    "advice",
    "audit_engine",
    "cost_of",
    "counted_stops",
    "deidentify_stored",
    "erase",
    "estimate_cost",
    "expect_outcome",
    "impute",
    "measure_quality",
    "new_split_rng",
    "preview",
    "quality_of_stored",
    "read_counted",
    "run_demo",
    "start_run",
    "stored_unit",
    "synthesize",
    "synthesize_related",
    "synthesize_stored",
    "unit_of",
]
