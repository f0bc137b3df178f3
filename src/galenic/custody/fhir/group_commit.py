"""Writes that wait for one another become durable together: one commit for all of them, an answer for each."""

import threading
from collections import deque
from dataclasses import dataclass, field

from galenic import store
from galenic.custody.fhir.repository import FhirRepository
from galenic.errors import ConflictError, GalenicError, StoreError

MOST = 64  # changes of small writes that go into one commit


@dataclass(slots=True)
class PendingWrite:
    """One write: its changes, what goes into the index, and whose each name was when it was decided."""

    changes: list[store.ResourceChange]
    rows: list[store.IndexEntry]
    standing: dict[str, int | None]
    done: bool = False
    written: list[store.WrittenVersion] = field(default_factory=list)
    error: Exception | None = None


class GroupCommit:
    """The writes of one facade. Whoever gets the lock writes for all that wait."""

    def __init__(self) -> None:
        self._waiting: deque[PendingWrite] = deque()
        self._mutex = threading.Lock()

    def write(self, repository: FhirRepository, one: PendingWrite) -> list[store.WrittenVersion]:
        """Returns once the write is durable and in the index; raises what it failed of."""
        with self._mutex:
            self._waiting.append(one)
        with repository.writing:
            while not one.done:
                _attempt(repository, self._lot())
        if one.error is not None:
            raise one.error
        return one.written

    def _lot(self) -> list[PendingWrite]:
        """Writes that touch no name twice, in their order."""
        lot: list[PendingWrite] = []
        names: set[str] = set()
        with self._mutex:
            while self._waiting and sum(len(w.changes) for w in lot) < MOST:
                mine = {c.name for c in self._waiting[0].changes}
                if mine & names:
                    break
                names |= mine
                lot.append(self._waiting.popleft())
        return lot


def _attempt(repository: FhirRepository, lot: list[PendingWrite]) -> None:
    """All in one commit; one by one where one of them does not go."""
    try:
        _commit(repository, lot)
    except GalenicError as error:
        if len(lot) > 1:
            for one in lot:
                _attempt(repository, [one])
            return
        lot[0].error, lot[0].done = error, True
    except BaseException:
        for one in lot:
            one.error, one.done = (
                StoreError("the write failed here; whether it is durable is not known. Read before writing again."),
                True,
            )
        raise


def _commit(repository: FhirRepository, lot: list[PendingWrite]) -> None:
    for one in lot:
        for name, subject in one.standing.items():
            now = repository.index.find(name)
            if (now[1] if now else None) != subject:
                raise ConflictError(f"{name} became another's while this was asked. Read it again, and decide again.")
    changes = [c for one in lot for c in one.changes]
    written = store.write_resources(repository.installation.db, repository.known, changes, repository.own())
    rows = [r for one in lot for r in one.rows]
    if repository.index.through() != written[0].row:  # another process wrote in between
        repository.catch_up()
    else:
        for row, made in zip(rows, written, strict=True):
            row.row = made.row
        repository.index.put(rows, through=written[-1].row + 1)
    at = 0
    for one in lot:
        one.written = written[at : at + len(one.changes)]
        one.done, at = True, at + len(one.changes)
