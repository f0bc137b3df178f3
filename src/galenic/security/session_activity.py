"""When a browser's session was last used: kept by minutes, so that an idle session ends also across a restart of the server."""

import threading
from collections import OrderedDict
from datetime import datetime

from galenic.security.facts import Fact, FactStore

IDLE_SECONDS = 30 * 60  # of inactivity after which a session ends
STORED_SECONDS = 60  # between two times that are stored: after a restart a session may end so much earlier, never later
MOST_SESSIONS = 10_000  # whose last use is kept in memory; of the others it is read from the database


class SessionActivity:
    """The last uses of sessions. A session that was not used yet counts as used when it was opened."""

    def __init__(self, facts: FactStore, most: int = MOST_SESSIONS) -> None:
        self.facts, self.most = facts, most
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()  # last use, and the last one that was stored
        self._mutex = threading.Lock()

    def use(self, session: Fact) -> bool:
        """Whether the session was used within the last half hour; if so, it counts as used now."""
        now = self.facts.clock.passed()
        with self._mutex:
            last, stored = self._used.get(session.key) or self._stored(session)
            if abs(now - last) > IDLE_SECONDS:
                return False
            is_due = now - stored >= STORED_SECONDS
            self._used[session.key] = now, now if is_due else stored
            self._used.move_to_end(session.key)
            if len(self._used) > self.most:
                self._used.popitem(last=False)
        if is_due:
            self.facts.note(Fact("activity", session.key, "used", session.who, body=(("at", now),)))
        return True

    def _stored(self, session: Fact) -> tuple[float, float]:
        """(last use, last stored use) of a session that this process has not seen, or has forgotten."""
        found = self.facts.one("activity", session.key)
        opened = _seconds(str(session.get("resumed", "") or session.get("began", "")))
        stored = float(found.get("at")) if found is not None else 0.0
        return max(opened, stored), stored


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0
