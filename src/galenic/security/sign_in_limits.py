"""Limits of failed sign-ins: an attacker locks out unknown devices, never one that its user has signed in from."""

from dataclasses import dataclass
from hashlib import sha256
from typing import NoReturn

from galenic.errors import AccessDeniedError
from galenic.security.audit import AuditLog
from galenic.security.client_networks import limits_of
from galenic.store import AttemptCounter, Database, count_attempt, forgive, take_back_attempt

WINDOW = 15 * 60  # s in which failures are counted
STRANGERS, KNOWN_DEVICE, PLACE = 5, 10, 1_000  # failures after which unknown devices, one known device, one address must wait
WRONG = "name, password or code is not right. After five tries from an unknown device, sign-in waits a quarter of an hour."


@dataclass(frozen=True)
class SignInAttempt:
    """One attempt. name: the account; place: the network address; device: cookie of a known device, empty for an unknown one."""

    name: str
    place: str
    device: str

    def counters(self) -> tuple[AttemptCounter, ...]:
        """The counters that the attempt belongs to."""
        if self.device:
            return (AttemptCounter(f"account/{self.name}/{self.device}", KNOWN_DEVICE),)
        # a shared address is never quiet for a quarter of an hour: its failures are counted per quarter of an hour
        limits = limits_of(self.place, PLACE)
        places = (AttemptCounter(f"place/{digest_of(network)}", most, extends=False) for network, most in limits.items())
        return AttemptCounter(f"account/{self.name}/strangers", STRANGERS), *places


class SignInLimits:
    """Counts attempts before they are checked, and refuses further ones for a quarter of an hour after too many failures."""

    def __init__(self, db: Database, audit: AuditLog) -> None:
        self.db, self.audit = db, audit

    def require_allowed(self, attempt: SignInAttempt) -> None:
        """Counts an attempt, as a failure until `succeed` or `forgive`. AccessDeniedError, before anything is checked, after too many."""
        if not count_attempt(self.db, attempt.counters(), WINDOW):
            self.audit.refusals.add("session.throttled", attempt.name, attempt.place, actor=attempt.name)
            raise AccessDeniedError(WRONG)

    def fail(self, attempt: SignInAttempt) -> NoReturn:
        """Refuses an attempt, which stays counted."""
        self.audit.refusals.add("session.refused", attempt.name, attempt.place, actor=attempt.name)
        raise AccessDeniedError(WRONG)

    def succeed(self, attempt: SignInAttempt) -> None:
        """Takes back the count of an attempt that was right; earlier failures stay counted."""
        take_back_attempt(self.db, [c.name for c in attempt.counters()])

    def forgive(self, attempt: SignInAttempt) -> None:
        """Takes back the count of a complete sign-in, and forgets earlier failures of the same known device. What others share, the
        address and the counter of unknown devices, keeps its failures."""
        self.succeed(attempt)
        if attempt.device:
            for counter in attempt.counters():
                forgive(self.db, counter.name)


def digest_of(text: str) -> str:
    """Digest under which a secret or an address is stored."""
    return sha256(f"galenic {text}".encode()).hexdigest()
