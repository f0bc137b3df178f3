"""Summary, criteria and warnings of a stored run."""

from typing import Any

from galenic.release.policy import Decision, DecisionItem
from galenic.release.run import Run, RunState
from galenic.release.status import run_status
from galenic.release.summary import Caution, Criterion, decision_sentence, list_cautions, list_criteria, role_label, summarize


def plain_summary(run: Run) -> tuple[str, ...]:
    """Five sentences about a run for people inside: verdict, closeness to real data, privacy attacks, formal guarantee, and what to
    watch. One sentence for a run without evidence."""
    if not run.stored:
        return ("Nothing was decided yet: the run has no evidence.",)
    return summarize(run.report, stored_decision(run), _verdict(run, stored_decision(run)))


def run_criteria(run: Run) -> tuple[Criterion, ...]:
    """Every rule of the policy of a stored run with its measured value, for people inside."""
    return list_criteria(run.report, stored_decision(run))


def run_cautions(run: Run) -> tuple[Caution, ...]:
    """Missed limits of a stored run, and poor values that its policy allows; worst first."""
    return list_cautions(run.report, stored_decision(run))


def stored_decision(run: Run) -> Decision:
    """The decision with the measured values, as the signers' sheet holds it."""
    stored: dict[str, Any] = run.sheet["decision"]
    items = tuple(DecisionItem(**item) for item in stored["items"])
    return Decision(stored["policy"], stored["policy_digest"], stored["accepted"], items)


def _verdict(run: Run, decision: Decision) -> str:
    status = run_status(run.installation, run.id)
    signed = ", ".join(f"{name} ({role_label(role)})" for role, name in status.signed.items())
    missing = " and ".join(role_label(role) for role in status.missing)
    ends: dict[RunState, str] = {
        "signing": f"It waits for a signature as {missing}." + (f" Signed by {signed}." if signed else ""),
        "signed": f"Signed by {signed}. It can be released.",
        "rejected": f"A signer rejected it: {status.reason.rstrip('.')}.",
        "released": f"Signed by {signed}. It was released{_when(run)}.",
        "recalled": f"It was released and then recalled: {status.reason.rstrip('.')}. Do not use it.",
        "refused": "It stays inside.",
    }
    return f"{decision_sentence(decision)} {ends.get(status.state, '')}".strip()


def _when(run: Run) -> str:
    registered = run.registered
    return f" on {str(registered['released_at'])[:10]}" if registered else ""
