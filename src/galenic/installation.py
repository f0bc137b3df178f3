"""One installation opened: its database, ledger, keys and audit chain."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from galenic import settings, store
from galenic.privacy import Ledger
from galenic.security import (
    Apps,
    AuditLog,
    Credentials,
    Escrow,
    Facts,
    Gate,
    KeyRing,
    KeyTree,
    OpenId,
    PolicyStore,
    Session,
    UserDirectory,
    Witness,
    root_keeper,
)

Progress = Callable[[str, float], None]


def no_progress(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Installation:
    """What flows need of the rooms that hold state."""

    home: Path
    actor: str
    db: store.Database
    ledger: Ledger
    keys: KeyRing
    audit: AuditLog
    gate: Gate
    facts: Facts
    policies: PolicyStore
    tree: KeyTree
    escrow: Escrow
    people: UserDirectory

    @property
    def openid(self) -> OpenId:
        """Identity providers that people may sign in with."""
        return OpenId(self.people.credentials)

    @property
    def apps(self) -> Apps:
        """Applications that read as people who let them."""
        return Apps(self.people)

    @property
    def shards(self) -> Path:
        """Where builds of shards and indexes are kept: derived, sealed, never backed up."""
        return self.home / "builds"

    def close(self) -> None:
        """Writes what the audit chain still holds, then lets the database go. StoreError if the chain can not be written."""
        try:
            self.audit.flush()
        finally:
            self.db.close()

    def sign_in(self, key: str, second: str | None = None) -> Session:
        """A session for a registered key of this operating-system user; a second key steps it up."""
        return self.gate.sign_in(self.keys.get(key), self.keys.get(second) if second else None)

    @property
    def runs(self) -> Path:
        """Where runs are kept."""
        return self.home / "runs"

    def run(self, run: str) -> Path:
        """The folder of a run, by its id or its path."""
        return Path(run) if "/" in run else self.runs / run


def installation_if_any(home: Path | None = None) -> Installation | None:
    """The installation at `home` if there is one; a recipient who only verifies has none and needs none."""
    place = settings.load(home)
    here = (place.home / "keys").is_dir() or not place.database_url.startswith("sqlite")
    return open_installation(home) if here else None


def open_installation(home: Path | None = None) -> Installation:
    """Opens the installation at `home` (default: GALENIC_HOME or ~/.galenic), making it when it is new."""
    s = settings.load(home)
    s.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = store.Database(s.database_url)
    keys = KeyRing(s.home / "keys")
    store.sweep(s.home / "runs")
    store.telemetry.log_to(s.home / "logs" / "galenic.jsonl")
    audit = AuditLog(db, keys.gate(), s.actor, s.home / "keys", Witness(s.witness))
    escrow = Escrow(s.escrow, s.escrow_days)
    escrow.sweep()
    tree = KeyTree(db, root_keeper(s.root), escrow, s.home / "keys" / "tree")
    tree.recover()
    facts = Facts(db, tree, audit)
    policies = PolicyStore(db, facts, audit)
    gate = Gate(db, tree, facts, policies, audit)
    return Installation(
        s.home,
        s.actor,
        db,
        Ledger(db),
        keys,
        audit,
        gate,
        facts,
        policies,
        tree,
        escrow,
        UserDirectory(gate, Credentials(db, facts, tree)),
    )
