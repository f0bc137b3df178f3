"""An artifact of a kind that Galenic does not ship: a toy, which two people sign."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galenic import release
from galenic.installation import Installation
from galenic.release import Engine, Run, RunOutcome
from galenic.schema import Finding, Report

POLICY = """
name = "toy"
version = 1
purpose = "Tests."
roles = ["privacy-officer", "clinician"]
identity = "unverified"

[[rule]]
finding = "toy.score"
at_least = 0.5
reason = "A toy has to be fun."
"""


MAKER = Engine("toy-maker", "7")


@dataclass(frozen=True)
class ToyContent:
    score: float
    engine: Engine = MAKER
    population: str = "none: toys"
    budget: None = None

    @property
    def report(self) -> Report:
        return Report("toy", (Finding("toy.score", self.score, "asked a child", "higher", audience="public"),))

    @property
    def evidence(self) -> Report:
        return self.report


class ToyArtifact:
    action = "toy"
    lineage_kind = "toy"

    def write(self, content: ToyContent, outcome: RunOutcome, folder: Path) -> None:
        (folder / "toy.txt").write_text(f"{outcome.id} {content.score}")

    def save_model(self, content: ToyContent, folder: Path) -> None:
        folder.mkdir()
        (folder / "plan.txt").write_text("wood")

    def card(self, content: ToyContent, outcome: RunOutcome) -> str:
        return "<h1>A toy</h1>"

    def signers_report(self, content: ToyContent, outcome: RunOutcome) -> str:
        return "<h1>A toy, for signers</h1>"

    def sheet(self, content: ToyContent) -> dict[str, Any]:
        return {"material": "wood"}

    def forget(self, run: Run, artifact: dict[str, Any]) -> str:
        return "toy given back"


def toy_run(installation: Installation, score: float, requester: str = "tim") -> tuple[Run, release.Decision]:
    policy = release.parse_policy(POLICY, "toy")
    with Run.start(installation, "toy", policy, requester=requester, detail={"size": 3}) as run:
        _folder, decision = run.decide_and_write(ToyContent(score))
    return Run.open(installation, run.id), decision
