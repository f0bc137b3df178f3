"""Last use of browser sessions, stored by minutes, so that an idle session also ends across a restart of the server."""

import threading
from collections import OrderedDict
from datetime import datetime

from galenic.security.facts import Fact, FactStore

IDLE_SECONDS = 30 * 60  # seconds of inactivity after which a session ends
STORED_SECONDS = 60  # seconds between two stored times: after a restart a session may end earlier by this time, never later
MOST_SESSIONS = 10_000  # sessions with their last use in memory; others are read from the database


class SessionActivity:
    """Last uses of sessions. A session that was not used yet counts as used when it was opened."""

    def __init__(self, facts: FactStore, most: int = MOST_SESSIONS) -> None:
        self.facts, self.most = facts, most
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()  # last use, and the last stored one
        self._mutex = threading.Lock()

    def use(self, session: Fact) -> bool:
        """True if the session was used within the last half hour. If so, it counts as used now."""
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
        """(last use, last stored use) of a session that is not in memory."""
        found = self.facts.one("activity", session.key)
        opened = _seconds(str(session.get("resumed", "") or session.get("began", "")))
        stored = float(found.get("at")) if found is not None else 0.0
        return max(opened, stored), stored


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0
