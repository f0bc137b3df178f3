"""Races: several threads do the same at the same moment."""

import os
import random
import threading
import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from galenic.errors import GalenicError
from galenic.installation import Installation

TIMES = 50
FEW = int(
    os.environ.get("GALENIC_RACES", "10")
)  # races over HTTP of what is raced 50 times below it; GALENIC_RACES=50 races them 50 times
PAUSE = 0.002  # s at most
_rival = threading.local()


def race(*rivals: Callable[[], object]) -> list[object]:
    """Results of the rivals, or their refusals; all start at once. Any other error is raised. In half of the races of a `slowed`
    installation the rivals pause before each step, so that their steps come in many orders."""
    barrier, found = threading.Barrier(len(rivals)), [None] * len(rivals)  # type: list[object]
    pauses = random.random() < 0.5

    def run(place: int, rival: Callable[[], object]) -> None:
        _rival.pauses = pauses
        barrier.wait()
        try:
            found[place] = rival()
        except Exception as error:  # noqa: BLE001  # raised below, in the thread that tests
            found[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(rivals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        if isinstance(one, Exception) and not isinstance(one, GalenicError):
            raise one
    return found


def winners(found: Sequence[object]) -> int:
    """How many were not refused."""
    return sum(not isinstance(one, Exception) for one in found)


def slowed(installation: Installation) -> Installation:
    """The installation, whose rivals may pause before each transaction and between what they read and what they write."""
    sa.event.listen(installation.db.engine, "checkout", lambda *_: _pause())
    return installation


def _pause() -> None:
    if getattr(_rival, "pauses", False):
        time.sleep(random.uniform(0, PAUSE))
