"""Status of runs as people see it: state, signatures so far and missing ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from galenic import store
from galenic.errors import UnknownNameError
from galenic.installation import Installation
from galenic.release.run import Run, RunState


@dataclass(frozen=True)
class RunStatus:
    """A run at one moment. digest: of what is signed. signed: role → name of the signer. by: the requester. criteria_row: row of the
    audit chain at which the criteria were fixed. reason: of a rejection or recall."""

    run: str
    state: RunState
    policy: str
    population: str
    digest: str
    roles: tuple[str, ...]
    signed: dict[str, str] = field(default_factory=dict)
    by: str = ""
    criteria_row: int = 0
    reason: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles without a signature."""
        return tuple(r for r in self.roles if r not in self.signed)


def run_statuses(installation: Installation) -> Iterator[RunStatus]:
    """Every run, newest first."""
    released = {r["run"]: r for r in store.list_releases(installation.db)}
    for run in Run.all(installation):
        yield _status(run, released.get(run.id))


def run_status(installation: Installation, run_id: str) -> RunStatus:
    """One run. UnknownNameError if there is none."""
    run = Run(installation, run_id)
    if "/" in run_id or not run.stored:
        raise UnknownNameError("there is no such run.")
    return _status(run, run.registered)


def _status(run: Run, registered: Mapping[str, Any] | None) -> RunStatus:
    state, request = run.state_with(registered), run.request
    # a refused run keeps no text of its policy, only its name, and waits for nobody
    policy = None if state == "refused" else run.policy
    return RunStatus(
        run=run.id,
        state=state,
        policy=policy.name if policy else str(run.sheet["decision"]["policy"]),
        population=run.population,
        digest=run.digest,
        roles=policy.roles if policy else (),
        signed={s.role: s.account for s in run.signatures},
        by=request.requester,
        criteria_row=request.audit_row,
        reason=str(registered["reason"] or "") if registered else run.rejection,
    )
