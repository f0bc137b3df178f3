"""Synthesis of related tables: from several tables of the same patients to synthetic tables with evidence and a decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galenic.flows.release_workflow import ReleaseWorkflow
from galenic.flows.run_start import new_split_rng, start_run
from galenic.generators import SynthesisRequest
from galenic.generators.tables import RelatedTables, prepare_related_tables
from galenic.installation import Installation
from galenic.records import Source
from galenic.release import Decision
from galenic.schema import Progress, Relation, Report, Table, no_progress


@dataclass(frozen=True)
class RelatedResult:
    """Result of a run. The synthetic tables are for the caller, who owns the patients' files; others get them only by a
    release."""

    run: str
    folder: Path
    decision: Decision
    report: Report
    tables: Mapping[str, Table]
    model: RelatedTables


def synthesize_related(
    installation: Installation,
    relations: tuple[Relation, ...],
    sources: Mapping[str, Source],
    request: SynthesisRequest,
    *,
    dropped: dict[str, str] | None = None,
    progress: Progress = no_progress,
) -> RelatedResult:
    """Flattens, splits by patient, learns table by table, samples, measures every table and decides. Everything is stored in a
    run.

    request: its rows are the number of patients to make. One patient's rows in all tables are protected together.
    """
    rng = new_split_rng(request)
    with (
        start_run(installation, "related-tables", request) as run,
        run.workspace() as folder,
    ):  # the joined rows of patients are deleted with the workspace
        progress("joining tables", 0.02)
        data = prepare_related_tables(relations, sources, folder, request, rng, dropped)
        workflow = ReleaseWorkflow(run, "related-tables", request, rng, progress)
        place, decision, result = workflow.generate(data)
    generator = result.model
    return RelatedResult(run.id, place, decision, result.report, result.made.tables, generator.model)
