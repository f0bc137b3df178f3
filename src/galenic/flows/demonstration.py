"""Demonstration on the RAND Health Insurance Experiment, from its table to a verified release, at epsilon = 1."""

import json
from dataclasses import dataclass
from pathlib import Path

from galenic import records, store
from galenic.custody import make_key
from galenic.errors import ReleaseRefusedError
from galenic.flows.synthesis import SynthesisResult, synthesize
from galenic.generators import SynthesisRequest
from galenic.installation import Installation
from galenic.privacy import ColumnOptions
from galenic.release import check_release, sign_with_key, trust_of, write_release
from galenic.schema import Progress, no_progress

POPULATION = "rand-hie"
ROLES = ("privacy-officer", "clinician")


@dataclass(frozen=True)
class DemoResult:
    """Result of the demonstration. refusal: message of the public policy about the same run."""

    result: SynthesisResult
    folder: Path
    checked: tuple[str, ...]
    refusal: str


def run_demo(installation: Installation, target: Path, *, progress: Progress = no_progress) -> DemoResult:
    """Runs the release workflow with two temporary keys under the internal policy, and shows that the public policy refuses the
    same run."""
    installation.ledger.declare(POPULATION, epsilon=1.0, delta=1e-9, actor=installation.actor)
    column_options = ColumnOptions(description=records.demo_columns())
    request = SynthesisRequest(epsilon=1.0, delta=1e-9, population=POPULATION, column_options=column_options, target="mdvis")
    result = synthesize(installation, records.demo_table(), request, progress)
    progress("signing", 0.93)
    for role in ROLES:
        sign_with_key(installation, result.run, make_key(installation, f"demo-{role}-{result.run}", role).name)
    refusal = _public(installation, result.run, target)
    folder, _lines = write_release(installation, result.run, target)
    trust = target.parent / "trusted-keys.json"
    with store.file_aside(trust) as aside:
        names = tuple(f"demo-{role}-{result.run}" for role in ROLES)
        aside.write_text(json.dumps(trust_of(installation, names), indent=1), encoding="utf-8")
    checked = check_release(folder, trust=trust, installation=installation)
    progress("verified", 1.0)
    return DemoResult(result, folder, tuple(checked), refusal)


def _public(installation: Installation, run: str, target: Path) -> str:
    try:
        write_release(installation, run, target, policy_name="public")
    except ReleaseRefusedError as refusal:
        return str(refusal)
    return "the public policy should have refused but did not"
