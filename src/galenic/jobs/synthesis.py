"""Synthesis as a job. Its cost is estimated first; its result is a run that waits for signatures."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from galenic import store
from galenic.errors import AccessDeniedError, GalenicError, OptionError, UnknownNameError
from galenic.flows import cost_of, synthesize_stored
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.jobs.client import job_session, submit_job
from galenic.jobs.cost import BudgetEstimate, CostEstimate
from galenic.jobs.expected_acceptance import expected_acceptance
from galenic.jobs.progress import already_started, progress_writer
from galenic.privacy import ColumnOptions
from galenic.schema import RunDetails
from galenic.security import Session

DELTA = 1e-9
PURPOSE = "synthetic-data"
DIED = "the worker stopped during this job. The reserved budget counts as spent. Submit the job again if you still need it."


@dataclass(frozen=True)
class SynthesisParameters:
    """Parameters of a synthesis job. dataset: a stored table, and the budget population; target: column that the utility check
    predicts, "" for none; policy: release policy for the result; title, intended_use, recipient: public texts about the
    result, as `RunDetails` describes them."""

    dataset: str
    epsilon: float
    target: str = ""
    policy: str = "internal"
    title: str = ""
    intended_use: str = ""
    recipient: str = ""

    @property
    def details(self) -> RunDetails:
        """Title, intended use and recipient. Raise OptionError for a text that may not be displayed."""
        return RunDetails(self.title, self.intended_use, self.recipient)


def tables_in_custody(installation: Installation, tenant: str = "home") -> list[store.Row]:
    """Data sets that are tables, on which models can be trained."""
    return [d for d in store.list_datasets(installation.db, tenant) if d["kind"] == "table"]


def estimate_synthesis(installation: Installation, session: Session, parameters: Mapping[str, Any]) -> CostEstimate:
    """Estimated cost of a synthesis. Needs `dataset` and `epsilon`; with `policy`, also the expected acceptance."""
    name, epsilon = str(parameters["dataset"]), float(parameters["epsilon"])
    table = _table(installation, session, name)
    columns, rows = len(store.schema_of(table).names), int(str(table["next_row"]))
    fit = cost_of(columns, rows, SynthesisRequest(epsilon=epsilon, delta=DELTA, population=name))
    patients = store.count_patients(installation.db, name, session.tenant)
    consenting = _count_consenting(installation, session, name)
    used, values = patients if consenting is None else consenting, len(target_columns(table))
    policy = str(parameters.get("policy") or "")
    return CostEstimate(
        rows,
        columns,
        patients=patients,
        consenting=consenting,
        expected=expected_acceptance(used, values, epsilon, DELTA, policy) if policy else None,
        seconds=fit.seconds,
        megabytes=fit.megabytes,
        budget=_budget(installation, name, epsilon),
    )


def _count_consenting(installation: Installation, session: Session, name: str) -> int | None:
    """The number of patients who consented to training; None if the access policy asks this session for no consent, 0 if it may not
    train on the data set at all."""
    try:
        with installation.gate.open(session, "train", store.resource(name), PURPOSE) as grant:
            return None if grant.rows.consent_to is None else len(store.subjects_of(installation.db, grant, name))
    except AccessDeniedError:
        return 0


def target_columns(dataset: store.Dataset) -> list[str]:
    """The columns that the utility check can predict: all but identifiers."""
    kinds = store.kinds_of(dataset)
    return [name for name, kind in kinds.items() if kind != "identifier" and name != dataset["patient"]]


def _budget(installation: Installation, population: str, epsilon: float) -> BudgetEstimate:
    if population not in installation.ledger.populations():
        return BudgetEstimate(limit=0.0, spent=0.0, sufficient=False)
    statement = installation.ledger.statement(population)
    sufficient = statement.epsilon_spent + epsilon <= statement.epsilon_limit * (1 + 1e-9)
    return BudgetEstimate(statement.epsilon_limit, statement.epsilon_spent, sufficient)


def submit_synthesis(installation: Installation, session: Session, parameters: SynthesisParameters) -> str:
    """Submits a synthesis from a stored table and returns the job's id."""
    name = parameters.dataset
    dataset = _table(installation, session, name)
    if parameters.target and parameters.target not in target_columns(dataset):
        if parameters.target in store.kinds_of(dataset):
            raise OptionError("the target column is an identifier. Choose another column, or none.")
        raise UnknownNameError("the target column does not exist in this data set. Choose one of its columns, or none.")
    if not 0.01 <= parameters.epsilon <= 10:
        raise OptionError("epsilon must be from 0.01 (strong privacy, little is learned) to 10 (weak privacy).")
    decision = installation.gate.decide(session, "train", store.resource(name), PURPOSE)
    if not decision.allowed:
        raise OptionError(f"you may not train on {name!r} ({decision.reason}).")
    return submit_job(installation, session, "synthesis", {**parameters.__dict__, **asdict(parameters.details)})


def _table(installation: Installation, session: Session, name: str) -> store.Dataset:
    dataset = store.dataset(installation.db, name, session.tenant)
    if dataset["kind"] != "table":
        raise OptionError(
            f"{name!r} holds {dataset['kind']}. Models can be trained only on tables. Export it as a table first."
        )
    return dataset


def advance_synthesis(state: dict[str, Any]) -> dict[str, Any]:
    """Runs the only step of the job. A fit cannot be resumed, and its spent budget stays spent."""
    installation = open_installation(Path(state["home"]))
    try:
        if already_started(installation, state):
            return {**state, "done": True, "error": DIED}
        session = job_session(installation, state)
        progress = progress_writer(installation, state)
        request = _request(installation, session, state)
        result = synthesize_stored(installation, session, state["dataset"], request, purpose=PURPOSE, progress=progress)
        installation.gate.end(session)
        outcome = "accepted: waiting for its signatures" if result.decision.accepted else "refused: not released"
        return {**state, "done": True, "share": 1.0, "run": result.run, "what": outcome}
    except GalenicError as error:
        return {**state, "done": True, "error": str(error)}
    finally:
        installation.close()


def _request(installation: Installation, session: Session, state: dict[str, Any]) -> SynthesisRequest:
    dataset = store.dataset(installation.db, state["dataset"], session.tenant)
    return SynthesisRequest(
        epsilon=state["epsilon"],
        delta=DELTA,
        population=state["dataset"],
        target=state["target"] or None,
        policy=state["policy"],
        column_options=ColumnOptions(patient=str(dataset["patient"])),
        by=session.who,
        details=RunDetails(state.get("title", ""), state.get("intended_use", ""), state.get("recipient", "")),
    )
