"""Installation: the folder and the database that hold all state, and the services on top of them, each created when first used."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, overload

from galenic import settings, store
from galenic.errors import ConfigurationError
from galenic.privacy import Ledger
from galenic.security import (
    AccountRecovery,
    Apps,
    AuditedBudgets,
    AuditLog,
    Credentials,
    ErasureRequests,
    Escrow,
    FactStore,
    Gate,
    Invitations,
    KeyRing,
    KeyTree,
    OpenId,
    PolicyStore,
    RoleChanges,
    Session,
    StaffSystems,
    Systems,
    UserDirectory,
    Witness,
    root_keeper,
)

S = TypeVar("S")


class _Service(Generic[S]):
    """Cached property that is built only once, even if several threads need it at the same time.

    `functools.cached_property` has no lock from Python 3.12 on, and two audit writers in one process would break the chain.
    """

    def __init__(self, build: "Callable[[Installation], S]") -> None:
        self.build, self.__doc__ = build, build.__doc__

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, installation: None, owner: type) -> "_Service[S]": ...

    @overload
    def __get__(self, installation: "Installation", owner: type) -> S: ...

    def __get__(self, installation: "Installation | None", owner: type) -> "S | _Service[S]":
        """Builds the service. Later reads find it in the instance and do not call this method."""
        if installation is None:
            return self
        with installation.lock:
            if self.name not in installation.__dict__:
                installation.__dict__[self.name] = self.build(installation)
        service: S = installation.__dict__[self.name]
        return service


class Installation:
    """One installation. Opening it creates only its folder; a service creates its files when it is first used."""

    def __init__(self, configuration: settings.Settings) -> None:
        self.lock = (
            threading.RLock()
        )  # reentrant, because the access check builds the key tree, which builds the recovery copies
        self.settings = configuration
        self.home, self.actor = configuration.home, configuration.actor

    @_Service
    def db(self) -> store.Database:
        """Database; its schema is upgraded here, after a copy was made."""
        database = store.Database(self.settings.database_url)
        if database.upgraded is not None:
            before, after, copy = database.upgraded.before, database.upgraded.after, database.upgraded.copy
            logging.getLogger("galenic").warning(
                "The database was upgraded from schema %s to %s. A copy of the previous database is kept until the next "
                "erasure: %s",
                before,
                after,
                copy,
            )
            store.telemetry.log("info", f"database upgraded from schema {before} to {after}")
        return database

    @_Service
    def ledger(self) -> Ledger:
        """Privacy budgets of all populations."""
        return Ledger(self.db, AuditedBudgets(lambda: self.audit))

    @_Service
    def keys(self) -> KeyRing:
        """Ed25519 keys of the access check and of the signers."""
        return KeyRing(self.home / "keys")

    @_Service
    def audit(self) -> AuditLog:
        """Audit log with its witness."""
        log = AuditLog(self.db, self.keys.gate(), self.actor, self.keys.folder, Witness(self.settings.witness))
        if self.db.upgraded is not None:
            log.append("database.upgraded", self.db.upgraded.copy, before=self.db.upgraded.before, after=self.db.upgraded.after)
        return log

    @_Service
    def escrow(self) -> Escrow:
        """Recovery copies of root keys; those past their retention period are overwritten here."""
        escrow = Escrow(self.settings.escrow, self.settings.escrow_days)
        escrow.sweep()
        return escrow

    @_Service
    def tree(self) -> KeyTree:
        """Tree of patients' keys; an interrupted rotation is completed here."""
        tree = KeyTree(self.db, root_keeper(self.settings.root), self.escrow, self.keys.folder / "tree")
        tree.recover()
        return tree

    @_Service
    def facts(self) -> FactStore:
        """Facts that access decisions need: grants, sessions, consent, care relations."""
        return FactStore(self.db, self.tree, self.audit)

    @_Service
    def policies(self) -> PolicyStore:
        """Access policies: active, proposed and replaced."""
        return PolicyStore(self.db, self.facts, self.audit)

    @_Service
    def gate(self) -> Gate:
        """Access check: decides on access, records the decision, then provides keys."""
        return Gate(self.db, self.tree, self.facts, self.policies, self.audit)

    @_Service
    def people(self) -> UserDirectory:
        """Accounts of users."""
        return UserDirectory(self.gate, Credentials(self.db, self.facts, self.tree))

    @_Service
    def runs(self) -> Path:
        """Folder of all runs; files of killed processes are removed here."""
        folder = self.home / "runs"
        store.sweep(folder)
        return folder

    @property
    def openid(self) -> OpenId:
        """Identity providers that users may sign in with."""
        return OpenId(self.people.credentials)

    @property
    def role_changes(self) -> RoleChanges:
        """Role changes, which two people decide."""
        return RoleChanges(self.people)

    @property
    def invitations(self) -> Invitations:
        """Invitations of users."""
        return Invitations(self.people)

    @property
    def recovery(self) -> AccountRecovery:
        """Account recovery after a lost password or lost second factors."""
        return AccountRecovery(self.people)

    @property
    def erasure_requests(self) -> ErasureRequests:
        """Requests to erase patients, which take two people."""
        return ErasureRequests(self.facts)

    @property
    def staff_systems(self) -> StaffSystems:
        """Identifier systems of staff in FHIR records."""
        return StaffSystems(self.facts)

    @property
    def systems(self) -> Systems:
        """Systems that may use the server."""
        return Systems(self.people)

    @property
    def apps(self) -> Apps:
        """Applications that may read on behalf of users who authorized them."""
        return Apps(self.people)

    @property
    def shards(self) -> Path:
        """Folder of shards and indexes: derived, encrypted, never backed up."""
        return self.home / "builds"

    def run(self, run: str) -> Path:
        """Folder of a run, by its id or its path."""
        return Path(run) if "/" in run else self.runs / run

    def sign_in(self, key: str, second: str | None = None) -> Session:
        """Session for a registered key of this operating-system user; a second key re-authenticates it."""
        return self.gate.sign_in(self.keys.get(key), self.keys.get(second) if second else None)

    def recover(self) -> None:
        """Completes interrupted work at the start of a long-running process. Expired recovery copies are overwritten,
        interrupted key rotations are completed, files of killed processes are removed from runs, missing reviews of
        emergency accesses become due again, and the active policy is compared with the audit log."""
        _ = self.escrow, self.tree, self.runs
        self.gate.reviews.restore()
        self.policies.active()

    def close(self) -> None:
        """Writes pending rows of the audit log, then closes the database. Raise StoreError if the rows cannot be written."""
        opened = self.__dict__  # a service that was never used must not be created only to be closed
        try:
            if "audit" in opened:
                self.audit.refusals.close()
                self.audit.flush()
        finally:
            if "db" in opened:
                self.db.close()


def installation_if_any(home: Path | None = None) -> Installation | None:
    """Installation at `home`, or None. Verifying a release needs no installation."""
    configuration = settings.load(home)
    exists = (configuration.home / "keys").is_dir() or not configuration.database_url.startswith("sqlite")
    return open_installation(home) if exists else None


def open_installation(home: Path | None = None) -> Installation:
    """Opens the installation at `home` (default: GALENIC_HOME or ~/.galenic); creates it if it is new."""
    configuration = settings.load(home)
    try:
        configuration.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the home folder {configuration.home} cannot be created ({error.strerror}). Set GALENIC_HOME to a folder that you may write."
        ) from None
    store.telemetry.log_to(configuration.home / "logs" / "galenic.jsonl")
    return Installation(configuration)
