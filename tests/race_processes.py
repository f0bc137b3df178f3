"""Races of processes: each has the installation open for itself, and all do the same at the same moment."""

import contextlib
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from galenic.custody import make_key
from galenic.errors import GalenicError
from galenic.installation import Installation, open_installation
from galenic.release import ARTIFACTS, sign_off
from galenic.security.sign_in_limits import SignInAttempt
from galenic.store import only_worker, use_once
from toy_made import ToyArtifact

WAIT = 120  # s for the other processes


def claim(installation: Installation, settled: Barrier) -> str:
    """Takes the right to perform jobs, as a worker does, and holds it until every rival has tried."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_worker(installation.db, installation.home))
        finally:
            settled.wait(WAIT)
    return "claimed"


def act(installation: Installation, kind: str, given: tuple[Any, ...]) -> object:
    """What one rival does."""
    people = installation.people
    if kind == "sign":
        return sign_off(installation, *given)
    if kind == "approve policy":
        return installation.policies.approve(given[0], installation.keys.get(given[1])).digest
    if kind == "guess":
        return people.limits.require_allowed(SignInAttempt(*given))
    if kind == "use once":
        return use_once(installation.db, *given)
    place, _, verb = kind.partition(" ")
    services = {
        "role": installation.role_changes, "system": installation.systems, "credential": people.credentials, "link": installation.recovery,
        "gate": installation.gate,
    }  # fmt: skip
    return getattr(services[place], verb.replace(" ", "_"))(*given)


def rival(home: str, calls: Connection, start: Barrier, settled: Barrier) -> None:
    """A process that does what it is told, with the others at once."""
    ARTIFACTS["toy"] = ToyArtifact()
    installation = open_installation(Path(home))
    calls.send("ready")
    while (call := calls.recv()) is not None:
        start.wait(WAIT)
        try:
            found = claim(installation, settled) if call[0] == "claim jobs" else act(installation, *call)
        except GalenicError as error:
            found = error
        calls.send(found if isinstance(found, GalenicError | bool | str) else None)
    installation.close()


class Rivals:
    """Processes that race."""

    def __init__(self, calls: Sequence[Connection]) -> None:
        self.calls = calls

    def race(self, *what: tuple[str, tuple[Any, ...]]) -> list[object]:
        """Results of what the processes do at once, one each, or their refusals."""
        assert len(what) == len(self.calls)
        for call, one in zip(self.calls, what, strict=True):
            call.send(one)
        return [call.recv() for call in self.calls]


@contextlib.contextmanager
def rivals(home: Path, number: int) -> Iterator[Rivals]:
    """Processes with the installation open."""
    context = get_context("spawn")
    start, settled = context.Barrier(number), context.Barrier(number)
    pipes = [context.Pipe() for _ in range(number)]
    processes = [context.Process(target=rival, args=(str(home), theirs, start, settled)) for _, theirs in pipes]
    for process in processes:
        process.start()
    for (ours, theirs), process in zip(pipes, processes, strict=True):
        theirs.close()
        assert ours.recv() == "ready", process
    try:
        yield Rivals([ours for ours, _ in pipes])
    finally:
        for (ours, _), process in zip(pipes, processes, strict=True):
            with contextlib.suppress(OSError):
                ours.send(None)
            process.join(WAIT)
            ours.close()


def with_keys(installation: Installation, **people: str) -> None:
    """Keys of the command line, by role."""
    for name, role in people.items():
        make_key(installation, name, role, person=name)
