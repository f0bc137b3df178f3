"""Durable jobs on DBOS. A job is a state that advances step by step. The state after each step is stored, so that a job
continues after its process was killed."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError

from galenic.errors import MissingExtraError, StoreError, UnknownNameError

State = dict[str, Any]
Advance = Callable[[State], State]
QUEUE, VERSION = "asked", "1"  # stored with every job


@dataclass(frozen=True)
class Job:
    """One job. state: ENQUEUED, PENDING, SUCCESS, ERROR, CANCELLED; share: of the work that is done, 0 to 1; steps: number of stored
    steps; data: the last stored state."""

    id: str
    kind: str
    state: str
    share: float
    steps: int
    data: State = field(default_factory=dict)


class JobRunner:
    """Performs the jobs of one installation in this process. kinds: the function that performs one step, by kind of job.

    A state is small JSON with names of stored objects, never patient data; `done` ends the job, `share` is displayed. An
    interrupted step is run again, so it must detect work that was already done.
    """

    def __init__(self, dbos: Any, url: str, kinds: dict[str, Advance]) -> None:
        self._dbos, self.kinds = dbos, kinds
        config: dict[str, Any] = {
            "name": "galenic",
            "system_database_url": url,
            "log_level": "ERROR",
            "application_version": VERSION,
        }
        config["serializer"] = dbos.DBOSPortableJSONSerializer()
        self._instance = dbos.DBOS(config=config)
        form = dbos.WorkflowSerializationFormat.PORTABLE  # JSON: nothing is unpickled

        def step(kind: str, state: str) -> str:
            return json.dumps(kinds[kind](json.loads(state)))

        advance = dbos.DBOS.step(name="advance")(step)

        def run(kind: str, state: str) -> str:
            while not json.loads(state).get("done"):
                state = advance(kind, state)
            return state

        self._run = dbos.DBOS.workflow(name="job", serialization_type=form)(run)
        dbos.DBOS.launch()  # continues the jobs of a process that ended
        dbos.DBOS.register_queue(QUEUE, worker_concurrency=1, polling_interval_sec=0.5)  # submitted jobs, one by one

    def start(self, kind: str, state: State) -> str:
        """Starts a job. Returns its id."""
        if kind not in self.kinds:
            raise UnknownNameError(f"{kind!r} is not a kind of job. Expected one of {', '.join(self.kinds)}.")
        return str(self._dbos.DBOS.start_workflow(self._run, kind, json.dumps(state)).get_workflow_id())

    def wait(self, job: str) -> State:
        """Last state of a job after its end. Raises the job's error if it failed."""
        result: State = json.loads(self._dbos.DBOS.retrieve_workflow(job).get_result())
        return result

    def cancel(self, job: str) -> None:
        """Cancels a job after its current step."""
        self._check(job)
        self._dbos.DBOS.cancel_workflow(job)

    def resume(self, job: str) -> None:
        """Continues a job that was canceled or has failed, after its last stored step."""
        self._check(job)
        self._dbos.DBOS.resume_workflow(job)

    def get(self, job: str) -> Job:
        """Job with that id. Raise UnknownNameError if there is none."""
        self._check(job)
        return _job(self._dbos.DBOS, self._dbos.DBOS.get_workflow_status(job))

    def all(self) -> list[Job]:
        """Every job, oldest first."""
        return [_job(self._dbos.DBOS, s) for s in self._dbos.DBOS.list_workflows(name="job")]

    def _check(self, job: str) -> None:
        if self._dbos.DBOS.get_workflow_status(job) is None:
            raise UnknownNameError(f"there is no job {job!r}. List the jobs: galenic jobs list")

    def close(self) -> None:
        """Stops performing jobs. Running ones continue in the next process that opens a runner."""
        self._dbos.DBOS.destroy(destroy_registry=True)


def _job(api: Any, status: Any) -> Job:
    steps = api.list_workflow_steps(status.workflow_id)
    outputs = [s["output"] for s in steps if s["output"] is not None]
    arguments = status.input["args"] if status.input else ("?", "{}")
    data: State = json.loads(outputs[-1] if outputs else arguments[1])
    share = float(data.get("share", 0.0)) if outputs else 0.0
    return Job(status.workflow_id, str(arguments[0]), str(status.status), share, len(outputs), data)


class JobQueue:
    """Jobs of one installation for a process that performs none: submits jobs and reads their status."""

    def __init__(self, url: str) -> None:
        try:
            import dbos  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("background jobs need the package dbos", "jobs") from None
        self._form = dbos.WorkflowSerializationFormat.PORTABLE
        self._client = dbos.DBOSClient(system_database_url=url, serializer=dbos.DBOSPortableJSONSerializer())

    def submit(self, kind: str, state: State) -> str:
        """Puts a job into the queue. Returns its id. A worker performs it."""
        options: Any = {"workflow_name": "job", "queue_name": QUEUE, "serialization_type": self._form, "app_version": VERSION}
        try:
            return str(self._client.enqueue(options, kind, json.dumps(state)).get_workflow_id())
        except DBAPIError:
            raise StoreError(
                "no worker has run here yet, so the job would not be performed. Start one: galenic server worker"
            ) from None

    def get(self, job: str) -> Job:
        """Job with that id. Raise UnknownNameError if there is none."""
        statuses = self._list(workflow_ids=[job])
        if not statuses:
            raise UnknownNameError("there is no job of this id. List all jobs: galenic jobs list")
        return _job(self._client, statuses[0])

    def all(self, limit: int = 20, offset: int = 0) -> list[Job]:
        """Jobs, newest first."""
        return [_job(self._client, s) for s in self._list(name="job", limit=limit, offset=offset, sort_desc=True)]

    def _list(self, **which: Any) -> list[Any]:
        try:
            return list(self._client.list_workflows(**which))
        except DBAPIError:
            return []  # no worker has run here yet: the table does not exist

    def cancel(self, job: str) -> None:
        """Cancels a job: at once if it is waiting, otherwise after its current step."""
        self.get(job)
        self._client.cancel_workflow(job)

    def close(self) -> None:
        """Closes the connection to the database."""
        self._client.destroy()


@contextlib.contextmanager
def open_runner(url: str, kinds: dict[str, Advance]) -> Iterator[JobRunner]:
    """Context in which this process performs the jobs in the database at `url`; jobs of an ended process continue at once."""
    try:
        import dbos  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("background jobs need the package dbos", "jobs") from None
    runner = JobRunner(dbos, url, kinds)
    try:
        yield runner
    finally:
        runner.close()
