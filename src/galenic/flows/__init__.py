"""One file per use case, named by its verb: the only place where rooms that do not know each other meet."""

from galenic.flows.audit_engine import audit_engine
from galenic.flows.budget import declare as declare_population
from galenic.flows.budget import statements
from galenic.flows.check import Checked, check_fhir
from galenic.flows.columns import Declared, Wishes, declare
from galenic.flows.custody import (
    Imported,
    approve,
    consent,
    export,
    grant,
    import_table,
    index,
    init,
    own_record,
    relate,
    search,
    stored,
    withdraw_role,
)
from galenic.flows.deidentify import deidentify
from galenic.flows.deidentify_run import Copy, deidentify_run
from galenic.flows.deidentify_stored import deidentify_stored, reveal_token
from galenic.flows.demo import Demo, demo
from galenic.flows.demo import table as demo_table
from galenic.flows.describe import describe
from galenic.flows.erase import Erased, erase, retrain_tasks
from galenic.flows.evaluate import evaluate
from galenic.flows.export_records import FORMS, Exported, export_records
from galenic.flows.house import House, house_if_any, open_house
from galenic.flows.identity.report import deidentification_json, write_deidentification
from galenic.flows.identity.run import Deidentification
from galenic.flows.import_fhir import Received, import_fhir
from galenic.flows.import_job import import_state, jobs_url
from galenic.flows.import_people import Taken, import_meds, import_omop
from galenic.flows.impute import impute
from galenic.flows.job_kinds import KINDS
from galenic.flows.kind_of import fhir_files, kind_of
from galenic.flows.leave import make_key, recall, reconsider, register, release, sign, trust_of, trust_of_release, verify
from galenic.flows.quality import Quality, measure_quality, quality_of_stored
from galenic.flows.related import RelatedResult, combined, relations_of, synthesize_related
from galenic.flows.safekeeping import backup, recover_root, restore, rotate
from galenic.flows.simulate import Simulated, rates, simulate
from galenic.flows.synthesize import Request, Result, as_source, cost, synthesize
from galenic.flows.synthesize_stored import synthesize_stored
from galenic.flows.synthesizer import Synthesizer
from galenic.flows.terms import load_terminology, terminology
from galenic.flows.timelines import Timelines, timelines

__all__ = [
    "FORMS",
    "KINDS",
    "Checked",
    "Copy",
    "Declared",
    "Deidentification",
    "Demo",
    "Erased",
    "Exported",
    "House",
    "Imported",
    "Quality",
    "Received",
    "RelatedResult",
    "Request",
    "Result",
    "Simulated",
    "Synthesizer",
    "Taken",
    "Timelines",
    "Wishes",
    "approve",
    "as_source",
    "audit_engine",
    "backup",
    "check_fhir",
    "combined",
    "consent",
    "cost",
    "declare",
    "declare_population",
    "deidentification_json",
    "deidentify",
    "deidentify_run",
    "deidentify_stored",
    "demo",
    "demo_table",
    "describe",
    "erase",
    "evaluate",
    "export",
    "export_records",
    "fhir_files",
    "grant",
    "house_if_any",
    "import_fhir",
    "import_meds",
    "import_omop",
    "import_state",
    "import_table",
    "impute",
    "index",
    "init",
    "jobs_url",
    "kind_of",
    "load_terminology",
    "make_key",
    "measure_quality",
    "open_house",
    "own_record",
    "quality_of_stored",
    "rates",
    "recall",
    "reconsider",
    "recover_root",
    "register",
    "relate",
    "relations_of",
    "release",
    "restore",
    "retrain_tasks",
    "reveal_token",
    "rotate",
    "search",
    "sign",
    "simulate",
    "statements",
    "stored",
    "synthesize",
    "synthesize_related",
    "synthesize_stored",
    "terminology",
    "timelines",
    "trust_of",
    "trust_of_release",
    "verify",
    "withdraw_role",
    "write_deidentification",
]
