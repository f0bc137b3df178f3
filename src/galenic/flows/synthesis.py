"""Synthesis of a patient table: from the real table to a synthetic one with evidence and a decision."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galenic.errors import DescriptionError
from galenic.flows.release_workflow import ReleaseWorkflow
from galenic.generators import SynthesisRequest
from galenic.generators.tables import MixtureTables, prepare_table
from galenic.installation import Installation
from galenic.privacy import Domain
from galenic.records import Source
from galenic.release import Decision, Run, load_policy
from galenic.schema import Progress, Report, Table, no_progress


@dataclass(frozen=True)
class SynthesisResult:
    """Result of a run. The synthetic table is for the caller, who owns the patients' file; it leaves by `write_release`."""

    run: str
    folder: Path
    decision: Decision
    report: Report
    synthetic: Table
    model: MixtureTables
    domain: Domain


def synthesize(
    installation: Installation, source: Source, request: SynthesisRequest, progress: Progress = no_progress
) -> SynthesisResult:
    """Describes, de-identifies, splits by patient, buys the domain, fits, samples, measures and decides; all of it is kept in a run.

    If the run is refused, the synthetic table stays inside, and the refusal is counted and audited.
    """
    rng = new_split_rng(request)
    with start_run(installation, request) as run:
        data = prepare_table(source, request, rng)
        folder, decision, result = ReleaseWorkflow(run, "table", request, rng, progress).generate(data)
    generator = result.model
    return SynthesisResult(run.id, folder, decision, result.report, result.made, generator.model, generator.domain)


def start_run(installation: Installation, request: SynthesisRequest) -> AbstractContextManager[Run]:
    """A run for a request; its criteria are on the audit chain before a row is read."""
    policy = load_policy(request.policy)
    if request.rows is not None and request.rows < 1:
        raise DescriptionError(f"rows is {request.rows}. Expected 1 or more, or none for the noisy number of training rows.")
    detail = {"epsilon": request.epsilon if request.private else None}
    return Run.start(installation, "table", policy, requester=request.by, detail=detail)


def new_split_rng(request: SynthesisRequest) -> np.random.Generator:
    """Random generator of the split and the evaluation."""
    return np.random.default_rng(request.seed if request.seed is not None else int.from_bytes(os.urandom(8), "big"))
