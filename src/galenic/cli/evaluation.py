"""The commands that measure: evaluate a synthetic table, audit the engine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from galenic import flows, records
from galenic.cli import show
from galenic.cli.files import require_columns, require_writable, write_text
from galenic.cli.options import (
    Columns,
    Groups,
    Holdout,
    Json,
    OptionalReleasePolicy,
    Patient,
    Target,
    Times,
    expand_options,
)
from galenic.evidence import EvaluationRequest
from galenic.evidence.tables import ComparedSources, evaluate_sources
from galenic.installation import open_installation
from galenic.release import decide, load_policy

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Options of `galenic table evaluate`."""

    holdout: Holdout = None
    columns: Columns = None
    patient: Patient = None
    target: Target = None
    group: Groups = None
    survival: Times = None
    release_policy: OptionalReleasePolicy = None

    def named_columns(self) -> dict[str, list[str | None]]:
        """Columns of the real table by the option that names them."""
        columns = {"--patient": [self.patient], "--target": [self.target]}
        return {**columns, "--group": list(self.group or ()), "--survival": list(self.survival or ())}


@commands.command(epilog="Example: galenic table evaluate real.csv synthetic.csv --holdout unseen.csv")
@expand_options
def evaluate(
    real: Annotated[Path, typer.Argument(help="Real table that the model was trained on.")],
    synthetic: Annotated[Path, typer.Argument(help="Synthetic table, made by any tool.")],
    options: EvaluationOptions,
    as_json: Json = False,
) -> None:
    """Measure the quality and privacy of a synthetic table, made by any tool.

    With --release-policy the command also decides, and ends with 1 if the policy refuses the table.
    """
    columns = records.read_description(options.columns) if options.columns else None
    policy = load_policy(options.release_policy) if options.release_policy else None
    with show.progress(as_json) as progress:
        holdout = records.read(options.holdout) if options.holdout else None
        source = records.read(real)
        require_columns(source.name, source.names, options.named_columns())
        compared = ComparedSources(source, records.read(synthetic), holdout, columns, options.patient)
        request = EvaluationRequest(
            target=options.target,
            times=options.survival,
            groups=tuple(options.group or ()),
            constraints=records.read_constraints(options.columns) if options.columns else (),
        )
        installation = open_installation()
        report = evaluate_sources(compared, request, progress)
        installation.audit.append("evaluated", compared.synthetic.name, failures=len(report.failures))
    decision = decide(report, policy) if policy else None
    if as_json:
        show.print_json(show.report_json(report, decision))
    else:
        show.findings(report)
        if decision:
            show.decision(decision)
    raise typer.Exit(1 if decision and not decision.accepted else 0)


@commands.command("audit-engine", epilog="Example: galenic table audit-engine --runs 20")
def audit_engine(
    runs: Annotated[int, typer.Option(min=1, help="Number of runs of the engine.")] = 100,
    canaries: Annotated[int, typer.Option(min=1, help="Number of test patients in each run.")] = 400,
    out: Annotated[Path | None, typer.Option(help="Write the result here.")] = None,
    as_json: Json = False,
) -> None:
    """Test the privacy guarantee of the engine: attack it, and compare with the claimed limit.

    Ends with 1 if a measurement contradicts the claim.
    """
    if out is not None:
        require_writable(out)
    steps, data = flows.audit_engine(canaries=canaries, runs=runs)
    if out is not None:
        write_text(out, json.dumps(data, indent=1) + "\n")
    if as_json:
        show.print_json(data)
    else:
        for step, a in steps.items():
            measured = f"mu measured {a.mu:.4f} (95 %: {a.low:.4f} to {a.high:.4f}), claimed at most {a.claimed:.4f}"
            show.out.print(f"{step}: {measured}; {'[green]holds[/]' if a.holds else '[red]WRONG[/] ' + '; '.join(a.wrong)}")
    raise typer.Exit(0 if all(a.holds for a in steps.values()) else 1)
