"""Synthesis as a job: what it will cost is told first; what comes of it is a run that waits for its signatures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import DescriptionError, GalenicError
from galenic.flows import cost_of, synthesize_stored
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.jobs.worker import already_started, job_session, progress_writer, submit_job
from galenic.privacy import ColumnOptions
from galenic.security import Session

DELTA = 1e-9
PURPOSE = "synthetic-data"
DIED = "the worker ended while this ran. What was reserved of the budget counts as spent. Ask again if you still want it."


@dataclass(frozen=True)
class CostEstimate:
    """What a synthesis will take. left: ε of the population's budget before and after; enough: whether it can be paid."""

    seconds: float
    megabytes: float
    rows: int
    columns: int
    limit: float
    spent: float
    enough: bool


def tables_in_custody(installation: Installation, tenant: str = "home") -> list[store.Row]:
    """Data sets that can be learned from as tables."""
    return [d for d in store.list_datasets(installation.db, tenant) if d["kind"] == "table"]


def estimate_job_cost(installation: Installation, session: Session, name: str, epsilon: float) -> CostEstimate:
    """What a synthesis will take; from sizes alone, so that asking tells nothing of anybody."""
    known = _table(installation, session, name)
    columns, rows = len(store.schema_of(known).names), int(str(known["next_row"]))
    request = SynthesisRequest(epsilon=epsilon, delta=DELTA, population=name)
    told = cost_of(columns, rows, request)
    if name not in installation.ledger.populations():
        return CostEstimate(told.seconds, told.megabytes, rows, columns, 0.0, 0.0, enough=False)
    said = installation.ledger.statement(name)
    enough = said.epsilon_spent + epsilon <= said.epsilon_limit * (1 + 1e-9)
    return CostEstimate(told.seconds, told.megabytes, rows, columns, said.epsilon_limit, said.epsilon_spent, enough)


def submit_synthesis(
    installation: Installation, session: Session, name: str, *, epsilon: float, target: str = "", policy: str = "internal"
) -> str:
    """Asks for synthetic rows of a table in custody; returns the job's id. Paid from the budget of the population of its name."""
    known = _table(installation, session, name)
    names = store.schema_of(known).names
    if target and target not in names:
        raise DescriptionError("there is no such column to predict in this data set. Choose one of its columns, or none.")
    if not 0.01 <= epsilon <= 10:
        raise DescriptionError("epsilon is from 0.01 (little is learned) to 10 (little is hidden).")
    verdict = installation.gate.decide(session, "train", store.resource(name), PURPOSE)
    if not verdict.allowed:
        raise DescriptionError(f"you may not learn from {name!r} ({verdict.reason}).")
    return submit_job(
        installation, session, "synthesis", {"dataset": name, "epsilon": epsilon, "target": target, "policy": policy}
    )


def _table(installation: Installation, session: Session, name: str) -> store.Dataset:
    known = store.dataset(installation.db, name, session.tenant)
    if known["kind"] != "table":
        raise DescriptionError(f"{name!r} holds {known['kind']}. Tables are learned from; export it as a table first.")
    return known


def advance_synthesis(state: dict[str, Any]) -> dict[str, Any]:
    """The one step of the job: a fit does not stop half-way, and what it has spent is spent."""
    installation = open_installation(Path(state["home"]))
    try:
        if already_started(installation, state):
            return {**state, "done": True, "error": DIED}
        session = job_session(installation, state)
        known = store.dataset(installation.db, state["dataset"], session.tenant)
        request = SynthesisRequest(
            epsilon=state["epsilon"], delta=DELTA, population=state["dataset"], target=state["target"] or None, policy=state["policy"],
            column_options=ColumnOptions(patient=str(known["patient"])), by=session.who,
        )  # fmt: skip
        tell = progress_writer(installation, state)
        result = synthesize_stored(installation, session, state["dataset"], request, purpose=PURPOSE, progress=tell)
        installation.gate.end(session)
        said = "accepted: it waits for its signatures" if result.decision.accepted else "refused: it stays inside"
        return {**state, "done": True, "share": 1.0, "run": result.run, "what": said}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        installation.close()
