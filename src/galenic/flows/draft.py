"""Writes a run: what may leave (artefact/), what the signers read (internal/), and the model, all at once or not at all."""

import hashlib
import json
import resource
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import galenic
from galenic import records, store
from galenic.flows.house import House
from galenic.generators.tables import ENGINE, ENGINE_VERSION, MixtureTables
from galenic.privacy import Budget
from galenic.records import Split
from galenic.release import Decision, Facts, Policy, attest, card, croissant, decision_json, sha256_file
from galenic.schema import Report, Table, to_json


@dataclass(frozen=True)
class Used:
    """What this process had used of CPU (all threads) and memory (the most at once). Internal: both may depend on rows."""

    cpu_seconds: float
    peak_megabytes: float

    @classmethod
    def until_now(cls) -> "Used":
        """As it stands."""
        return cls(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@dataclass(frozen=True)
class Draft:
    """Everything a run holds."""

    run: str
    synthetic: Table
    held: Table
    model: MixtureTables
    report: Report
    decision: Decision
    policy: Policy
    population: str
    refusals: int
    dropped: dict[str, str]
    split: Split
    budget: Budget | None
    used: Used

    @property
    def facts(self) -> Facts:
        """What the card says beside findings."""
        unit = "row" if self.split.unit == "row" else f"patient, with at most {self.split.cap} row(s) each"
        if self.budget:
            guarantee = (
                f"Differential privacy: epsilon = {self.budget.epsilon:g}, delta = {self.budget.delta:g}, protecting each {unit}. "
                f"Everything learned was paid from the budget of population “{self.population}”."
            )
        else:
            guarantee = "No formal guarantee: fitted without noise. Only the attacks below speak for its privacy."
        return Facts(
            title=f"Synthetic table {self.run}",
            about=f"{self.synthetic.rows} synthetic rows of {len(self.synthetic.columns)} columns. No row is a person.",
            engine=f"{ENGINE} {ENGINE_VERSION}",
            version=galenic.__version__,
            guarantee=guarantee,
            notes=tuple(self._notes()),
            formal=self.budget is not None,
        )

    def _notes(self) -> list[str]:
        lines = [f"Left out before learning: {', '.join(self.dropped) or 'nothing'}."]
        if self.budget:
            lines.append(
                "That this table was accepted at all was decided on real rows: this one bit (accepted or refused) is outside epsilon. "
                f"Refused attempts on this population so far: {self.refusals}."
            )
            lines.append("Findings computed from patients are on the signers' internal sheet and do not leave with the data.")
        if self.split.unit == "patient":
            lines.append(f"At most {self.split.cap} row(s) of each patient were used, so frequent patients do not weigh more.")
        return lines


def write_run(house: House, draft: Draft) -> Path:
    """The run's folder. A refused result has no artefact/: it stays inside."""
    folder = house.runs / draft.run
    with store.folder_aside(folder) as aside:
        sheet = _internal(aside / "internal", draft)
        draft.model.save(aside / "model")
        if draft.decision.accepted:
            _artefact(aside / "artefact", draft)
            predicate = {
                "release": draft.run,
                "policy": {"name": draft.policy.name, "version": draft.policy.version, "digest": draft.policy.digest},
                "engine": {"name": ENGINE, "version": ENGINE_VERSION, "galenic": galenic.__version__},
                "population": draft.population,
                "internal_sheet": sheet,
            }
            envelope = attest(aside / "artefact", predicate, house.keys.gate())
            (aside / "attestation.json").write_text(json.dumps(envelope), encoding="utf-8")
            (aside / "signoffs").mkdir()
    return folder


def _internal(folder: Path, draft: Draft) -> str:
    """Writes the signers' sheet; returns a commitment to it (salted, so that it can be opened but not guessed)."""
    folder.mkdir()
    data: dict[str, Any] = {
        "salt": secrets.token_hex(32),
        "report": to_json(draft.report),
        "decision": decision_json(draft.decision, inside=True),
        "split": {
            "train_rows": draft.split.train_rows,
            "test_rows": draft.split.test_rows,
            "rows_left_out_by_cap": draft.split.cap_loss,
        },
        "cpu_seconds_to_sample": draft.used.cpu_seconds,
        "peak_megabytes_to_sample": draft.used.peak_megabytes,
        "mechanisms": [m.__dict__ for m in draft.budget.mechanisms] if draft.budget else [],
    }
    text = json.dumps(data, indent=1)
    (folder / "sheet.json").write_text(text, encoding="utf-8")
    page = card(draft.facts, draft.report, draft.decision, draft.policy, draft.synthetic, draft.held)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _artefact(folder: Path, draft: Draft) -> None:
    folder.mkdir()
    data = folder / "data.csv"
    records.write(draft.synthetic, data)
    public = draft.report.only("public")
    _json(folder / "evidence.json", to_json(public))
    _json(folder / "decision.json", decision_json(draft.decision, inside=False))
    (folder / "policy.toml").write_text(draft.policy.text, encoding="utf-8")
    facts = draft.facts
    (folder / "card.html").write_text(card(facts, public, draft.decision, draft.policy, draft.synthetic), encoding="utf-8")
    about = f"{facts.about} {facts.guarantee}"
    _json(folder / "croissant.json", croissant(facts.title, about, draft.synthetic.columns, "data.csv", sha256_file(data)))
    verifier = Path(__file__).parent.parent / "release" / "verify_release.py"
    (folder / "verify_release.py").write_bytes(verifier.read_bytes())


def _json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
