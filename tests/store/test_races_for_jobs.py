"""The right to perform the jobs of an installation, claimed by several at the same moment: raced 50 times."""

import threading
from functools import partial

from galenic.errors import GalenicError
from galenic.installation import Installation
from galenic.store import only_worker
from races import TIMES, race, winners

RIVALS = 4


def claim(installation: Installation, settled: threading.Barrier) -> str:
    """Takes the right, and holds it until every rival has tried."""
    try:
        with only_worker(installation.db, installation.home):
            settled.wait(60)
    except GalenicError:
        settled.wait(60)
        raise
    return "claimed"


def test_of_several_who_claim_the_jobs_one_performs_them(raced: Installation) -> None:
    settled = threading.Barrier(RIVALS)
    for _ in range(TIMES):
        found = race(*[partial(claim, raced, settled)] * RIVALS)
        assert winners(found) == 1, found
        assert all("are already being performed" in str(e) for e in found if isinstance(e, Exception))
