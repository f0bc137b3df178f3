"""Evaluation of synthetic data of any origin, on the audit log."""

from galenic.evidence import EvaluationRequest
from galenic.evidence.tables import ComparedSources, evaluate_sources
from galenic.installation import Installation
from galenic.schema import Progress, Report, no_progress


def evaluate(
    installation: Installation,
    sources: ComparedSources,
    request: EvaluationRequest | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Fidelity, utility and privacy of synthetic rows against the real table that they imitate."""
    report = evaluate_sources(sources, request, progress)
    installation.audit.append("evaluated", sources.synthetic.name, failures=len(report.failures))
    return report
