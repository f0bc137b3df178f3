"""Artifact kind "table": one synthetic table, or several related ones, with a card and Croissant metadata."""

import json
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import galenic
from galenic import records, store
from galenic.installation import Installation
from galenic.privacy import Budget
from galenic.records import Split
from galenic.release.artifact import Engine, RunOutcome
from galenic.release.attestation import sha256_file
from galenic.release.card import CardFacts, render_card
from galenic.release.croissant import croissant_metadata
from galenic.schema import Report, Table


@dataclass(frozen=True)
class ResourceUsage:
    """CPU time of this process (all threads) and its peak memory. Internal: both may depend on rows."""

    cpu_seconds: float
    peak_megabytes: float

    @classmethod
    def until_now(cls) -> "ResourceUsage":
        """Usage since the process started."""
        return cls(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class SavedModel(Protocol):
    """Fitted model of a run."""

    def save(self, folder: Path) -> None:
        """Writes it to a folder that does not exist yet."""


@dataclass(frozen=True)
class Preview:
    """Rows of one table for the plots: synthetic ones beside held-out patients' rows, which never leave."""

    made: Table
    held: Table


@dataclass(frozen=True)
class TableContent:
    """Content of a run that makes tables. tables: the synthetic ones, by name. previews: rows to plot, by table. unit: who is
    protected, in words. sizes: rows read, for the signers' sheet. dropped: columns left out, with the reason."""

    tables: Mapping[str, Table]
    previews: Mapping[str, Preview]
    model: SavedModel
    engine: Engine
    report: Report
    dropped: Mapping[str, str]
    unit: str
    sizes: Mapping[str, float]
    budget: Budget | None
    usage: ResourceUsage

    @property
    def evidence(self) -> Report:
        """Public findings."""
        return self.report.only("public")

    @property
    def population(self) -> str:
        """Population whose budget paid."""
        return self.budget.population if self.budget else "none: no formal guarantee"


def sizes_of(split: Split) -> dict[str, float]:
    """Rows read, for the signers' sheet."""
    return {"train_rows": split.train_rows, "test_rows": split.test_rows, "rows_left_out_by_cap": split.cap_loss}


class TableArtifact:
    """Synthetic tables as NAME.csv files with croissant.json."""

    action = "synthesize"
    lineage_kind = "model"  # an erasure concerns the fitted model; synthetic rows are no person's

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
            "split": dict(content.sizes),
            "cpu_seconds_to_sample": content.usage.cpu_seconds,
            "peak_megabytes_to_sample": content.usage.peak_megabytes,
            "mechanisms": [m.__dict__ for m in content.budget.mechanisms] if content.budget else [],
        }

    def forget(self, installation: Installation, artifact: dict[str, Any]) -> str:
        """A model within a privacy budget stays; another one is marked for retraining."""
        if artifact["private"]:
            return "kept: made within a privacy budget, which bounds what it can tell of one patient"
        store.set_state(installation.db, str(artifact["id"]), "retrain")
        return "marked for retraining without the patient"


def card_facts(content: TableContent, outcome: RunOutcome) -> CardFacts:
    """Statements of the card beside findings."""
    budget = content.budget
    guarantee = "No formal guarantee: fitted without noise. Only the attacks below speak for its privacy."
    if budget:
        guarantee = (
            f"Differential privacy: epsilon = {budget.epsilon:g}, delta = {budget.delta:g}, protecting each {content.unit}. "
            f"Everything learned was paid from the budget of population “{content.population}”."
        )
    several = len(content.tables) > 1
    lines = [
        f"{f'{name}: ' if several else ''}{table.rows} synthetic rows of {len(table.columns)} columns."
        for name, table in content.tables.items()
    ]
    return CardFacts(
        title=f"Synthetic table{'s' if several else ''} {outcome.id}",
        about=" ".join([*lines, "No row is a person."]),
        engine=f"{content.engine.name} {content.engine.version}",
        version=galenic.__version__,
        guarantee=guarantee,
        notes=tuple(_notes(content, outcome)),
        formal=budget is not None,
    )


def _notes(content: TableContent, outcome: RunOutcome) -> list[str]:
    lines = [f"Left out before learning: {', '.join(content.dropped) or 'nothing'}."]
    if content.budget:
        lines.append(
            "That this was accepted at all was decided on real rows: this one bit (accepted or refused) is outside epsilon. "
            f"Refused attempts on this population so far: {outcome.refused_attempts}."
        )
        lines.append("Findings computed from patients are on the signers' internal sheet and do not leave with the data.")
    if content.unit != "row":
        lines.append(f"Used of each {content.unit}; so frequent patients do not weigh more than that.")
    return lines
