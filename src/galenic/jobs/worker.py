"""Worker: a separate process without network access that performs the submitted jobs with their users' rights."""

import contextlib
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO
from urllib.parse import urlsplit

from galenic import settings, store
from galenic.errors import ConfigurationError
from galenic.installation import Installation
from galenic.jobs.client import jobs_url
from galenic.jobs.kinds import KINDS
from galenic.security import block_network

READY = "at work"  # line that a worker prints after it has started
RESTART_SECONDS = 1.0  # seconds between the end of a worker and its restart
STOP_SECONDS = 20  # seconds that a worker may take to end
WAIT_SECONDS = 2 * STOP_SECONDS  # seconds that a worker waits for the end of the previous one


@contextlib.contextmanager
def running_jobs(installation: Installation, wait: float = 0.0) -> Iterator[store.jobs.JobRunner]:
    """Context in which this process performs the jobs of an installation. Raise StateError if another process performs them:
    each process continues the jobs of the previous one, so two would perform a job twice. wait: seconds until the other
    ends."""
    steps = {name: kind.advance for name, kind in KINDS.items()}
    with (
        store.only_worker(installation.db, installation.home, wait),
        store.jobs.open_runner(jobs_url(installation), steps) as runner,
    ):
        yield runner


def outside_hosts() -> frozenset[str]:
    """Hosts of the root key and of the witness, if they are on other machines. A worker may connect only to these."""
    configuration = settings.load()
    places = (configuration.root, *configuration.witness)
    addresses = [p.partition(":")[2] for p in places if p.startswith(("vault:", "syslog:"))]
    return frozenset(str(urlsplit(a if "//" in a else f"//{a}").hostname) for a in addresses)


def run_worker(installation: Installation, until: IO[str]) -> None:
    """Performs submitted jobs, without network access, until `until` is closed."""
    installation.recover()
    block_network(outside_hosts())
    namespace = os.environ.get("GALENIC_NAMESPACE", "shared")
    store.telemetry.log("info", "worker started without network access", step=f"network namespace: {namespace}")
    with running_jobs(installation, WAIT_SECONDS):
        print(READY, flush=True)  # noqa: T201  # read by the process that started this one
        until.read()


@contextlib.contextmanager
def worker_process(installation: Installation) -> Iterator[Callable[[], int]]:
    """Context in which a worker process runs and is restarted if it stops. Yields a function that returns its process id."""
    ending, workers = threading.Event(), [_start(installation)]

    def watch() -> None:
        while not ending.is_set():
            workers[0].wait()
            if ending.wait(RESTART_SECONDS):
                return
            store.telemetry.log("warning", "a worker stopped and is restarted")
            _stop(workers[0])
            with contextlib.suppress(ConfigurationError):  # the next round tries again
                workers[0] = _start(installation)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield lambda: workers[0].pid
    finally:
        ending.set()
        _stop(workers[0])
        watching.join(RESTART_SECONDS)


def _start(installation: Installation) -> subprocess.Popen[str]:
    environment = {**os.environ, "GALENIC_HOME": str(installation.home), "LOGNAME": installation.actor}
    command = [sys.executable, "-m", "galenic", "server", "worker"]
    if installation.db.is_sqlite and not outside_hosts():
        sandbox = inspect.getfile(block_network)  # when run as a script, it first enters its own network namespace
        command = [sys.executable, "-S", sandbox, *command]
    worker = subprocess.Popen(  # noqa: S603  # nosec B603  # this program itself
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if worker.stdout is None or not worker.stdout.readline().startswith(READY):
        _stop(worker)
        raise ConfigurationError("the worker did not start. See the installation's log.")
    return worker


def _stop(worker: subprocess.Popen[str]) -> None:
    """Ends a worker by closing its input; kills it after a time limit."""
    with contextlib.suppress(OSError):
        if worker.stdin is not None:
            worker.stdin.close()
    try:
        worker.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    if worker.stdout is not None:
        worker.stdout.close()
