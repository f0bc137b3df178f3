"""The queue of audit rows: in order, in one commit where they came together, soon where nobody waits."""

import threading
import time
from collections.abc import Callable

import pytest

from galenic import store
from galenic.installation import Installation
from galenic.security.audit_queue import LONGEST_WAIT, AuditQueue, Ticket

SOON = 0.3  # s, on a busy machine


def tickets(installation: Installation, count: int) -> list[Ticket]:
    return [installation.audit.ticket("step", str(i)) for i in range(count)]


def test_rows_that_are_posted_together_are_written_in_one_commit_and_in_order(installation: Installation) -> None:
    installation.audit.append("step", "first")
    heads = len(store.list_heads(installation.db))
    several = tickets(installation, 50)
    installation.audit.post_all(several)
    numbers = [t.wait() for t in several]
    assert numbers == list(range(numbers[0], numbers[0] + 50))
    assert len(store.list_heads(installation.db)) == heads + 1


@pytest.mark.parametrize("idle", [0.0, 3 * LONGEST_WAIT, 1.2], ids=["while it writes", "while it waits", "after it was idle"])
def test_a_row_that_nobody_waits_for_is_written_soon(installation: Installation, idle: float) -> None:
    installation.audit.append("step", "first")
    time.sleep(idle)
    ticket = installation.audit.post_later("step", "later")
    started = time.monotonic()
    assert ticket.wait() == 2
    assert time.monotonic() - started < SOON


def test_a_row_that_can_wait_stays_before_one_that_cannot(installation: Installation) -> None:
    later = [installation.audit.post_later("step", str(i)) for i in range(3)]
    assert [*(t.wait() for t in later), installation.audit.append("step", "now")] == [1, 2, 3, 4]


def test_more_rows_than_one_commit_takes_go_into_several(installation: Installation) -> None:
    queue = AuditQueue()
    several = tickets(installation, 5)
    queue.put(several, can_wait=True)
    assert queue.take(2) == several[:2]
    started = time.monotonic()
    assert queue.take(2) == several[2:4]
    assert queue.take(2) == several[4:]
    assert time.monotonic() - started < SOON
    queue.put(several[:1])
    assert queue.take(2) == several[:1]


def test_an_idle_queue_gives_nothing_and_is_woken_by_the_first_row(installation: Installation) -> None:
    queue = AuditQueue()
    assert queue.take(9) == []
    given: list[list[Ticket]] = []
    writer = threading.Thread(target=lambda: given.append(queue.take(9)))
    writer.start()
    time.sleep(5 * LONGEST_WAIT)
    started, several = time.monotonic(), tickets(installation, 2)
    queue.put(several[:1], can_wait=True)
    queue.put(several[1:])
    writer.join()
    assert given in ([several], [several[:1]])
    assert time.monotonic() - started < SOON


def test_no_row_is_lost_between_threads_that_can_and_cannot_wait(installation: Installation) -> None:
    posts: tuple[Callable[..., Ticket], ...] = (installation.audit.post, installation.audit.post_later)
    found: list[int] = []

    def write(who: int) -> None:
        for i in range(60):
            ticket = posts[(who + i) % 2]("step", f"{who}-{i}")
            if i % 3 == 0:
                found.append(ticket.wait())

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    installation.audit.flush()
    assert installation.audit.faults() == ([], 8 * 60)
    assert len(set(found)) == 8 * 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_the_writer_is_an_error_for_its_rows_and_holds_up_no_other(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.audit.append("step", "first")
    write, calls = installation.audit._write, iter(range(100))

    def sometimes_broken(rows: list[Ticket]) -> None:
        if next(calls) % 2 == 0:
            raise ValueError("a value")
        write(rows)

    monkeypatch.setattr(installation.audit, "_write", sometimes_broken)
    for number in range(10):
        ticket = installation.audit.post("step", str(number))
        assert ticket.done.acquire(timeout=10)
        assert (ticket.error is None) == (number % 2 == 1)
        assert "a value" not in str(ticket.error)
