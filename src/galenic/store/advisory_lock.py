"""PostgreSQL lock that is checked while it is held, because its connection can be lost unnoticed."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from galenic.errors import StoreError
from galenic.store import telemetry
from galenic.store.database import Database

CHECK_SECONDS = 2.0  # seconds between two checks of a held lock
KEEP_ALIVE = {  # so that a lost network is noticed within seconds
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000,
}  # fmt: skip
TAKE = sa.text("SELECT pg_try_advisory_lock(:n)")
GIVE_BACK = sa.text("SELECT pg_advisory_unlock(:n)")
HELD = sa.text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objid::bigint = :n"
)


class AdvisoryLock:
    """One of the database's advisory locks, in a separate connection."""

    def __init__(self, db: Database, number: int, name: str) -> None:
        self._engine = sa.create_engine(
            db.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT", connect_args=dict(KEEP_ALIVE)
        )
        self._number, self._name = {"n": number}, name
        self._connection: sa.Connection | None = None
        self._lost = False

    def take(self) -> bool:
        """True if the lock was taken. Raise StoreError if the database does not respond."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            return bool(self._connection.execute(TAKE, self._number).scalar_one())
        except SQLAlchemyError as error:
            self._drop()
            raise StoreError(
                f"the database does not respond ({type(error).__name__}). The {self._name} needs its lock there. "
                "Check GALENIC_DATABASE and the database server."
            ) from None

    def give_back(self) -> None:
        """Releases the lock, if its connection is still open."""
        with contextlib.suppress(SQLAlchemyError):
            if self._connection is not None:
                self._connection.execute(GIVE_BACK, self._number)
        self._drop()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Context that checks the lock every few seconds. A lost lock is taken again if it is free. If another process has it,
        the block is interrupted, and StoreError is raised."""
        ending = threading.Event()
        watching = threading.Thread(target=self._watch, args=(ending,), daemon=True)
        watching.start()
        try:
            yield
        except KeyboardInterrupt:
            if not self._lost:
                raise
        finally:
            ending.set()
            watching.join(3 * CHECK_SECONDS)
        if self._lost:
            raise StoreError(
                f"the database connection that held the lock of the {self._name} was lost, and another process took the "
                f"lock. This process stopped, because two would not see each other's writes. Run only one {self._name}. "
                "If there was only one, find out why the database closed the connection."
            )

    def _watch(self, ending: threading.Event) -> None:
        while not ending.wait(CHECK_SECONDS):
            if self._is_held():
                continue
            try:
                taken = self.take()
            except StoreError as error:  # no other process can take it either
                telemetry.log("warning", str(error))
                continue
            if not taken:
                self._lost = True
                telemetry.log(
                    "error",
                    f"another process took the lock of the {self._name} after its connection was lost. This process stops.",
                )
                _interrupt()
                return
            telemetry.log(
                "warning", f"the connection with the lock of the {self._name} was lost. The lock was free and was taken again."
            )

    def _is_held(self) -> bool:
        try:
            if self._connection is not None and self._connection.execute(HELD, self._number).scalar_one():
                return True
        except SQLAlchemyError:
            self._drop()
        return False

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.invalidate()
                self._connection.close()
        self._connection = None


def _interrupt() -> None:
    """Interrupts the main thread. If a shell has disabled that signal for the process, the process ends."""
    deaf = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
    os.kill(os.getpid(), signal.SIGTERM if deaf else signal.SIGINT)
