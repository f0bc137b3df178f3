"""Facts for decisions, cached until any fact changes, for at most one second."""

from typing import TypeVar

from galenic.security.facts import Fact, FactStore

MOST_ENTRIES, MOST_RELATIONS = 10_000, 100_000
K = TypeVar("K")
V = TypeVar("V")
Relation = tuple[Fact, ...]
Stamp = tuple[int, int]  # version of the facts, and the second in which they were read


class FactCache:
    """Cache of facts for decisions, read again after any change, and at least once per second.

    Cached data of a long-running process, and the time until it is read again:
    - roles, sessions, data sets, vendors, destinations, care relations, consents (here), the patients that an account may see
      (`Gate.visible_subjects`), the policy (`PolicyStore`): until the version of the facts moves, one second at most;
    - open grants (`Grant.require_active`): the decision is taken again when a version moves, and once a second;
    - keys of the tree (`KeyTree`): until the version of the keys moves; a key that cannot be decrypted is read again at once;
    - keys of patients in an open grant: until the version of the erasures moves;
    - the installation's own keys of identifiers, facts and sign-in secrets: for good. They do not change: `galenic keys rotate`
      wraps them anew;
    - when a browser's session was last used (`SessionActivity`): a minute at most, then it is stored;
    - accounts, credentials, proposals, applications, identity providers, budgets, releases and jobs: not at all;
    - settings (`GALENIC_...`), the certificate and the options of `galenic serve`: until the process ends.
    """

    def __init__(self, facts: FactStore) -> None:
        self.facts, self.versions = facts, facts.versions
        self._roles: dict[str, tuple[Stamp, frozenset[str], dict[str, str]]] = {}
        self._sessions: dict[str, tuple[Stamp, Fact | None]] = {}
        self._datasets: dict[str, tuple[Stamp, Fact | None]] = {}
        self._about: dict[tuple[str, str], tuple[Stamp, tuple[Fact, ...]]] = {}
        self._relations: tuple[Stamp, dict[tuple[str, int], Relation]] = (-1, -1), {}

    def stamp(self) -> Stamp:
        """Value that changes when the cache is to be read again."""
        numbers = self.versions.get()
        return numbers["facts"], numbers["second"]

    def roles(self, who: str) -> tuple[frozenset[str], dict[str, str]]:
        """Current roles of an account, with its tenant and region; nothing for an account without a role."""
        stamp = self.stamp()
        cached = self._roles.get(who)
        if cached is None or cached[0] != stamp:
            now = self.facts.now()
            grants = [f for f in self.facts.of("grant", who=who) if f.stands("given", now)]
            if any(f.get("client") == "yes" for f in grants) and self.facts.one("person", who) is not None:
                grants = [f for f in grants if f.get("client") != "yes"]  # a person never acts as a system
            home = {n: str(grants[0].get(n, "")) for n in ("tenant", "region")} if grants else {}
            cached = (stamp, frozenset(f.label for f in grants), home)
            self._roles = _room(self._roles)
            self._roles[who] = cached
        return cached[1], cached[2]

    def session(self, name: str) -> Fact | None:
        """The session of that name, whatever its state."""
        stamp = self.stamp()
        cached = self._sessions.get(name)
        if cached is None or cached[0] != stamp:
            cached = (stamp, self.facts.one("session", name))
            self._sessions = _room(self._sessions)
            self._sessions[name] = cached
        return cached[1]

    def dataset(self, name: str) -> Fact | None:
        """Owner, label and region of a data set. They are a fact, so that they cannot be changed without an access check."""
        stamp = self.stamp()
        cached = self._datasets.get(name)
        if cached is None or cached[0] != stamp:
            cached = (stamp, self.facts.one("dataset", name))
            self._datasets = _room(self._datasets)
            self._datasets[name] = cached
        return cached[1]

    def is_known_dataset(self, name: str) -> bool:
        """True if there is a data set with that name."""
        return self.dataset(name) is not None

    def about(self, kind: str, who: str) -> tuple[Fact, ...]:
        """The facts of one kind about one account, vendor or destination."""
        stamp = self.stamp()
        cached = self._about.get((kind, who))
        if cached is None or cached[0] != stamp:
            self._about = _room(self._about)
            cached = self._about[kind, who] = (stamp, tuple(self.facts.of(kind, who=who)))
        return cached[1]

    def is_allowed_destination(self, name: str) -> bool:
        """True if connections to this destination are currently allowed."""
        now = self.facts.now()
        return any(f.stands("allowed", now) for f in self.about("destination", name))

    def relations(self, who: str, subject: int) -> Relation:
        """The care relations of an account with a patient, and the patient's consents."""
        stamp, remembered = self.stamp(), self._relations
        if remembered[0] != stamp or len(remembered[1]) > MOST_RELATIONS:
            remembered = self._relations = stamp, {}
        found = remembered[1].get((who, subject))
        if found is None:  # read after the stamp, and stored only with it, because another thread may have cleared the cache
            care = self.facts.of("care", who=who, subject=subject)
            found = remembered[1][who, subject] = (*care, *self.facts.of("consent", subject=subject))
        return found


def _room(cached: dict[K, V]) -> dict[K, V]:
    """The cache, or an empty one if it is full: names come from requests, and memory is limited."""
    return {} if len(cached) > MOST_ENTRIES else cached
