"""Artifact kind "table": one synthetic table, or several related ones, with a card and Croissant metadata."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galenic import records, store
from galenic.records import Source, SyntheticTables
from galenic.release.artifact import RunOutcome, StoredRun, WorkflowResult
from galenic.release.attestation import sha256_file
from galenic.release.card import CardFacts, origin, render_card
from galenic.release.croissant import croissant_metadata
from galenic.schema import PATIENT, Finding, Table
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
        metadata = croissant_metadata(facts.title, f"{facts.about} {_guarantee(content)}", files)
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
        """Sizes of the split, resource usage, columns, and paid mechanisms."""
        return {
            "protects": f"each {content.training.unit}" if content.budget else "nobody: no formal guarantee",
            "split": dict(content.sizes),
            "cpu_seconds_to_sample": content.usage.cpu_seconds,
            "peak_megabytes_to_sample": content.usage.peak_megabytes,
            "columns": [
                {"table": name, "column": c.name, "kind": c.kind, "levels": c.levels, "values": origin(c)}
                for name, table in content.tables.items()
                for c in table.columns
            ],
            "dropped": dict(content.training.dropped),
            "epsilon": content.budget.epsilon if content.budget else None,
            "delta": content.budget.delta if content.budget else None,
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
    several = len(content.tables) > 1
    lines = [
        f"{f'{name}: ' if several else ''}{table.rows:,} synthetic rows of {len(table.columns)} columns."
        for name, table in content.tables.items()
    ]
    return CardFacts(
        title=outcome.details.title or f"Synthetic table{'s' if several else ''} {outcome.id}",
        run=outcome.id,
        details=outcome.details,
        about=" ".join([*lines, "No row is a person."]),
        about_data=tuple(_about_data(content)),
        engine=f"{content.engine.name} {content.engine.version}",
        version=__version__,
        notes=tuple(_notes(content, outcome)),
        formal=content.budget is not None,
    )


def _about_data(content: TableContent) -> Iterator[tuple[str, str]]:
    """Patients, rows and columns, as far as they are public. The exact number of patients is not."""
    rows = content.evidence.get("engine.rows")
    if isinstance(rows, Finding):
        exact = " (with noise added)" if content.budget else ""
        yield "Learned from", f"{rows.value:,.0f} rows{exact}; unit of privacy: each {content.training.unit}"
    yield "Columns", f"{sum(len(t.columns) for t in content.tables.values())}"
    yield "Left out before learning", ", ".join(content.training.dropped) or "nothing"
    if content.budget:
        yield "Budget population", content.population
    yield "Privacy guarantee", _guarantee(content)


def _guarantee(content: TableContent) -> str:
    if content.budget is None:
        return "No formal guarantee: the model was trained without noise."
    epsilon, delta = content.budget.epsilon, content.budget.delta
    return f"Differential privacy with ε (epsilon) = {epsilon:g} and δ (delta) = {delta:g}, for each {content.training.unit}."


def _notes(content: TableContent, outcome: RunOutcome) -> Iterator[str]:
    unit = content.training.unit
    if unit.startswith("patient"):
        yield f"Unit: each {unit}. Frequent patients do not weigh more than others."
    else:
        yield f"Unit: each {unit}."
    if not content.budget:
        yield "The privacy attacks are the only evidence for its privacy, because there is no formal guarantee."
        return
    yield (
        "Everything that the model learned was paid from the privacy budget. Facts that the table of columns calls declared were stated "
        "by the data's owner, and are not covered by the guarantee."
    )
    yield (
        "The decision to accept or refuse was made with real records. This single answer (accepted, refused, or stopped because the "
        "rows could not be read as a table of patients or hold undeclared identifiers) is not covered by ε. "
        f"Refused attempts on this budget population so far: {outcome.refused_attempts}."
    )
