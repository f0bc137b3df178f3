"""Races: several threads do the same at the same moment."""

import os
import threading
from collections.abc import Callable, Sequence

from galenic.errors import GalenicError

TIMES = 50
FEW = int(os.environ.get("GALENIC_RACES", "5"))  # of races that take long; GALENIC_RACES=50 runs each of them 50 times


def race(*rivals: Callable[[], object]) -> list[object]:
    """Results of the rivals, or their refusals; all start at once. Any other error is raised."""
    barrier, found = threading.Barrier(len(rivals)), [None] * len(rivals)  # type: list[object]

    def run(place: int, rival: Callable[[], object]) -> None:
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
