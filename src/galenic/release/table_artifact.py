"""Artifact kind "table": one synthetic table, or several related ones, with a card and Croissant metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galenic import records, store
from galenic.records import Source, SyntheticTables
from galenic.release.artifact import RunOutcome, StoredRun, WorkflowResult
from galenic.release.attestation import sha256_file
from galenic.release.card import CardFacts, render_card
from galenic.release.croissant import croissant_metadata
from galenic.schema import PATIENT, Table
from galenic.version import __version__

PREVIEW_ROWS = 5_000
PREVIOUS = "@previous."  # begins the names of columns that hold the previous row


@dataclass(frozen=True)
class Preview:
    """Rows of one table for the plots: synthetic ones beside held-out patients' rows, which never leave."""

    made: Table
    held: Table


@dataclass(frozen=True)
class TableContent(WorkflowResult):
    """Result of a workflow that makes tables. tables: the synthetic ones, by name. previews: rows to plot, by table."""

    tables: Mapping[str, Table]
    previews: Mapping[str, Preview]


class TableArtifact:
    """Synthetic tables as NAME.csv files with croissant.json."""

    action = "synthesize"
    lineage_kind = "model"  # an erasure concerns the fitted model; synthetic rows are no person's

    def content(self, result: WorkflowResult) -> TableContent:
        """The result with its tables by name, and rows to plot. made: a Table, or SyntheticTables."""
        if isinstance(result.made, SyntheticTables):
            tables, previews = result.made.tables, _related_previews(result.made, result.training.held_out)
        else:
            held = result.training.held_out.sample(PREVIEW_ROWS, np.random.default_rng(0)).table(result.made.columns)
            tables, previews = {"data": result.made}, {"data": Preview(result.made, held)}
        return TableContent(**vars(result), tables=tables, previews=previews)

    def write(self, content: TableContent, outcome: RunOutcome, folder: Path) -> None:
        """Writes each table as CSV, and the metadata of all."""
        for name, table in content.tables.items():
            records.write(table, folder / f"{name}.csv")
        facts = card_facts(content, outcome)
        files = {name: (table.columns, sha256_file(folder / f"{name}.csv")) for name, table in content.tables.items()}
        metadata = croissant_metadata(facts.title, f"{facts.about} {facts.guarantee}", files)
        (folder / "croissant.json").write_text(json.dumps(metadata, indent=1), encoding="utf-8")

    def save_model(self, content: TableContent, folder: Path) -> None:
        """Saves the generator."""
        content.model.save(folder)

    def card(self, content: TableContent, outcome: RunOutcome) -> str:
        """Card with public findings and plots of synthetic rows."""
        views = {name: (preview.made, None) for name, preview in content.previews.items()}
        facts = card_facts(content, outcome)
        return render_card(facts, content.evidence, outcome.decision, outcome.policy, content.tables, views)

    def signers_report(self, content: TableContent, outcome: RunOutcome) -> str:
        """Card with all findings, and held-out patients' rows in the plots."""
        views = {name: (preview.made, preview.held) for name, preview in content.previews.items()}
        facts = card_facts(content, outcome)
        return render_card(facts, content.report, outcome.decision, outcome.policy, content.tables, views)

    def sheet(self, content: TableContent) -> dict[str, Any]:
        """Sizes of the split, resource usage and paid mechanisms."""
        return {
            "protects": f"each {content.training.unit}" if content.budget else "nobody: no formal guarantee",
            "split": dict(content.sizes),
            "cpu_seconds_to_sample": content.usage.cpu_seconds,
            "peak_megabytes_to_sample": content.usage.peak_megabytes,
            "mechanisms": [m.__dict__ for m in content.budget.mechanisms] if content.budget else [],
        }

    def forget(self, run: StoredRun, artifact: dict[str, Any]) -> str:
        """A model within a privacy budget stays; another one is deleted and marked for retraining."""
        if artifact["private"]:
            return "kept: made within a privacy budget, which bounds what it can tell of one patient"
        store.set_state(run.installation.db, str(artifact["id"]), "retrain")
        run.drop_model()
        return "marked for retraining without the patient; the model is deleted"


def _related_previews(made: SyntheticTables, held_out: Mapping[str, Source]) -> dict[str, Preview]:
    """One random row of each of at most PREVIEW_ROWS patients, of every flat table."""
    previews = {}
    for name, columns in made.flat_columns.items():
        own = tuple(c for c in columns if not c.name.startswith(PREVIOUS))
        typed = tuple(c.but(format="") if c.kind == "date" else c for c in own)
        rng = np.random.default_rng(0)
        rows, held = (
            records.cap_rows(source[name], PATIENT, 1, rng).sample(PREVIEW_ROWS, rng) for source in (made.flat, held_out)
        )
        previews[name] = Preview(Table(rows.table(typed).frame, own), held.table(own))
    return previews


def card_facts(content: TableContent, outcome: RunOutcome) -> CardFacts:
    """Statements of the card beside findings."""
    budget = content.budget
    guarantee = "No formal guarantee: fitted without noise. Only the attacks below speak for its privacy."
    if budget:
        guarantee = (
            f"Differential privacy: epsilon = {budget.epsilon:g}, delta = {budget.delta:g}, protecting each {content.training.unit}. "
            f"Everything learned was paid from the budget of population “{content.population}”; what the table of columns calls "
            "declared was stated by the data's owner and not learned."
        )
    several = len(content.tables) > 1
    lines = [
        f"{f'{name}: ' if several else ''}{table.rows} synthetic rows of {len(table.columns)} columns."
        for name, table in content.tables.items()
    ]
    return CardFacts(
        title=outcome.details.title or f"Synthetic table{'s' if several else ''} {outcome.id}",
        run=outcome.id,
        details=outcome.details,
        about=" ".join([*lines, "No row is a person."]),
        engine=f"{content.engine.name} {content.engine.version}",
        version=__version__,
        guarantee=guarantee,
        notes=tuple(_notes(content, outcome)),
        formal=budget is not None,
    )


def _notes(content: TableContent, outcome: RunOutcome) -> list[str]:
    lines = [f"Left out before learning: {', '.join(content.training.dropped) or 'nothing'}."]
    if content.budget:
        lines.append(
            "That this was accepted at all was decided on real rows: this one bit (accepted, refused, or stopped because the rows "
            "could not be read as a table of patients or hold undeclared identifiers) is outside epsilon. "
            f"Refused attempts on this population so far: {outcome.refused_attempts}."
        )
        lines.append("Findings computed from patients are on the signers' internal sheet and do not leave with the data.")
    unit = content.training.unit
    lines.append(
        f"Used of each {unit}. Frequent patients do not weigh more." if unit.startswith("patient") else f"Unit: each {unit}."
    )
    return lines
