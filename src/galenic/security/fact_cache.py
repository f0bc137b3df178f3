"""Facts that decisions look at, kept in memory until any fact changes."""

import threading
import time
from datetime import UTC, datetime
from functools import lru_cache

from galenic.security.facts import Fact, FactStore
from galenic.store import Database, version_numbers

FRESH = 0.02  # s: another process's change of facts is seen within this time; this process's own at once
MOST_SESSIONS, MOST_RELATIONS = 10_000, 100_000
Relation = tuple[Fact, ...]


class Versions:
    """Versions of facts and erasures, read at most every 20 ms."""

    def __init__(self, db: Database) -> None:
        self.db, self._at, self._numbers = db, 0.0, {"facts": 0, "erasures": 0}
        self._turn = threading.Lock()

    def get(self) -> dict[str, int]:
        """The versions now, or as of 20 ms ago where another process moves them."""
        now = time.monotonic()
        if now - self._at > FRESH and self._turn.acquire(blocking=self._at == 0.0):  # one reads, the others need not wait
            try:
                if now - self._at > FRESH:
                    self._numbers = {"facts": 0, "erasures": 0, **version_numbers(self.db)}
                    self._at = now
            finally:
                self._turn.release()
        return self._numbers

    def refresh(self) -> None:
        """Makes the next `get` read the database."""
        self._at = 0.0


class FactCache:
    """Facts by what decisions ask for, read again after any change."""

    def __init__(self, facts: FactStore, versions: Versions) -> None:
        self.facts, self.versions = facts, versions
        self._roles: dict[str, tuple[int, frozenset[str], dict[str, str]]] = {}
        self._sessions: dict[str, tuple[int, Fact | None]] = {}
        self._datasets: dict[str, tuple[int, Fact | None]] = {}
        self._about: dict[tuple[str, str], tuple[int, tuple[Fact, ...]]] = {}
        self._relations: dict[tuple[str, int], Relation] = {}
        self._relations_at = -1

    def version(self) -> int:
        """The version of the facts."""
        return self.versions.get()["facts"]

    def roles(self, who: str) -> tuple[frozenset[str], dict[str, str]]:
        """The roles that an account holds now, and its tenant and region; nothing for an account without a role."""
        version = self.version()
        cached = self._roles.get(who)
        if cached is None or cached[0] != version:
            now = self.facts.now()
            grants = [f for f in self.facts.of("grant", who=who) if f.stands("given", now)]
            home = {n: str(grants[0].get(n, "")) for n in ("tenant", "region")} if grants else {}
            cached = (version, frozenset(f.label for f in grants), home)
            self._roles[who] = cached
        return cached[1], cached[2]

    def session(self, name: str) -> Fact | None:
        """The session of that name, whatever its state."""
        version = self.version()
        cached = self._sessions.get(name)
        if cached is None or cached[0] != version:
            cached = (version, self.facts.one("session", name))
            if len(self._sessions) > MOST_SESSIONS:
                self._sessions.clear()
            self._sessions[name] = cached
        return cached[1]

    def dataset(self, name: str) -> Fact | None:
        """Owner, label and region of a data set: a fact, so that nobody changes them behind the gate's back."""
        version = self.version()
        cached = self._datasets.get(name)
        if cached is None or cached[0] != version:
            cached = (version, self.facts.one("dataset", name))
            self._datasets[name] = cached
        return cached[1]

    def is_known_dataset(self, name: str) -> bool:
        """Whether there is a data set of that name."""
        return self.dataset(name) is not None

    def about(self, kind: str, who: str) -> tuple[Fact, ...]:
        """The facts of one kind about one account, vendor or destination."""
        version = self.version()
        cached = self._about.get((kind, who))
        if cached is None or cached[0] != version:
            cached = self._about[kind, who] = (version, tuple(self.facts.of(kind, who=who)))
        return cached[1]

    def is_allowed_destination(self, name: str) -> bool:
        """Whether calls to this destination are allowed now."""
        now = this_second()
        return any(f.stands("allowed", now) for f in self.about("destination", name))

    def relations(self, who: str, subject: int) -> Relation:
        """The care relations of an account with a patient, and the patient's consents."""
        version = self.version()
        if self._relations_at != version or len(self._relations) > MOST_RELATIONS:
            self._relations, self._relations_at = {}, version
        found = self._relations.get((who, subject))
        if found is None:
            care = self.facts.of("care", who=who, subject=subject)
            found = self._relations[who, subject] = (*care, *self.facts.of("consent", subject=subject))
        return found


def this_second() -> str:
    """The time now as ISO 8601, to the second."""
    return _second(int(time.time()))


@lru_cache(4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")
