"""Synthesis of a patient table: from the real table to a synthetic one with evidence and a decision."""

from dataclasses import dataclass
from pathlib import Path

from galenic.flows.release_workflow import ReleaseWorkflow
from galenic.flows.run_start import new_split_rng, start_run
from galenic.generators import SynthesisRequest
from galenic.generators.tables import MixtureTables, prepare_table
from galenic.installation import Installation
from galenic.privacy import Domain
from galenic.records import Source
from galenic.release import Decision
from galenic.schema import Progress, Report, Table, no_progress


@dataclass(frozen=True)
class SynthesisResult:
    """Result of a run. The synthetic table is for the caller, who owns the patients' file; others get it only by
    `write_release`."""

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
    """Describes, de-identifies, splits by patient, pays for the domain from the budget, fits, samples, measures and decides.
    Everything is stored in a run.

    If the run is refused, the synthetic table is not released, and the refusal is counted and recorded.
    """
    rng = new_split_rng(request)
    with start_run(installation, "table", request) as run:
        data = prepare_table(source, request, rng)
        folder, decision, result = ReleaseWorkflow(run, "table", request, rng, progress).generate(data)
    generator = result.model
    return SynthesisResult(run.id, folder, decision, result.report, result.made, generator.model, generator.domain)
