"""Status of runs as people see it: state, signatures so far and missing ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from galenic import store
from galenic.errors import GalenicError, StoreError, UnknownNameError
from galenic.installation import Installation
from galenic.release.run import RUN_ID, Run, RunState
from galenic.schema import NO_DETAILS, RunDetails


@dataclass(frozen=True)
class RunStatus:
    """A run at one moment. digest: of what is signed. signed: role → name of the signer. by: the requester. criteria_row: row of the
    audit chain at which the criteria were fixed. reason: of a rejection or recall, or why the run
    cannot be read. details: title, intended use and recipient."""

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
    details: RunDetails = NO_DETAILS

    @property
    def missing(self) -> tuple[str, ...]:
        """Roles without a signature."""
        return tuple(r for r in self.roles if r not in self.signed)


def run_statuses(installation: Installation) -> Iterator[RunStatus]:
    """Every run, newest first. A run whose folder is damaged is listed as unreadable, with the reason, and logged."""
    released = {r["run"]: r for r in store.list_releases(installation.db)}
    for run in Run.all(installation):
        yield _status(run, released.get(run.id))


def run_status(installation: Installation, run_id: str) -> RunStatus:
    """One run. UnknownNameError if there is none."""
    run = Run(installation, run_id)
    if not RUN_ID.fullmatch(run_id) or not run.folder.exists():
        raise UnknownNameError("there is no such run.")
    return _status(run, run.registered)


def _status(run: Run, registered: Mapping[str, Any] | None) -> RunStatus:
    try:
        if not run.stored:
            raise StoreError(f"{run.folder} holds no evidence: it was not written whole, or something else stands there.")
        return _read_status(run, registered)
    except (GalenicError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = str(error) if isinstance(error, GalenicError) else f"{run.folder} is damaged ({type(error).__name__})."
        _log_unreadable(run.id, type(error).__name__)
        return RunStatus(
            run.id,
            "unreadable",
            policy="",
            population="",
            digest="",
            roles=(),
            reason=reason,
            details=RunDetails("Damaged run"),
        )


@cache
def _log_unreadable(run: str, error: str) -> None:
    """Logs it once in each process: pages read the list of runs often."""
    store.telemetry.log("warning", "a run cannot be read", resource=run, error=error)


def _read_status(run: Run, registered: Mapping[str, Any] | None) -> RunStatus:
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
        details=run.details,
    )
