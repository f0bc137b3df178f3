"""Writes a run: what may leave (artefact/), what the signers read (internal/), and the model, all at once or not at all."""

import hashlib
import json
import resource
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import galenic
from galenic import records, store
from galenic.generators.tables import ENGINE, ENGINE_VERSION
from galenic.installation import Installation
from galenic.privacy import Budget
from galenic.records import Split
from galenic.release.attestation import attest, sha256_file
from galenic.release.card import CardFacts, decision_json, render_card
from galenic.release.croissant import croissant_metadata
from galenic.release.policy import Decision, ReleasePolicy, decide
from galenic.schema import Report, Table, to_json


@dataclass(frozen=True)
class ResourceUsage:
    """What this process had used of CPU (all threads) and memory (the most at once). Internal: both may depend on rows."""

    cpu_seconds: float
    peak_megabytes: float

    @classmethod
    def until_now(cls) -> "ResourceUsage":
        """As it stands."""
        return cls(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Model(Protocol):
    """What was fitted."""

    def save(self, folder: Path) -> None:
        """Writes it to a folder that does not exist yet."""


@dataclass(frozen=True)
class Preview:
    """What people see of one table: synthetic rows beside held-out patients' rows (which never leave)."""

    made: Table
    held: Table


@dataclass(frozen=True)
class Draft:
    """Everything a run holds but the decision. tables: what may leave, by name. views: what is plotted, by table. unit: who is
    protected, in words. sizes: rows read, for the signers' sheet."""

    run: str
    tables: Mapping[str, Table]
    views: Mapping[str, Preview]
    model: Model
    report: Report
    policy: ReleasePolicy
    population: str
    dropped: dict[str, str]
    unit: str
    sizes: Mapping[str, float]
    budget: Budget | None
    used: ResourceUsage
    refusals: int = 0

    @property
    def facts(self) -> CardFacts:
        """What the card says beside findings."""
        if self.budget:
            guarantee = (
                f"Differential privacy: epsilon = {self.budget.epsilon:g}, delta = {self.budget.delta:g}, protecting each {self.unit}. "
                f"Everything learned was paid from the budget of population “{self.population}”."
            )
        else:
            guarantee = "No formal guarantee: fitted without noise. Only the attacks below speak for its privacy."
        return CardFacts(
            title=f"Synthetic table{'s' if len(self.tables) > 1 else ''} {self.run}",
            about=" ".join(self._about()),
            engine=f"{ENGINE} {ENGINE_VERSION}",
            version=galenic.__version__,
            guarantee=guarantee,
            notes=tuple(self._notes()),
            formal=self.budget is not None,
        )

    def _about(self) -> list[str]:
        called = {name: f"{name}: " if len(self.tables) > 1 else "" for name in self.tables}
        return [f"{called[n]}{t.rows} synthetic rows of {len(t.columns)} columns." for n, t in self.tables.items()] + [
            "No row is a person."
        ]

    def _notes(self) -> list[str]:
        lines = [f"Left out before learning: {', '.join(self.dropped) or 'nothing'}."]
        if self.budget:
            lines.append(
                "That this was accepted at all was decided on real rows: this one bit (accepted or refused) is outside epsilon. "
                f"Refused attempts on this population so far: {self.refusals}."
            )
            lines.append("Findings computed from patients are on the signers' internal sheet and do not leave with the data.")
        if self.unit != "row":
            lines.append(f"Used of each {self.unit}; so frequent patients do not weigh more than that.")
        return lines


def sizes_of(split: Split) -> dict[str, float]:
    """Rows read, for the signers' sheet."""
    return {"train_rows": split.train_rows, "test_rows": split.test_rows, "rows_left_out_by_cap": split.cap_loss}


def decide_and_write(installation: Installation, draft: Draft) -> tuple[Path, Decision]:
    """Decides, counts a refusal, writes the run, audits. (the run's folder, the decision)."""
    decision = decide(draft.report, draft.policy)
    if draft.budget is None:
        draft = replace(draft, population="none: no formal guarantee")
    elif decision.accepted:
        draft = replace(draft, refusals=installation.ledger.statement(draft.population).refusals)
    else:
        draft = replace(draft, refusals=installation.ledger.count_refusal(draft.population))
    folder = write_run(installation, draft, decision)
    outcome = "accepted" if decision.accepted else "refused"
    refused = [i.finding for i in decision.refusals]
    installation.audit.append("decision", draft.run, outcome=outcome, policy=draft.policy.digest, refused=refused)
    return folder, decision


def write_run(installation: Installation, draft: Draft, decision: Decision) -> Path:
    """The run's folder. A refused result has no artefact/: it stays inside."""
    folder = installation.runs / draft.run
    with store.folder_aside(folder) as aside:
        sheet = _internal(aside / "internal", draft, decision)
        draft.model.save(aside / "model")
        if decision.accepted:
            _artefact(aside / "artefact", draft, decision)
            predicate = {
                "release": draft.run,
                "policy": {"name": draft.policy.name, "version": draft.policy.version, "digest": draft.policy.digest},
                "engine": {"name": ENGINE, "version": ENGINE_VERSION, "galenic": galenic.__version__},
                "population": draft.population,
                "internal_sheet": sheet,
            }
            envelope = attest(aside / "artefact", predicate, installation.keys.gate())
            (aside / "attestation.json").write_text(json.dumps(envelope), encoding="utf-8")
            (aside / "signoffs").mkdir()
    return folder


def _internal(folder: Path, draft: Draft, decision: Decision) -> str:
    """Writes the signers' sheet; returns a commitment to it (salted, so that it can be opened but not guessed)."""
    folder.mkdir()
    data: dict[str, Any] = {
        "salt": secrets.token_hex(32),
        "report": to_json(draft.report),
        "decision": decision_json(decision, inside=True),
        "split": dict(draft.sizes),
        "cpu_seconds_to_sample": draft.used.cpu_seconds,
        "peak_megabytes_to_sample": draft.used.peak_megabytes,
        "mechanisms": [m.__dict__ for m in draft.budget.mechanisms] if draft.budget else [],
    }
    text = json.dumps(data, indent=1)
    (folder / "sheet.json").write_text(text, encoding="utf-8")
    page = render_card(
        draft.facts, draft.report, decision, draft.policy, draft.tables, {n: (v.made, v.held) for n, v in draft.views.items()}
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _artefact(folder: Path, draft: Draft, decision: Decision) -> None:
    folder.mkdir()
    for name, table in draft.tables.items():
        records.write(table, folder / f"{name}.csv")
    public = draft.report.only("public")
    _json(folder / "evidence.json", to_json(public))
    _json(folder / "decision.json", decision_json(decision, inside=False))
    (folder / "policy.toml").write_text(draft.policy.text, encoding="utf-8")
    facts = draft.facts
    made = {name: (view.made, None) for name, view in draft.views.items()}
    (folder / "card.html").write_text(render_card(facts, public, decision, draft.policy, draft.tables, made), encoding="utf-8")
    about = f"{facts.about} {facts.guarantee}"
    files = {name: (table.columns, sha256_file(folder / f"{name}.csv")) for name, table in draft.tables.items()}
    _json(folder / "croissant.json", croissant_metadata(facts.title, about, files))
    verifier = Path(__file__).parent.parent / "release" / "verify_release.py"
    (folder / "verify_release.py").write_bytes(verifier.read_bytes())


def _json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
